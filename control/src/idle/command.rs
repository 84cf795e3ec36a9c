//! What is asked about vnodes that do nothing, since version 3.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, VclusterId, VnodeId, WorkerId};

/// A vnode that has done nothing for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleReport {
    pub vnode: VnodeId,
    pub epoch: Epoch,
    /// By the worker's own count: clocks may differ.
    pub for_ms: u64,
}

/// Asks for something about them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdleCommand {
    /// A worker's vnodes that do nothing: these and no others.
    Report {
        worker: WorkerId,
        idle: Vec<IdleReport>,
    },
    /// The leader's duty: these have done nothing for longer than their owners' quota.
    Stop { vclusters: Vec<VclusterId> },
}

impl IdleCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Report { .. } => "ReportIdle",
            Self::Stop { .. } => "StopIdle",
        }
    }
}
