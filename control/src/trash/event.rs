//! What happened to the trash, since version 3.

use serde::{Deserialize, Serialize};

use crate::event::VclusterRef;
use crate::id::{LogIndex, UnixMs, UserId};
use crate::model::User;
use crate::model::kept::{Kept, KeptKind};
use crate::model::trash::{TrashPolicy, Trashed};
use crate::name::Name;
use crate::permit;

/// One fact of the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrashEvent {
    PolicySet {
        policy: TrashPolicy,
    },
    /// It is in the trash from now on.
    Discarded {
        trashed: Trashed,
    },
    /// It is a vcluster again, and is called so.
    Restored {
        about: VclusterRef,
        name: Name,
    },
    /// Its owner was told that it goes then, if nobody starts it.
    Warned {
        about: VclusterRef,
        release_at: UnixMs,
    },
    /// Something else than a vcluster is in the trash from now on.
    Kept {
        kept: Box<Kept>,
    },
    /// It is there again, and is called so.
    Recovered {
        about: KeptRef,
        name: Name,
    },
    /// It is gone for good.
    Dropped {
        about: KeptRef,
    },
}

/// Which thing of the trash, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRef {
    pub number: LogIndex,
    pub owner: UserId,
    pub kind: KeptKind,
    /// What it was called.
    pub name: Name,
}

impl From<&Kept> for KeptRef {
    fn from(kept: &Kept) -> Self {
        Self {
            number: kept.number,
            owner: kept.owner,
            kind: kept.kind(),
            name: kept.name().clone(),
        }
    }
}

impl TrashEvent {
    /// Whether `asker` may be told of it. What else than vclusters is deleted is nobody's but its owner's and admins'.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        match self {
            Self::PolicySet { .. } => true,
            Self::Discarded { trashed } => permit::watches(asker, trashed.owner),
            Self::Restored { about, .. } | Self::Warned { about, .. } => {
                permit::watches(asker, about.owner)
            }
            Self::Kept { kept } => permit::owns(asker, kept.owner),
            Self::Recovered { about, .. } | Self::Dropped { about } => {
                permit::owns(asker, about.owner)
            }
        }
    }
}
