//! What can be asked of the scheduler. Texts are unchecked: decide checks them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{UnixMs, VclusterId, VnodeId, WorkerId};
use crate::model::{Rules, VnodeFence};

/// Asks for something that the scheduler goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScheduleCommand {
    /// Sets labels of a worker, and takes away those without a value.
    Label {
        worker: WorkerId,
        labels: BTreeMap<String, Option<String>>,
    },
    /// Nothing new comes to it from now on.
    Cordon { worker: WorkerId, reason: String },
    /// It takes vnodes again.
    Uncordon { worker: WorkerId },
    /// Other rules for a vcluster. What is placed already stays where it is.
    SetRules { vcluster: VclusterId, rules: Rules },
    /// A worker ends these vnodes by itself from now on when it is cut off.
    ReportFences {
        worker: WorkerId,
        fences: Vec<VnodeFence>,
    },
    /// The scheduler's answer for vnodes of a worker that is lost and has certainly ended them.
    RestartLost {
        worker: WorkerId,
        /// Since when it is down: if it was in touch meanwhile, nothing is certain any more.
        down_since: UnixMs,
        placed: Vec<(VnodeId, WorkerId)>,
    },
}

impl ScheduleCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Label { .. } => "LabelWorker",
            Self::Cordon { .. } => "CordonWorker",
            Self::Uncordon { .. } => "UncordonWorker",
            Self::SetRules { .. } => "SetRules",
            Self::ReportFences { .. } => "ReportFences",
            Self::RestartLost { .. } => "RestartLost",
        }
    }
}
