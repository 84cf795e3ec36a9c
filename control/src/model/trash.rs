//! Vclusters that were deleted and can be had back, and those that stand still for long. Since version 3.

use serde::{Deserialize, Serialize};

use super::Port;
use crate::id::{UnixMs, UserId, VclusterId};

const DAY_MS: u64 = 24 * 3_600_000;

/// A vcluster in the trash: nobody sees or uses it, its vnodes stand still, and all that is on their disks is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trashed {
    pub vcluster: VclusterId,
    pub owner: UserId,
    pub at: UnixMs,
    /// From then on it goes for good.
    pub until: UnixMs,
    pub why: TrashWhy,
    /// Whether it was to run.
    pub ran: bool,
    /// Public ports that it had.
    pub ports: Vec<Port>,
}

impl Trashed {
    /// Deleted by one person; with one more the oldest of these goes for good.
    pub const PER_OWNER_MAX: usize = 10;

    /// Whether somebody deleted it by itself.
    #[must_use]
    pub fn was_deleted(&self) -> bool {
        matches!(self.why, TrashWhy::Deleted { .. })
    }

    /// Whether it is there because its owner's account is.
    #[must_use]
    pub fn is_with_account(&self) -> bool {
        matches!(self.why, TrashWhy::WithAccount { .. })
    }
}

/// Who put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrashWhy {
    Deleted {
        by: UserId,
    },
    /// It stood still for longer than the policy lets it.
    Released,
    /// Its owner's account was deleted: it comes back with that, and goes with it.
    #[serde(rename = "with-account")]
    WithAccount {
        by: UserId,
    },
}

/// How long what was deleted can be had back, and what becomes of what nobody starts any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrashPolicy {
    /// Minutes in the trash; none of it if 0.
    pub undo_minutes: u32,
    /// None if nothing is ever released.
    #[serde(default)]
    pub release: Option<ReleasePolicy>,
}

impl Default for TrashPolicy {
    fn default() -> Self {
        Self {
            undo_minutes: 10,
            release: None,
        }
    }
}

impl TrashPolicy {
    /// A week at most.
    pub const UNDO_MINUTES_MAX: u32 = 7 * 24 * 60;

    /// How long the trash keeps what was deleted.
    #[must_use]
    pub fn undo_ms(self) -> u64 {
        u64::from(self.undo_minutes) * 60_000
    }
}

/// When a vcluster that stands still goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasePolicy {
    /// Its owner is warned after so many days.
    pub warn_after_days: u32,
    /// It goes into the trash so many days after the warning.
    pub grace_days: u32,
    /// There it is kept for so many days.
    pub keep_days: u32,
}

impl ReleasePolicy {
    /// Of each of them.
    pub const DAYS_MAX: u32 = 3_650;

    #[must_use]
    pub fn warn_after_ms(self) -> u64 {
        u64::from(self.warn_after_days) * DAY_MS
    }

    #[must_use]
    pub fn grace_ms(self) -> u64 {
        u64::from(self.grace_days) * DAY_MS
    }

    #[must_use]
    pub fn keep_ms(self) -> u64 {
        u64::from(self.keep_days) * DAY_MS
    }
}

/// A vcluster that is to stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    pub vcluster: VclusterId,
    pub since: UnixMs,
    /// When it goes, as its owner was told; none while they were not.
    pub release_at: Option<UnixMs>,
}
