//! Why something about a snapshot is refused.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotRefusal {
    #[error(
        "vnode \"{vnode}\" has {most} snapshots, and one may have no more: delete one with `docklet snapshot delete`, or let them expire"
    )]
    TooMany { vnode: String, most: u32 },
    #[error(
        "snapshot \"{name}\" of vnode \"{vnode}\" is {condition}, not taken: see with `docklet snapshot list` when it is, or take another"
    )]
    NotTaken {
        vnode: String,
        name: String,
        condition: String,
    },
    #[error(
        "vnode \"{vnode}\" is being restored to \"{name}\": wait until that is done, `docklet snapshot list` says when"
    )]
    Restoring { vnode: String, name: String },
    #[error(
        "snapshot name \"{name}\" is one that Docklet gives by itself: choose one that does not begin with auto- or before-restore-"
    )]
    NameReserved { name: String },
    #[error(
        "vnode \"{vnode}\" has no disk yet, because no worker has it: wait until it runs, then take the snapshot"
    )]
    NoDisk { vnode: String },
}

impl SnapshotRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooMany { .. } => "too_many_snapshots",
            Self::NotTaken { .. } => "snapshot_not_taken",
            Self::Restoring { .. } => "snapshot_restoring",
            Self::NameReserved { .. } => "snapshot_name_reserved",
            Self::NoDisk { .. } => "vnode_without_disk",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::NameReserved { .. } => RefusalClass::Invalid,
            Self::TooMany { .. }
            | Self::NotTaken { .. }
            | Self::Restoring { .. }
            | Self::NoDisk { .. } => RefusalClass::Conflict,
        }
    }
}
