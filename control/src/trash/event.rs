//! What happened to the trash, since version 3.

use serde::{Deserialize, Serialize};

use crate::event::VclusterRef;
use crate::id::{UnixMs, UserId};
use crate::model::trash::{TrashPolicy, Trashed};
use crate::name::Name;

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
}

impl TrashEvent {
    /// Whose it is; nobody's if it is about the policy.
    #[must_use]
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::PolicySet { .. } => None,
            Self::Discarded { trashed } => Some(trashed.owner),
            Self::Restored { about, .. } | Self::Warned { about, .. } => Some(about.owner),
        }
    }
}
