//! What happened to vnodes that do nothing, since version 3.

use serde::{Deserialize, Serialize};

use crate::event::{VclusterRef, VnodeRef};
use crate::id::UserId;
use crate::model::idle::VnodeIdle;

/// One fact of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdleEvent {
    /// It does nothing since then.
    Rested { about: VnodeRef, idle: VnodeIdle },
    /// It does something again.
    Woke { about: VnodeRef },
    /// It is stopped for it, after so many minutes.
    Stopped { about: VclusterRef, minutes: u64 },
}

impl IdleEvent {
    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> UserId {
        match self {
            Self::Rested { about, .. } | Self::Woke { about } => about.owner,
            Self::Stopped { about, .. } => about.owner,
        }
    }
}
