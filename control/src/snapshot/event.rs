//! What happened to snapshots.

use serde::{Deserialize, Serialize};

use crate::event::{VclusterRef, VnodeRef};
use crate::id::{LogIndex, UserId};
use crate::model::{
    Snapshot, SnapshotCopy, SnapshotRestore, SnapshotSave, SnapshotSchedule, SnapshotSeen,
};
use crate::name::Name;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotEvent {
    /// There is to be one.
    Asked { snapshot: Snapshot },
    /// What its worker said of it.
    Seen {
        about: VnodeRef,
        number: LogIndex,
        seen: SnapshotSeen,
    },
    /// It is gone, or will not come; its worker deletes what there is of it.
    Deleted {
        about: VnodeRef,
        number: LogIndex,
        name: Name,
    },
    /// A vnode is being put back to what one has, or was.
    RestoreSeen {
        about: VnodeRef,
        restore: SnapshotRestore,
    },
    /// They are taken by themselves, at these times.
    Scheduled { schedule: SnapshotSchedule },
    /// They are not any more.
    Unscheduled { about: VclusterRef },
    /// The image that is being made of the vnode is one of a snapshot.
    SaveSourced { about: VnodeRef, save: SnapshotSave },
    /// A new vnode's disk is to begin as a copy of one.
    CopyWanted { about: VnodeRef, copy: SnapshotCopy },
    /// It has: the vnode runs.
    Copied { about: VnodeRef },
}

impl SnapshotEvent {
    /// Whose they are.
    #[must_use]
    pub fn owner(&self) -> UserId {
        match self {
            Self::Asked { snapshot } => snapshot.owner,
            Self::Seen { about, .. }
            | Self::Deleted { about, .. }
            | Self::RestoreSeen { about, .. }
            | Self::SaveSourced { about, .. }
            | Self::CopyWanted { about, .. }
            | Self::Copied { about } => about.owner,
            Self::Scheduled { schedule } => schedule.owner,
            Self::Unscheduled { about } => about.owner,
        }
    }
}
