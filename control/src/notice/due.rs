//! What the leader must do about notices and mails as time goes by. Sending mails is the work of the doors of the master that
//! leads.

use super::command::NoticeCommand;
use super::mail::MailCommand;
use crate::command::Command;
use crate::id::UnixMs;
use crate::model::mail::{Mail, MailStage};
use crate::state::State;

/// What is due at `now`.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Vec<Command> {
    let over = state.notices_over(now).next().is_some();
    let begun = |mail: &Mail| matches!(mail.stage, MailStage::Begun { .. });
    let silent = state.mails_over(now).any(begun);
    let old = over || state.mails_over(now).any(|mail| !begun(mail));
    let forget = old.then_some(NoticeCommand::ForgetOld);
    let doubt = silent.then_some(NoticeCommand::Mail(MailCommand::DoubtSilent));
    forget
        .into_iter()
        .chain(doubt)
        .map(Command::Notice)
        .collect()
}
