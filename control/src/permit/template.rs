//! Who may ask for what of templates.

use super::Needs;
use crate::template::command::TemplateCommand;

/// Whether one may be withdrawn, decide asks: whose it is, is said only to who may know of it.
pub(super) fn needs(command: &TemplateCommand) -> Needs<'_> {
    match command {
        TemplateCommand::Publish { group: None, .. } => Needs::Operator,
        TemplateCommand::Publish {
            group: Some(group), ..
        } => Needs::ManagerOf(group),
        TemplateCommand::Clone {
            whom: Some(whom), ..
        } => Needs::ManagerOf(&whom.group),
        TemplateCommand::Withdraw { .. } | TemplateCommand::Clone { whom: None, .. } => {
            Needs::Person
        }
    }
}
