//! Who may say that they are about to do what.

use super::Needs;
use crate::audit::command::AuditCommand;

pub(super) fn needs(command: &AuditCommand) -> Needs<'_> {
    match command {
        AuditCommand::OpenTerminal { vnode }
        | AuditCommand::RunProgram { vnode, .. }
        | AuditCommand::ReadFiles { vnode, .. }
        | AuditCommand::WriteFiles { vnode, .. }
        | AuditCommand::DeleteFiles { vnode, .. }
        | AuditCommand::MoveFiles { vnode, .. }
        | AuditCommand::ForwardPort { vnode, .. } => Needs::OwnerOfVnode(*vnode),
        AuditCommand::NoteRefused(_) => Needs::Door,
        AuditCommand::TransferLeadership { .. } | AuditCommand::DrainMaster { .. } => {
            Needs::Operator
        }
    }
}
