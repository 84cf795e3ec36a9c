//! How the leader looks after the masters by itself: when one counts as in reach, as ready to vote, as dead.

use serde::{Deserialize, Serialize};

/// The policy. An admin may change it; a cluster where nobody did has the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Autopilot {
    /// A master that answered the leader within this time is in reach. Ten heartbeats, and as long as the longest
    /// election timeout: one that is silent for longer would be missed at the next election.
    pub contact_ms: u64,
    /// A learner that lacks more entries than this has not caught up: with more, its vote would be worth nothing for
    /// longer than an election takes.
    pub lag_entries: u64,
    /// A learner must have been in reach and caught up for this long before it votes, so that one which comes and
    /// goes is never counted on. Several elections long.
    pub steady_ms: u64,
    /// A voter that has been silent for this long gives way to a learner that is ready; never, if none. Long enough
    /// for a reboot or a switch that is being replaced.
    pub dead_after_ms: Option<u64>,
}

impl Default for Autopilot {
    fn default() -> Self {
        Self {
            contact_ms: 500,
            lag_entries: 1_000,
            steady_ms: 2_000,
            dead_after_ms: Some(600_000),
        }
    }
}
