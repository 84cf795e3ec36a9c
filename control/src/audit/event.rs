//! What happened that changes no row, since version 3.

use serde::{Deserialize, Serialize};

use crate::event::VnodeRef;
use crate::id::UserId;

/// One fact, for the trail and for whoever follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditEvent {
    /// Somebody looks at a terminal of a vnode.
    TerminalOpened { about: VnodeRef, by: UserId },
    /// Somebody runs a program in one.
    ProgramRun {
        about: VnodeRef,
        by: UserId,
        program: String,
    },
}

impl AuditEvent {
    /// The vnode, and whose it is.
    #[must_use]
    pub fn about(&self) -> VnodeRef {
        match self {
            Self::TerminalOpened { about, .. } | Self::ProgramRun { about, .. } => *about,
        }
    }
}
