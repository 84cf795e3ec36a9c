//! What is asked for only so that the trail has it, since version 3.

use serde::{Deserialize, Serialize};

use crate::id::VnodeId;

/// Says what somebody is about to do that changes no row. Doors ask before they do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditCommand {
    /// Looks at a terminal of a vnode, and may type.
    OpenTerminal { vnode: VnodeId },
    /// Runs a program in a vnode: its name without arguments, which may be secret.
    RunProgram { vnode: VnodeId, program: String },
}

impl AuditCommand {
    /// The vnode that somebody goes into.
    #[must_use]
    pub fn vnode(&self) -> VnodeId {
        match self {
            Self::OpenTerminal { vnode } | Self::RunProgram { vnode, .. } => *vnode,
        }
    }

    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OpenTerminal { .. } => "OpenTerminal",
            Self::RunProgram { .. } => "RunProgram",
        }
    }
}
