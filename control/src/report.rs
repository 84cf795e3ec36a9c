//! What a worker reports of its vnodes: transitions only, each for one epoch.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, Epoch, LogIndex, VnodeId};
use crate::model::VnodeSeen;

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
