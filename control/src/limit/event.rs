//! What happened to limits.

use serde::{Deserialize, Serialize};

use crate::amount::{DiskMib, VnodeSize};
use crate::event::{VclusterRef, VnodeRef};
use crate::id::{LogIndex, UserId};
use crate::model::{Bandwidth, HomeUsual, KbitPerS, User, VnodeResize};
use crate::permit;
use crate::report::ResizeTold;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitEvent {
    /// Vnodes that are added have this size.
    VclusterResized {
        about: VclusterRef,
        size: VnodeSize,
    },
    VnodeResized {
        about: VnodeRef,
        size: VnodeSize,
    },
    /// Its vnodes have this bandwidth each way, or the site's.
    BandwidthWished {
        about: VclusterRef,
        rate: Option<KbitPerS>,
    },
    BandwidthCeilingSet {
        ceiling: Bandwidth,
    },
    /// Its worker is to put its limits in force, and to say so.
    ResizeAsked {
        about: VnodeRef,
        resize: VnodeResize,
    },
    /// What its worker said of it.
    ResizeTold {
        about: VnodeRef,
        number: LogIndex,
        told: ResizeTold,
    },
    UsualHomeSet {
        usual: HomeUsual,
    },
    /// One person's home holds so much, or the usual.
    HomeSet {
        user: UserId,
        disk_mib: Option<DiskMib>,
    },
}

impl LimitEvent {
    /// Whether `asker` may be told of it. What a home holds is in everybody's view, limits of vnodes in that of operators.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        match self {
            Self::UsualHomeSet { .. } => true,
            Self::HomeSet { user, .. } => permit::owns(asker, *user),
            Self::VclusterResized { about, .. } | Self::BandwidthWished { about, .. } => {
                permit::watches(asker, about.owner)
            }
            Self::VnodeResized { about, .. }
            | Self::ResizeAsked { about, .. }
            | Self::ResizeTold { about, .. } => permit::watches(asker, about.owner),
            Self::BandwidthCeilingSet { .. } => asker.operates(),
        }
    }

    /// Whose they are; none if they are the site's.
    #[must_use]
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::VclusterResized { about, .. } | Self::BandwidthWished { about, .. } => {
                Some(about.owner)
            }
            Self::VnodeResized { about, .. }
            | Self::ResizeAsked { about, .. }
            | Self::ResizeTold { about, .. } => Some(about.owner),
            Self::HomeSet { user, .. } => Some(*user),
            Self::BandwidthCeilingSet { .. } | Self::UsualHomeSet { .. } => None,
        }
    }
}
