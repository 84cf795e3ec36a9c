//! Whether all masters have the same state: each computes the hash after every so many entries, followers tell the
//! leader, and the leader compares. A master that most of the others contradict is named in the log and told; it stops
//! serving, and takes its state anew from the others before it serves again (see [`crate::rebuild`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docklet_control::id::{LogIndex, MasterId, RequestId};
use docklet_control::rows::StateHash;
use docklet_control::{Actor, Command};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::fault::RaftFault;
use crate::master::Master;
use crate::rebuild;
use crate::wire;

/// Masters compare this often.
const EVERY: Duration = Duration::from_secs(1);
/// The rows on disk are read through and checked this often.
const SCRUB_EVERY: Duration = Duration::from_secs(600);
/// Hashes that a master remembers, and of each other one that it heard of.
const KNOWN_MAX: usize = 64;
/// How long the naming of a diverged master may take.
const NAMING_DEADLINE: Duration = Duration::from_secs(5);

/// Hashes by index.
pub type Known = BTreeMap<LogIndex, StateHash>;

/// This master's state is not that of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Divergence {
    /// Most masters have another state after this entry.
    At(LogIndex),
    /// The rows on disk are not those that were written.
    OnDisk,
}

/// What is known of whom.
pub struct Agreement {
    heard: Mutex<BTreeMap<MasterId, Known>>,
    own: watch::Sender<Option<Divergence>>,
}

impl Default for Agreement {
    fn default() -> Self {
        Self {
            heard: Mutex::default(),
            own: watch::Sender::new(None),
        }
    }
}

impl Agreement {
    fn heard(&self) -> MutexGuard<'_, BTreeMap<MasterId, Known>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, master: MasterId, hashes: &[(LogIndex, StateHash)]) {
        let mut heard = self.heard();
        let known = heard.entry(master).or_default();
        known.extend(hashes.iter().copied());
        while known.len() > KNOWN_MAX {
            known.pop_first();
        }
    }

    /// Keeps only those who are masters still.
    fn forget_others(&self, masters: &BTreeSet<MasterId>) {
        self.heard().retain(|id, _| masters.contains(id));
    }

    /// Whether each other master has had the state of this one, at the newest entry after which both are known.
    pub(crate) fn with_own(&self, own: MasterId) -> BTreeMap<MasterId, bool> {
        let heard = self.heard();
        let Some(ours) = heard.get(&own) else {
            return BTreeMap::new();
        };
        let agrees = |theirs: &Known| {
            let mut both = theirs.iter().rev();
            both.find_map(|(index, hash)| ours.get(index).map(|own| own == hash))
        };
        let compared = heard
            .iter()
            .filter_map(|(id, known)| Some((*id, agrees(known)?)));
        compared.collect()
    }

    fn newest_of(&self, master: MasterId) -> Vec<(LogIndex, StateHash)> {
        let heard = self.heard();
        let known = heard.get(&master).into_iter().flatten();
        known.map(|(index, hash)| (*index, *hash)).collect()
    }
}

/// Masters that a majority of `masters` contradicts, and the first entry after which it does.
fn diverged(heard: &BTreeMap<MasterId, Known>, masters: usize) -> BTreeMap<MasterId, LogIndex> {
    let mut found = BTreeMap::new();
    let indices: BTreeSet<LogIndex> = heard
        .values()
        .flat_map(|known| known.keys().copied())
        .collect();
    for index in indices {
        let of = |known: &Known| known.get(&index).copied();
        let said: Vec<(MasterId, StateHash)> = heard
            .iter()
            .filter_map(|(id, known)| Some((*id, of(known)?)))
            .collect();
        let agree = |hash: &StateHash| said.iter().filter(|(_, other)| other == hash).count();
        let right = said
            .iter()
            .map(|(_, hash)| *hash)
            .find(|hash| agree(hash) * 2 > masters);
        let wrong = said
            .iter()
            .filter(|(_, hash)| right.is_some_and(|right| *hash != right));
        for (master, _) in wrong {
            found.entry(*master).or_insert(index);
        }
    }
    found
}

impl Master {
    /// Comes back when this master's state is not that of the others: it must stop serving at once and be started
    /// anew, and takes the others' state then.
    pub async fn diverged(&self) -> Divergence {
        let mut own = self.inner.agreement.own.subscribe();
        let found = own.wait_for(Option::is_some).await;
        match found.ok().and_then(|found| *found) {
            Some(divergence) => divergence,
            // The sender lives as long as this master.
            None => std::future::pending().await,
        }
    }

    /// What another master knows of its own hashes; answers whether it has diverged.
    pub(crate) fn take_hashes(&self, told: &wire::Hashes) -> Option<LogIndex> {
        self.inner.agreement.take(told.master, &told.hashes);
        self.judge().get(&told.master).copied()
    }

