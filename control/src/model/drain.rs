//! Workers that are emptied by moving what is on them. Since version 3.

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, UnixMs, UserId, VnodeId, WorkerId};

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DrainStage {
    /// Vnodes are moved away, as far as others can take them.
    Draining,
    /// There is none left.
    Drained,
    /// Its time was over; what was left stayed.
    Late,
    /// Somebody wanted it to end; what was left stayed.
    Aborted,
    /// What was moved away is brought back.
    Restoring,
    /// All that could be is back.
    Restored,
}

impl DrainStage {
    /// The word by which people and programs mean it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Late => "late",
            Self::Aborted => "aborted",
            Self::Restoring => "restoring",
            Self::Restored => "restored",
        }
    }

    /// Whether the leader moves vnodes for it.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Draining | Self::Restoring)
    }
}

/// Moves of one vnode that came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrainFailure {
    pub attempts: u32,
    pub cause: String,
    pub at: UnixMs,
}

/// The last time that a worker was emptied, or is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    pub worker: WorkerId,
    /// The entry that asked for it.
    pub number: LogIndex,
    pub by: UserId,
    pub begun_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    /// When it ends in any case; never if none.
    pub deadline_at: Option<UnixMs>,
    /// Vnodes on their way at once, at most.
    pub at_once: u32,
    /// Whether nothing new came to the worker before already: then it stays so afterwards.
    pub was_cordoned: bool,
    pub stage: DrainStage,
    /// Vnodes that were moved away and are not back.
    pub moved: OrdSet<VnodeId>,
    /// Vnodes whose moves came to nothing.
    pub failed: OrdMap<VnodeId, DrainFailure>,
}

impl Drain {
    /// What can be given as the number of vnodes on their way at once.
    pub const AT_ONCE_RANGE: std::ops::RangeInclusive<u64> = 1..=64;
    /// What can be given as the time after which it ends: a second to a month.
    pub const DEADLINE_MS_RANGE: std::ops::RangeInclusive<u64> = 1_000..=31 * 24 * 3_600_000;
    /// A vnode whose move came to nothing so often stays.
    pub const ATTEMPTS_MAX: u32 = 3;
    /// A move that came to nothing is tried again after this time.
    pub const RETRY_AFTER_MS: u64 = 5_000;
}
