//! What a worker reports of its vnodes: transitions only, each for one epoch.

use serde::{Deserialize, Serialize};

use crate::amount::DiskMib;
use crate::id::{Digest, Epoch, LogIndex, VnodeId};
use crate::model::{Copied, Used, VnodeSeen};

/// What became of one vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeReport {
    /// The vnode.
    pub vnode: VnodeId,
    /// The placement that this is about; a report for an older one changes nothing.
    pub epoch: Epoch,
    /// What was seen.
    pub seen: Reported,
}

/// What a worker saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reported {
    /// It is there, in this condition.
    Present(VnodeSeen),
    /// Nothing of it is left on the worker: no process, file, mount or link.
    Gone,
}

/// What became of making an image of a vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveReport {
    pub vnode: VnodeId,
    /// The entry that asked for it.
    pub number: LogIndex,
    pub saved: Saved,
}

/// What a worker says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Saved {
    /// It is at it; the step is for people.
    Working { step: String },
    /// The worker holds the image.
    Done { digest: Digest, blob_bytes: u64 },
    /// It cannot be done.
    Failed { cause: String },
}

/// What became of a snapshot, or of restoring one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotReport {
    pub vnode: VnodeId,
    /// The entry that asked for it.
    pub number: LogIndex,
    pub told: SnapshotTold,
}

/// What a worker says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotTold {
    /// The worker has it.
    Taken {
        disk_mib: DiskMib,
        used_bytes: u64,
        /// How long the vnode stood still.
        still_us: u64,
    },
    /// It cannot be taken, or was lost.
    Failed { cause: String },
    /// The vnode has the disk of that snapshot now.
    Restored,
    /// It has the one that it had.
    NotRestored { cause: String },
}

/// What became of new limits of a vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeReport {
    pub vnode: VnodeId,
    /// The entry that asked for it.
    pub number: LogIndex,
    pub told: ResizeTold,
}

/// What a worker says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeTold {
    /// They hold: the kernel said so, or nothing runs for which they could.
    Done,
    /// Not yet. It is tried again.
    Waits { cause: String },
}

/// What a worker tells of a move that it has part in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveReport {
    pub vnode: VnodeId,
    /// The entry that asked for the move.
    pub number: LogIndex,
    pub told: MoveTold,
}

/// What it tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveTold {
    /// The worker to which it goes has copied so much.
    Copied(Copied),
    /// So little is left there that the vnode may be let stand still for it.
    Near,
    /// Everything is there, as it was when the vnode stood still.
    Whole,
    /// The vnode's processes cannot be taken along.
    NotLive { cause: String },
    /// It cannot be done; said by either worker.
    Failed { cause: String },
}

/// What a vnode has used since its placement began: not what came since the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub vnode: VnodeId,
    pub epoch: Epoch,
    pub used: Used,
    /// Nothing more follows: it is placed elsewhere, or gone.
    pub ended: bool,
}
