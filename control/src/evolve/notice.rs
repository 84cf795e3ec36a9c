//! Notices, who has read them, mails and bug reports.

use crate::id::{MailId, NoticeId, UnixMs, UserId};
use crate::model::Bug;
use crate::model::mail::{Mail, MailStage};
use crate::model::notice::To;
use crate::notice::bug::BugEvent;
use crate::notice::event::NoticeEvent;
use crate::notice::mail::MailEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: NoticeEvent) {
    match event {
        NoticeEvent::Told { notice, .. } => state.put_notice(notice),
        NoticeEvent::Gone { notice, .. } => gone(state, notice.id),
        NoticeEvent::ReaderSet { reader } => {
            if state.users.contains_key(&reader.user) {
                state.put_reader(reader);
            }
        }
        NoticeEvent::Mail(event) => mail(state, event),
        NoticeEvent::Bug(event) => bug(state, event),
    }
}

/// With the mails that say the same.
fn gone(state: &mut State, notice: NoticeId) {
    let mails: Vec<MailId> = state.mails_of(notice).map(|mail| mail.id).collect();
    for mail in mails {
        state.remove_mail(&mail);
    }
    state.remove_notice(&notice);
}

fn mail(state: &mut State, event: MailEvent) {
    match event {
        MailEvent::ServerSet { server } => state.mail_server = server,
        MailEvent::Queued { mails } => mails.into_iter().for_each(|mail| state.put_mail(mail)),
        MailEvent::Staged {
            mail,
            stage,
            tries,
            cause,
        } => {
            if let Some(mut row) = state.mails.get(&mail).cloned() {
                row.stage = stage;
                row.tries = tries;
                row.cause = cause;
                state.put_mail(row);
            }
        }
        MailEvent::Delivered { mail, .. } => state.remove_mail(&mail),
        MailEvent::Forgotten { mails } => mails.iter().for_each(|mail| state.remove_mail(mail)),
    }
}

fn bug(state: &mut State, event: BugEvent) {
    match event {
        BugEvent::Reported { bug } => state.put_bug(bug),
        BugEvent::Answered {
            bug,
            answer,
            closed,
            ..
        } => {
            if let Some(mut row) = state.bugs.get(&bug).cloned() {
                row.answer = answer.or(row.answer);
                row.closed = closed;
                state.put_bug(row);
            }
        }
        BugEvent::Forgotten { bug, .. } => state.remove_bug(&bug),
    }
}

/// Who cannot use their account gets none of the mails that wait.
pub(super) fn kept_out(state: &mut State, user: UserId) {
    let waits = |stage| matches!(stage, MailStage::Waiting { .. });
    let mails = state.mails_to(user).filter(|mail| waits(mail.stage));
    let mails: Vec<MailId> = mails.map(|mail| mail.id).collect();
    for mail in mails {
        state.remove_mail(&mail);
    }
}

/// Nothing of it was for anybody else, but what they found wrong.
pub(super) fn left(state: &mut State, user: UserId) {
    let notices = state.notices_to(To::User(user)).map(|notice| notice.id);
    let notices: Vec<NoticeId> = notices.collect();
    for notice in notices {
        gone(state, notice);
    }
    let mails: Vec<MailId> = state.mails_to(user).map(|mail| mail.id).collect();
    for mail in mails {
        state.remove_mail(&mail);
    }
    let bugs: Vec<Bug> = state.bugs_of(user).cloned().collect();
    for bug in bugs {
        state.put_bug(Bug { by: None, ..bug });
    }
    state.remove_reader(&user);
}

/// What the cluster that this state is of has sent meanwhile, nobody knows.
pub(super) fn went_on_alone(state: &mut State, at: UnixMs) {
    let open = state
        .mails
        .values()
        .filter(|mail| mail.has_ended().is_none());
    let open: Vec<Mail> = open.cloned().collect();
    for mail in open {
        state.put_mail(Mail {
            stage: MailStage::Unsure { at },
            cause: "it was in a backup, or its cluster went on without the other masters"
                .to_owned(),
            ..mail
        });
    }
}
