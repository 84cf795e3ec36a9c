//! Seeds that once found something: faults of the product, faults of the simulation, and code broken on purpose. A seed
//! means the same only as long as the simulation draws its dice in the same order and the masters do what they did:
//! each story says what it found, and whoever changes either looks for a new seed by breaking the code again.

use std::process::ExitCode;

use crate::many::{self, Plan};

/// A run worth keeping.
struct Story {
    name: &'static str,
    seed: u64,
    found: &'static str,
}

const STORIES: [Story; 14] = [
    Story {
        name: "unsynced-after-a-kill",
        seed: 344,
        found: "a master relied after a kill on what was not on disk yet; then the power went",
    },
    Story {
        name: "lost-disk-of-the-only-one-who-knew",
        seed: 39,
        found: "the simulation took a disk while only its master knew the voters for certain",
    },
    Story {
        name: "lost-message-on-a-live-connection",
        seed: 13,
        found: "the simulation lost messages of connections that went on for ever, which TCP does not",
    },
    Story {
        name: "acknowledged-before-the-sync",
        seed: 2,
        found: "entries acknowledged before they were synced: a new leader lacked what was committed",
    },
    Story {
        name: "acknowledged-before-the-sync-and-told",
        seed: 49,
        found: "the same: two masters told their followers different changes of one entry",
    },
    Story {
        name: "entry-not-applied",
        seed: 5,
        found: "an entry that one master did not apply: states differed at the same entry",
    },
    Story {
        name: "read-here",
        seed: 8,
        found: "reads served from the asked master's own state: no order explained what clients saw",
    },
    Story {
        name: "read-unconfirmed",
        seed: 18,
        found: "a leader that answered reads without asking a quorum, also when it led no more",
    },
    Story {
        name: "vote-forgotten",
        seed: 10,
        found: "votes that were not written: two led in one term, and told of different entries",
    },
    Story {
        name: "receipt-dropped",
        seed: 3,
        found: "one receipt in sixteen not kept: a request took effect twice",
    },
    Story {
        name: "cut-off-and-back",
        seed: 14,
        found: "entries cut off in memory and not on disk",
    },
    Story {
        name: "purged-before-the-checkpoint",
        seed: 17,
        found: "a log purged up to a state that was not on disk yet",
    },
    Story {
        name: "leader-restored",
        seed: 9,
        found: "a leader that led again after a restart without an election, its state not applied yet",
    },
    Story {
        name: "leader-restored-and-hashed",
        seed: 16,
        found: "the same: states differed at the same entry",
    },
];

/// Runs all of them.
pub fn run() -> ExitCode {
    for Story { name, seed, found } in STORIES {
        crate::print(&format!("{name}, seed {seed}: {found}"));
    }
    many::run(Plan {
        seeds: STORIES.iter().map(|story| story.seed).collect(),
        limit: None,
    })
}
