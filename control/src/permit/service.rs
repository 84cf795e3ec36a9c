//! Who may ask for what of services.

use super::Needs;
use crate::service::command::ServiceCommand;

/// Whose one is, and who may open it, decide asks: to everybody else it is as if it were not there.
pub(super) fn needs(command: &ServiceCommand) -> Needs<'_> {
    match command {
        ServiceCommand::Add(new) => Needs::OwnerOfVnode(new.vnode),
        ServiceCommand::Remove { .. }
        | ServiceCommand::Share { .. }
        | ServiceCommand::Open { .. } => Needs::Person,
        ServiceCommand::Enter { .. } => Needs::Door,
    }
}
