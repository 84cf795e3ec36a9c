//! Vnodes that are restarted elsewhere when their worker is lost. Since version 3.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, LogIndex, UnixMs, VnodeId};
use crate::model::Placement;

/// A worker has said that it ends a vnode by itself when its lease ends. Only such a vnode may be restarted elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VnodeFence {
    pub vnode: VnodeId,
    /// The placement that it is about.
    pub epoch: Epoch,
    /// The entry that asked for it: what was said of an earlier one holds no more.
    pub number: LogIndex,
}

/// The last time that a vnode began anew because its worker was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeLoss {
    pub vnode: VnodeId,
    /// Where it was, with its disk.
    pub lost: Placement,
    pub at: UnixMs,
}
