//! What happened that changes no row, since version 3.

use serde::{Deserialize, Serialize};

use super::tried::TriedThing;
use crate::event::VnodeRef;
use crate::id::{MasterId, UserId};
use crate::model::PortNumber;

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
    /// Somebody reads a file of one, or all in a directory if the path ends with a slash.
    FilesRead {
        about: VnodeRef,
        by: UserId,
        path: String,
    },
    /// Somebody writes one, or into a directory.
    FilesWritten {
        about: VnodeRef,
        by: UserId,
        path: String,
    },
    /// Somebody deletes one, or all in a directory.
    FilesDeleted {
        about: VnodeRef,
        by: UserId,
        path: String,
    },
    /// Somebody gives one another path.
    FilesMoved {
        about: VnodeRef,
        by: UserId,
        from: String,
        to: String,
    },
    /// Somebody connects to a port of one.
    PortForwarded {
        about: VnodeRef,
        by: UserId,
        port: PortNumber,
    },
    /// Somebody was refused something at a door, so often.
    Refused {
        of: Option<TriedThing>,
        by: Option<UserId>,
        times: u32,
    },
    /// Somebody wants a master to lead.
    LeaderChosen { master: MasterId, by: UserId },
    /// Somebody is about to stop a master.
    MasterDrained { master: MasterId, by: UserId },
}

impl AuditEvent {
    /// Who is told of it beside admins.
    #[must_use]
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::Refused { of, .. } => of.as_ref().map(TriedThing::owner),
            Self::TerminalOpened { .. }
            | Self::ProgramRun { .. }
            | Self::FilesRead { .. }
            | Self::FilesWritten { .. }
            | Self::FilesDeleted { .. }
            | Self::FilesMoved { .. }
            | Self::PortForwarded { .. }
            | Self::LeaderChosen { .. }
            | Self::MasterDrained { .. } => self.about().map(|about| about.owner),
        }
    }

    /// The vnode, and whose it is, if somebody went into one.
    #[must_use]
    pub fn about(&self) -> Option<VnodeRef> {
        match self {
            Self::TerminalOpened { about, .. }
            | Self::ProgramRun { about, .. }
            | Self::FilesRead { about, .. }
            | Self::FilesWritten { about, .. }
            | Self::FilesDeleted { about, .. }
            | Self::FilesMoved { about, .. }
            | Self::PortForwarded { about, .. } => Some(*about),
            Self::Refused { .. } | Self::LeaderChosen { .. } | Self::MasterDrained { .. } => None,
        }
    }

    /// The master, if it is about one.
    #[must_use]
    pub fn master(&self) -> Option<MasterId> {
        match self {
            Self::LeaderChosen { master, .. } | Self::MasterDrained { master, .. } => Some(*master),
            Self::TerminalOpened { .. }
            | Self::ProgramRun { .. }
            | Self::FilesRead { .. }
            | Self::FilesWritten { .. }
            | Self::FilesDeleted { .. }
            | Self::FilesMoved { .. }
            | Self::PortForwarded { .. }
            | Self::Refused { .. } => None,
        }
    }

    /// What of the vnode it is about, each with its kind.
    #[must_use]
    pub fn things(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::TerminalOpened { .. }
            | Self::Refused { .. }
            | Self::LeaderChosen { .. }
            | Self::MasterDrained { .. } => Vec::new(),
            Self::ProgramRun { program, .. } => vec![("program", program.clone())],
            Self::FilesRead { path, .. }
            | Self::FilesWritten { path, .. }
            | Self::FilesDeleted { path, .. } => vec![("file", path.clone())],
            Self::FilesMoved { from, to, .. } => {
                vec![("file", from.clone()), ("file", to.clone())]
            }
            Self::PortForwarded { port, .. } => vec![("port", port.to_string())],
        }
    }
}
