//! What can be asked of shared terminals, since version 3.

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, SecretHash, TerminalSession, VnodeId};

/// Asks for something of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TerminalCommand {
    /// Whoever is logged in and has the link may look at this terminal for so long.
    Share {
        vnode: VnodeId,
        session: TerminalSession,
        /// Of what the link ends with.
        secret: SecretHash,
        /// They may type, too.
        types: bool,
        minutes: u32,
    },
    /// Nobody may any more.
    Unshare { share: LogIndex },
    /// Somebody comes by the link. A door asks before it lets them.
    Join { secret: SecretHash },
    /// Ends those that are good for nothing any more.
    Forget,
}

impl TerminalCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Share { .. } => "ShareTerminal",
            Self::Unshare { .. } => "UnshareTerminal",
            Self::Join { .. } => "JoinTerminal",
            Self::Forget => "ForgetShares",
        }
    }
}
