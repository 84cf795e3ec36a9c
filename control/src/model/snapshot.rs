//! Snapshots: what was on a vnode's disk at one moment, kept beside it on its worker. Since version 3.

use serde::{Deserialize, Serialize};

use crate::amount::DiskMib;
use crate::id::{Epoch, LogIndex, UnixMs, UserId, VclusterId, VnodeId};
use crate::name::Name;

/// One snapshot of one vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub vnode: VnodeId,
    /// The entry that asked for it: what the worker calls it, and never given twice to a vnode.
    pub number: LogIndex,
    /// Unique among the vnode's.
    pub name: Name,
    pub vcluster: VclusterId,
    pub owner: UserId,
    /// The placement whose disk it is of.
    pub epoch: Epoch,
    pub why: SnapshotWhy,
    pub asked_at: UnixMs,
    /// When it goes by itself; none if it stays.
    pub expires_at: Option<UnixMs>,
    pub seen: SnapshotSeen,
}

/// Why there is a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotWhy {
    /// A person asked for it.
    Asked,
    /// It was its vcluster's time.
    Scheduled,
    /// It is what was there before another was restored.
    Restored,
}

impl SnapshotWhy {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Scheduled => "scheduled",
            Self::Restored => "before-restore",
        }
    }
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotSeen {
    /// Its worker has not said anything yet.
    Wanted,
    /// It is on its worker.
    Taken {
        at: UnixMs,
        /// What the disk held at most.
        disk_mib: DiskMib,
        /// What it takes on the worker; what it shares with others is counted in each.
        used_bytes: u64,
        /// How long the vnode stood still for it.
        still_us: u64,
    },
    /// Why there is none.
    Failed { cause: String },
}

impl Snapshot {
    /// Of one vnode, those that people and schedules asked for.
    pub const PER_VNODE_MAX: usize = 32;
    /// Of one vnode, those that restores left; the oldest go first.
    pub const BEFORE_RESTORE_MAX: usize = 3;
    /// How long one stays that a restore left.
    pub const BEFORE_RESTORE_MS: u64 = 7 * 24 * 3_600_000;
    /// What can be given as the time after which one goes: a minute to ten years.
    pub const TTL_MS_RANGE: std::ops::RangeInclusive<u64> = 60_000..=3_660 * 24 * 3_600_000;

    /// Under which it is in the state.
    #[must_use]
    pub fn key(&self) -> (VnodeId, LogIndex) {
        (self.vnode, self.number)
    }

    /// Whether its worker has it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self.seen, SnapshotSeen::Taken { .. })
    }

    /// Whether it is a part of what its owner has.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        !self.is_failed() && self.why != SnapshotWhy::Restored
    }

    /// Whether there is and will be none.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.seen, SnapshotSeen::Failed { .. })
    }
}

/// The last time that a vnode was, or is to be, put back to what a snapshot has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRestore {
    pub vnode: VnodeId,
    /// The entry that asked for it, and the number of the snapshot that it leaves of what was there before.
    pub number: LogIndex,
    pub epoch: Epoch,
    /// Number and name of the snapshot that is restored.
    pub snapshot: LogIndex,
    pub name: Name,
    pub asked_at: UnixMs,
    pub seen: RestoreSeen,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RestoreSeen {
    /// The vnode is stopped for it, or will be.
    Wanted,
    /// The disk is as it was.
    Done { at: UnixMs },
    /// Why the vnode goes on with the disk that it had.
    Failed { cause: String },
}

impl SnapshotRestore {
    /// Whether its worker is to do it.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.seen == RestoreSeen::Wanted
    }
}

/// An image that is made of a snapshot, and not of what is in the vnode now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSave {
    pub vnode: VnodeId,
    /// The entry that asked for the image.
    pub save: LogIndex,
    /// The snapshot's number.
    pub snapshot: LogIndex,
}

/// A vnode whose disk is to begin as a copy of another's snapshot. There until it has run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCopy {
    /// Whose disk it will be.
    pub vnode: VnodeId,
    /// Whose snapshot it is, of the same owner; it stays until the copy is there.
    pub from: VnodeId,
    /// The snapshot's number and name.
    pub snapshot: LogIndex,
    pub name: Name,
}

/// When snapshots of all vnodes of a vcluster are taken by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSchedule {
    pub vcluster: VclusterId,
    pub owner: UserId,
    pub rhythm: SnapshotRhythm,
    pub set_at: UnixMs,
    /// When the next are due.
    pub next_at: UnixMs,
    /// Why there was none of some vnode the last time; empty if there is nothing to say.
    pub trouble: String,
}

/// What people say of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRhythm {
    pub every_ms: u64,
    /// Of each vnode so many stay, the newest.
    pub keep: u32,
    /// How long each stays at most.
    pub ttl_ms: Option<u64>,
}

impl SnapshotRhythm {
    /// A minute to a year.
    pub const EVERY_MS_RANGE: std::ops::RangeInclusive<u64> = 60_000..=366 * 24 * 3_600_000;
    /// Some of the room that a vnode has is left to its owner.
    pub const KEEP_RANGE: std::ops::RangeInclusive<u32> = 1..=24;
}

impl SnapshotSchedule {
    /// The last time at which one was due by `now`, and the next: whatever was missed is due once.
    #[must_use]
    pub fn turn(&self, now: UnixMs) -> (UnixMs, UnixMs) {
        let every_ms = self.rhythm.every_ms.max(1);
        let missed = now.since_ms(self.next_at) / every_ms;
        let last = self.next_at.plus_ms(missed.saturating_mul(every_ms));
        (last, last.plus_ms(every_ms))
    }
}
