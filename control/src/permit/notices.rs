//! Who may ask for what of notices, mails and bug reports.

use super::Needs;
use crate::notice::bug::BugCommand;
use crate::notice::command::{Audience, NewNotice, NoticeCommand};
use crate::notice::mail::MailCommand;

/// Whether one may be withdrawn or read, decide asks: which there are is said only to whom they are for.
pub(super) fn needs(command: &NoticeCommand) -> Needs<'_> {
    match command {
        NoticeCommand::Announce(NewNotice { to, .. }) => match to {
            Audience::Group(group) => Needs::ManagerOf(group),
            Audience::User(_) | Audience::All => Needs::Operator,
        },
        NoticeCommand::Withdraw { .. }
        | NoticeCommand::Read { .. }
        | NoticeCommand::ReadAll { .. }
        | NoticeCommand::SetWish { .. }
        | NoticeCommand::Bug(BugCommand::Report { .. }) => Needs::Person,
        NoticeCommand::ForgetOld => Needs::Duty,
        NoticeCommand::Bug(BugCommand::Answer { .. } | BugCommand::Forget { .. }) => Needs::Admin,
        NoticeCommand::Mail(command) => mail_needs(command),
    }
}

fn mail_needs(command: &MailCommand) -> Needs<'_> {
    match command {
        MailCommand::SetServer { .. } | MailCommand::Test | MailCommand::Resend { .. } => {
            Needs::Admin
        }
        MailCommand::Begin { master, .. }
        | MailCommand::Sent { master, .. }
        | MailCommand::Failed { master, .. }
        | MailCommand::Doubt { master, .. } => Needs::ThisMaster(*master),
        MailCommand::DoubtSilent => Needs::Duty,
    }
}
