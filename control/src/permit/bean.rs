//! Who may ask for what of beans.

use super::Needs;
use crate::bean::command::BeanCommand;

/// Of a purse of a group its managers give. Who may decide about a request, decide asks.
pub(super) fn needs(command: &BeanCommand) -> Needs<'_> {
    match command {
        BeanCommand::Set(_)
        | BeanCommand::SetRates(_)
        | BeanCommand::Grant { from: None, .. }
        | BeanCommand::Approve { from: None, .. }
        | BeanCommand::TakeBack { .. }
        | BeanCommand::SetAll { .. } => Needs::Admin,
        BeanCommand::Grant {
            from: Some(group), ..
        }
        | BeanCommand::Approve {
            from: Some(group), ..
        } => Needs::ManagerOf(group),
        BeanCommand::Request { .. }
        | BeanCommand::Decline { .. }
        | BeanCommand::Withdraw { .. } => Needs::Person,
        BeanCommand::Meter { worker, .. } => Needs::ThisWorker(*worker),
        BeanCommand::OpenPurses | BeanCommand::Stop { .. } => Needs::Duty,
    }
}
