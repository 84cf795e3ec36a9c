//! What happened to shared terminals, since version 3.

use serde::{Deserialize, Serialize};

use crate::event::VnodeRef;
use crate::id::{LogIndex, SecretHash, TerminalSession, UserId};
use crate::model::{Share, User};
use crate::permit;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TerminalEvent {
    /// It may be looked at by a link from now on.
    Shared { about: VnodeRef, share: Share },
    /// It may not any more.
    Unshared {
        about: VnodeRef,
        share: LogIndex,
        why: UnshareWhy,
    },
    /// Somebody came by the link.
    Joined {
        about: VnodeRef,
        share: LogIndex,
        guest: UserId,
    },
}

/// Why a link is good for nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnshareWhy {
    /// Somebody who may go into the vnode ended it.
    Revoked { by: UserId },
    /// Its time is over.
    Expired,
    /// Whoever made it may not go into the vnode any more.
    Void,
    /// Whoever made it has another password.
    Password,
}

impl TerminalEvent {
    /// The vnode, and whose it is.
    #[must_use]
    pub fn about(&self) -> VnodeRef {
        match self {
            Self::Shared { about, .. }
            | Self::Unshared { about, .. }
            | Self::Joined { about, .. } => *about,
        }
    }

    /// Whether `asker` may be told of it: whoever may go into the vnode.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        permit::owns(asker, self.about().owner)
    }

    /// As it may be shown: what finds a link or a terminal never leaves the masters.
    pub fn hide_secrets(&mut self) {
        match self {
            Self::Shared { share, .. } => {
                share.secret = SecretHash([0; 32]);
                share.session = TerminalSession([0; 16]);
            }
            Self::Unshared { .. } | Self::Joined { .. } => {}
        }
    }
}
