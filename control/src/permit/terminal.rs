//! Who may ask for what of shared terminals.

use super::Needs;
use crate::terminal::command::TerminalCommand;

/// Whether one may be ended or looked at, decide asks: that it is there, is said only to who may know of it.
pub(super) fn needs(command: &TerminalCommand) -> Needs<'_> {
    match command {
        TerminalCommand::Share { vnode, .. } => Needs::OwnerOfVnode(*vnode),
        TerminalCommand::Unshare { .. } | TerminalCommand::Join { .. } => Needs::Person,
        TerminalCommand::Forget => Needs::Duty,
    }
}