    fn judge(&self) -> BTreeMap<MasterId, LogIndex> {
        let masters: BTreeSet<MasterId> = self.local().state.masters.keys().copied().collect();
        self.inner.agreement.forget_others(&masters);
        diverged(&self.inner.agreement.heard(), masters.len())
    }
}

/// Computes, tells and compares, until aborted.
pub async fn run(master: Master) {
    let mut quiet_at = LogIndex(0);
    let mut named = BTreeSet::new();
    let mut scrubbed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(EVERY).await;
        let index = master.local().index;
        let hashes = master.inner.view.hashes(index == quiet_at).await;
        quiet_at = index;
        master.inner.agreement.take(master.id(), &hashes);
        let verdict = if master.is_leader() {
            name_all(&master, &mut named).await
        } else {
            tell_leader(&master).await.ok().flatten()
        };
        if let Some(at) = verdict {
            fence(&master, Divergence::At(at)).await;
        }
        if scrubbed.elapsed() > SCRUB_EVERY {
            scrubbed = tokio::time::Instant::now();
            match master.inner.view.scrub().await {
                Ok(true) => {}
                Ok(false) => fence(&master, Divergence::OnDisk).await,
                Err(fault) => tracing::warn!(%fault, "the rows on disk could not be checked"),
            }
        }
    }
}

/// On a follower: tells the leader its hashes; answers whether it has diverged.
async fn tell_leader(master: &Master) -> Result<Option<LogIndex>, RaftFault> {
    let told = wire::Hashes {
        master: master.id(),
        hashes: master.inner.agreement.newest_of(master.id()),
    };
    master.call_leader(wire::HASHES, &told, EVERY).await
}

/// On the leader: names each diverged master in the log, once; answers whether it is one itself.
async fn name_all(master: &Master, named: &mut BTreeSet<MasterId>) -> Option<LogIndex> {
    let found = master.judge();
    for (diverged, index) in &found {
        if !named.insert(*diverged) {
            continue;
        }
        tracing::error!(master = %diverged, %index, "a master's state is not that of the others");
        let command = Command::ReportDivergence {
            master: *diverged,
            after: *index,
        };
        let request = RequestId::issued(master.local().index, rand::random());
        let told = master
            .propose(Actor::Duty, request, command, NAMING_DEADLINE)
            .await;
        if let Err(fault) = told {
            tracing::warn!(%fault, "a diverged master could not be named in the log");
        }
    }
    named.retain(|id| found.contains_key(id));
    found.get(&master.id()).copied()
}

/// Lets whoever runs this master know that it must not serve any more.
async fn fence(master: &Master, divergence: Divergence) {
    if let Err(fault) = rebuild::mark(master.inner.world.disk.as_ref()) {
        tracing::error!(%fault, "the store cannot be marked for rebuilding");
    }
    tracing::error!(
        ?divergence,
        "this master stops serving and takes its state anew from the others"
    );
    master.hand_over().await;
    master.inner.agreement.own.send_replace(Some(divergence));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(said: &[(u64, &[(u64, u64)])]) -> BTreeMap<MasterId, Known> {
        let known = |hashes: &[(u64, u64)]| {
            hashes
                .iter()
                .map(|(index, hash)| (LogIndex(*index), StateHash([*hash; 4])))
                .collect()
        };
        said.iter()
            .map(|(id, hashes)| (MasterId(*id), known(hashes)))
            .collect()
    }

    fn found(said: &[(u64, &[(u64, u64)])], masters: usize) -> Vec<(u64, u64)> {
        let found = diverged(&heard(said), masters);
        found
            .into_iter()
            .map(|(id, index)| (id.0, index.0))
            .collect()
    }

    #[test]
    fn whom_most_masters_contradict_has_diverged() {
        let equal: &[(u64, u64)] = &[(1_024, 7), (2_048, 8)];
        assert_eq!(found(&[(1, equal), (5, equal), (6, equal)], 3), []);
        let other: &[(u64, u64)] = &[(1_024, 7), (2_048, 9), (3_072, 9)];
        assert_eq!(
            found(&[(1, equal), (5, other), (6, equal)], 3),
            [(5, 2_048)]
        );
        assert_eq!(
            found(&[(1, other), (5, equal), (6, equal)], 3),
            [(1, 2_048)],
            "the leader too"
        );
    }

    #[test]
    fn without_a_majority_nobody_is_blamed() {
        assert_eq!(found(&[(1, &[(9, 1)]), (5, &[(9, 2)])], 3), []);
        assert_eq!(
            found(&[(1, &[(9, 1)]), (5, &[(9, 2)]), (6, &[(8, 1)])], 3),
            []
        );
        assert_eq!(
            found(&[(1, &[(9, 1)]), (5, &[(9, 2)]), (6, &[(9, 3)])], 3),
            []
        );
        assert_eq!(found(&[(1, &[(9, 1)])], 1), []);
    }
}
