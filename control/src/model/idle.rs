//! Vnodes that do nothing. Since version 3.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, UnixMs, VnodeId};

/// A vnode that runs and does nothing: no CPU to speak of, no network, nobody types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeIdle {
    pub vnode: VnodeId,
    /// Of which placement that was seen.
    pub epoch: Epoch,
    pub since: UnixMs,
}
