//! Why something about a snapshot is refused.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
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
    #[error(
        "snapshot \"{name}\" of vnode \"{vnode}\" is of a disk that holds {has_mib} MiB, and {given_mib} MiB is less: a disk only grows; ask for as much at least, or leave it out"
    )]
    DiskTooSmall {
        vnode: String,
        name: String,
        has_mib: u64,
        given_mib: u64,
    },
    #[error(
        "snapshot \"{name}\" of vnode \"{vnode}\" is another person's, and so are the user ids of what is in it: let them make the vcluster, or make an image of it with `docklet image save`"
    )]
    OfAnother { vnode: String, name: String },
    #[error(
        "image \"{image}\", of which the vnode of that snapshot is made, is not shared with you any more: ask its owner to share it again"
    )]
    ImageWithdrawn { image: String },
    #[error(
        "snapshot \"{name}\" of vnode \"{vnode}\" is being copied for vcluster \"{vcluster}\": wait until that has run, or delete that vcluster first"
    )]
    Copying {
        vnode: String,
        name: String,
        vcluster: String,
    },
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
            Self::DiskTooSmall { .. } => "disk_too_small",
            Self::OfAnother { .. } => "snapshot_of_another",
            Self::ImageWithdrawn { .. } => "image_withdrawn",
            Self::Copying { .. } => "snapshot_copying",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::NameReserved { .. } | Self::DiskTooSmall { .. } => RefusalClass::Invalid,
            Self::OfAnother { .. } | Self::ImageWithdrawn { .. } => RefusalClass::Forbidden,
            Self::TooMany { .. }
            | Self::NotTaken { .. }
            | Self::Restoring { .. }
            | Self::NoDisk { .. }
            | Self::Copying { .. } => RefusalClass::Conflict,
        }
    }
}
