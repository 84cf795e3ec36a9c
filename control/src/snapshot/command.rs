//! What can be asked of snapshots. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::amount::{DiskMib, VnodeSize};
use crate::id::{VclusterId, VnodeId, WorkerId};
use crate::model::{GpuWish, Rules, SnapshotRhythm};
use crate::report::SnapshotReport;

/// Asks for something of snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotCommand {
    /// One of what is on the disk now, of each of these vnodes.
    Take {
        of: SnapshotOf,
        name: String,
        ttl_ms: Option<u64>,
    },
    /// Those of this name go; one that is not taken yet will not be.
    Delete { of: SnapshotOf, name: String },
    /// The disks become what they were. A vnode that runs is stopped for it and started again.
    Restore { of: SnapshotOf, name: String },
    /// From now on they are taken by themselves; not any more if there is no rhythm.
    SetSchedule {
        vcluster: VclusterId,
        rhythm: Option<SnapshotRhythm>,
    },
    /// The time of these vclusters has come.
    TakeScheduled { vclusters: Vec<VclusterId> },
    /// The time of some is over.
    Expire,
    /// What a worker has to say of snapshots and restores that it was told of.
    Report {
        worker: WorkerId,
        reports: Vec<SnapshotReport>,
    },
    /// An image of what a snapshot has, under this name of the asker's.
    Save {
        vnode: VnodeId,
        snapshot: String,
        image: String,
        label: String,
    },
    /// A vcluster whose first vnode begins with what a snapshot has; it is made of the same image, for the same owner.
    CreateVcluster {
        name: String,
        vnode: VnodeId,
        snapshot: String,
        vnodes: u32,
        size: VnodeSize,
        /// As large as the snapshot's if absent, and never smaller.
        disk_mib: Option<DiskMib>,
        gpus: GpuWish,
        #[serde(default)]
        rules: Rules,
    },
}

/// Whose snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotOf {
    Vnode(VnodeId),
    /// Of each of its vnodes, one after the other.
    Vcluster(VclusterId),
}

impl SnapshotCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Take { .. } => "TakeSnapshot",
            Self::Delete { .. } => "DeleteSnapshot",
            Self::Restore { .. } => "RestoreSnapshot",
            Self::SetSchedule { .. } => "SetSnapshotSchedule",
            Self::TakeScheduled { .. } => "TakeScheduledSnapshots",
            Self::Expire => "ExpireSnapshots",
            Self::Report { .. } => "ReportSnapshots",
            Self::Save { .. } => "SaveSnapshot",
            Self::CreateVcluster { .. } => "CreateVclusterOfSnapshot",
        }
    }
}
