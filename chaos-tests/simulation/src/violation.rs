//! Why a run failed: which of the laws that the simulation watches was broken, and how.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What must never be, or must come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Law {
    /// All masters tell their followers the same changes, and leave none out.
    OneHistory,
    /// A request has one effect.
    OneEffect,
    /// Whoever comes to lead has all that was ever committed.
    LeadersHaveAll,
    /// What a master acknowledged stays on its disk.
    OnDisk,
    /// At equal entries states are equal.
    EqualStates,
    /// The rules of `control::invariants` hold in and between states.
    Rules,
    /// The state is what the changes make that followers were told of.
    Fold,
    /// What a client was promised is there in the end.
    Promises,
    /// Clients get no answer that makes no sense.
    Answers,
    /// One order explains what all clients saw.
    Linearizable,
    /// A master ends only when it is told to, or its disk fails.
    Endings,
    /// Nothing panics.
    Panics,
    /// With all trouble over, everything is well within a bound.
    Settles,
}

/// A law broken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Violation {
    pub law: Law,
    pub what: String,
}

impl Violation {
    pub fn of(law: Law, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { law, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.law, self.what)
    }
}
