//! Who may ask for what of the trash.

use super::Needs;
use crate::trash::command::TrashCommand;

/// Whose what is in the trash is, decide asks: to everybody else it is as if it were gone.
pub(super) fn needs(command: &TrashCommand) -> Needs<'_> {
    match command {
        TrashCommand::Discard { vcluster } => Needs::OwnerOf(*vcluster),
        TrashCommand::Undelete { .. } | TrashCommand::Purge { .. } => Needs::Person,
        TrashCommand::SetPolicy { .. } => Needs::Admin,
        TrashCommand::Empty | TrashCommand::Warn { .. } | TrashCommand::Release { .. } => {
            Needs::Duty
        }
    }
}
