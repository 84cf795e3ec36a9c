//! What is asked for only so that the trail has it, since version 3.

use serde::{Deserialize, Serialize};

use super::tried::Tried;
use crate::id::{MasterId, VnodeId};
use crate::model::PortNumber;

/// Says what somebody is about to do that changes no row. Doors ask before they do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditCommand {
    /// Looks at a terminal of a vnode, and may type.
    OpenTerminal { vnode: VnodeId },
    /// Runs a program in a vnode: its name without arguments, which may be secret.
    RunProgram { vnode: VnodeId, program: String },
    /// Reads a file of a vnode, or all in a directory if the path ends with a slash.
    ReadFiles { vnode: VnodeId, path: String },
    /// Writes one, or into a directory.
    WriteFiles { vnode: VnodeId, path: String },
    /// Deletes one, or all in a directory.
    DeleteFiles { vnode: VnodeId, path: String },
    /// Gives one another path.
    MoveFiles {
        vnode: VnodeId,
        from: String,
        to: String,
    },
    /// Connects to a port of a vnode, or comes to do so.
    ForwardPort { vnode: VnodeId, port: PortNumber },
    /// What a master's door refused before anything of it became an entry.
    NoteRefused(Tried),
    /// Lets a master lead, whoever leads now.
    TransferLeadership { master: MasterId },
    /// Makes a master safe to stop.
    DrainMaster { master: MasterId },
}

impl AuditCommand {
    /// The vnode that somebody goes into, if somebody does.
    #[must_use]
    pub fn vnode(&self) -> Option<VnodeId> {
        match self {
            Self::OpenTerminal { vnode }
            | Self::RunProgram { vnode, .. }
            | Self::ReadFiles { vnode, .. }
            | Self::WriteFiles { vnode, .. }
            | Self::DeleteFiles { vnode, .. }
            | Self::MoveFiles { vnode, .. }
            | Self::ForwardPort { vnode, .. } => Some(*vnode),
            Self::NoteRefused(_) | Self::TransferLeadership { .. } | Self::DrainMaster { .. } => {
                None
            }
        }
    }

    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OpenTerminal { .. } => "OpenTerminal",
            Self::RunProgram { .. } => "RunProgram",
            Self::ReadFiles { .. } => "ReadFiles",
            Self::WriteFiles { .. } => "WriteFiles",
            Self::DeleteFiles { .. } => "DeleteFiles",
            Self::MoveFiles { .. } => "MoveFiles",
            Self::ForwardPort { .. } => "ForwardPort",
            Self::NoteRefused(_) => "NoteRefused",
            Self::TransferLeadership { .. } => "TransferLeadership",
            Self::DrainMaster { .. } => "DrainMaster",
        }
    }
}
