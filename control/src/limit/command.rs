//! What can be asked of limits. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::amount::DiskMib;
use crate::id::{UserId, VclusterId, WorkerId};
use crate::model::{Bandwidth, HomeUsual, SizeChange};
use crate::report::ResizeReport;

/// Asks for something of limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitCommand {
    /// All its vnodes get other limits, those that are added later too.
    Resize {
        vcluster: VclusterId,
        change: SizeChange,
    },
    /// What no vnode may send or receive more than, whatever its owner wishes.
    SetBandwidthCeiling { ceiling: Bandwidth },
    /// What a worker has to say of new limits that it was told of.
    Report {
        worker: WorkerId,
        reports: Vec<ResizeReport>,
    },
    /// What a home holds whose owner has no size of their own.
    SetUsualHome { usual: HomeUsual },
    /// What one person's home holds; the usual if none.
    SetHome {
        user: UserId,
        disk_mib: Option<DiskMib>,
    },
}

impl LimitCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Resize { .. } => "Resize",
            Self::SetBandwidthCeiling { .. } => "SetBandwidthCeiling",
            Self::Report { .. } => "ReportResizes",
            Self::SetUsualHome { .. } => "SetUsualHome",
            Self::SetHome { .. } => "SetHome",
        }
    }
}
