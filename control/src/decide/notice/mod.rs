//! Notices: told by operators to anybody, by managers to their groups, and by the cluster itself; read by whom they are for.
//! Since version 3.

mod bug;
mod mail;

use std::collections::BTreeSet;

use super::{Decision, Ground, group, in_range, lines, role};
use crate::event::Event;
use crate::id::{GroupId, MailId, NoticeId};
use crate::model::User;
use crate::model::mail::{Mail, MailStage};
use crate::model::notice::{MailWish, Notice, Reader, To};
use crate::notice::command::{Audience, NewNotice, NoticeCommand};
use crate::notice::event::NoticeEvent;
use crate::notice::mail::MailEvent;
use crate::notice::news::Moment;
use crate::notice::refusal::NoticeRefusal;
use crate::notice::{inbox, is_for, is_kept_by, is_shown_to, told};
use crate::permit;
use crate::refusal::Refusal;

impl<'e> Ground<'e> {
    /// For telling somebody what the entry does, to those who are there before it.
    pub(super) fn moment(self) -> Moment<'e> {
        Moment {
            state: self.state,
            index: self.index,
            at: self.entry.at,
        }
    }

    pub(super) fn asker(self) -> Result<&'e User, Refusal> {
        permit::person(self.state, self.entry.actor)
    }
}

pub(super) fn decide(ground: Ground<'_>, command: &NoticeCommand) -> Result<Decision, Refusal> {
    let events = match command {
        NoticeCommand::Announce(new) => announce(ground, new)?,
        NoticeCommand::Withdraw { notice } => withdraw(ground, *notice)?,
        NoticeCommand::Read { notices } => read(ground, notices)?,
        NoticeCommand::ReadAll { upto } => read_all(ground, *upto)?,
        NoticeCommand::SetWish { wish } => set_wish(ground, *wish)?,
        NoticeCommand::ForgetOld => forget_old(ground),
        NoticeCommand::Mail(command) => mail::decide(ground, command)?,
        NoticeCommand::Bug(command) => bug::decide(ground, command)?,
    };
    Ok(Decision::quiet(events))
}

fn announce(ground: Ground<'_>, new: &NewNotice) -> Result<Vec<Event>, Refusal> {
    let (state, asker) = (ground.state, ground.asker()?);
    let to = match &new.to {
        Audience::User(name) => To::User(role::named(state, name)?.id),
        Audience::Group(name) => To::Group(group::named(ground, name)?.id),
        Audience::All => To::All,
    };
    said_in_a_line("title", &new.title, Notice::TITLE_LEN_MAX)?;
    lines("text", &new.body, Notice::BODY_LEN_MAX)?;
    check_link(&new.link)?;
    let ttl_ms = new.ttl_ms.unwrap_or(Notice::TTL_MS);
    in_range("time", ttl_ms, Notice::TTL_MS_RANGE, "ms")?;
    refuse_too_many(ground, to)?;
    let notice = Notice {
        id: NoticeId::default(),
        to,
        severity: new.severity,
        title: new.title.trim().to_owned(),
        body: new.body.trim().to_owned(),
        link: new.link.clone(),
        author: Some(asker.id),
        by: asker.name.to_string(),
        since: ground.entry.at,
        until: ground.entry.at.plus_ms(ttl_ms),
    };
    let mut telling = ground.moment().telling();
    telling.say(notice, new.mail);
    if telling.mails() > Mail::KEPT_MAX.saturating_sub(open_mails(ground)) {
        return Err(NoticeRefusal::TooManyMails {
            mails: state.mails.len() as u64,
        }
        .into());
    }
    Ok(telling.done())
}

fn open_mails(ground: Ground<'_>) -> usize {
    let mails = ground.state.mails.values();
    mails.filter(|mail| mail.has_ended().is_none()).count()
}

fn refuse_too_many(ground: Ground<'_>, to: To) -> Result<(), Refusal> {
    let exhausted = |scope: String| Refusal::Exhausted {
        what: "notice".to_owned(),
        scope,
    };
    let many = ground.state.notices_to_many();
    let many = many.filter(|notice| notice.is_announcement());
    let full = many.count() >= Notice::ANNOUNCEMENTS_MAX;
    let of_group = ground.state.notices_to(to).count() >= Notice::PER_GROUP_MAX;
    match to {
        To::User(_) | To::Admins => Ok(()),
        To::Group(_) if of_group => {
            let most = Notice::PER_GROUP_MAX;
            Err(exhausted(format!("the {most} to one group")))
        }
        To::Group(_) | To::All if full => {
            let most = Notice::ANNOUNCEMENTS_MAX;
            Err(exhausted(format!("the {most} to groups and everybody")))
        }
        To::Group(_) | To::All => Ok(()),
    }
}

/// Within the portal: nobody is led elsewhere by what looks like the cluster's own words.
fn check_link(link: &str) -> Result<(), Refusal> {
    super::plain_text("link", link, Notice::LINK_LEN_MAX)?;
    let within = link.starts_with('/') && !link.starts_with("//");
    let odd = |c: char| c.is_whitespace() || c == '\\' || !c.is_ascii();
    if link.is_empty() || within && !link.contains(odd) {
        return Ok(());
    }
    Err(Refusal::Malformed {
        what: "link".to_owned(),
        cause: "it is no path of the portal, as /vclusters".to_owned(),
    })
}

/// Refuses what says nothing, is too long, or has more than one line.
fn said_in_a_line(what: &str, given: &str, most: usize) -> Result<(), Refusal> {
    super::plain_text(what, given, most)?;
    said(what, given)
}

fn said(what: &str, given: &str) -> Result<(), Refusal> {
    if given.trim().is_empty() {
        return Err(Refusal::Malformed {
            what: what.to_owned(),
            cause: "it says nothing".to_owned(),
        });
    }
    Ok(())
}

/// The notice, if the asker may know of it.
fn shown(ground: Ground<'_>, id: NoticeId) -> Result<&Notice, Refusal> {
    let asker = ground.asker()?;
    let notice = ground.state.notices.get(&id);
    let notice = notice.filter(|notice| is_shown_to(ground.state, notice, asker));
    notice.ok_or_else(|| Refusal::not_found("notice", id))
}

pub(super) fn withdraw(ground: Ground<'_>, id: NoticeId) -> Result<Vec<Event>, Refusal> {
    let notice = shown(ground, id)?;
    if !is_kept_by(ground.state, notice, ground.asker()?) {
        return Err(Refusal::NotPermitted {
            action: "withdraw this notice".to_owned(),
            needed: match notice.to {
                To::Group(_) => "a manager of its group or the role admin".to_owned(),
                To::User(_) | To::Admins | To::All => {
                    "the operator who said it or the role admin".to_owned()
                }
            },
        });
    }
    Ok(vec![gone(ground, notice)])
}

/// What was taken back is there again under its number, and whoever had read it has. Nobody gets another mail of it.
pub(super) fn again(ground: Ground<'_>, notice: &Notice) -> Result<Vec<Event>, Refusal> {
    let state = ground.state;
    let is_there = match notice.to {
        To::User(user) => state.users.contains_key(&user),
        To::Group(group) => state.groups.contains_key(&group),
        To::Admins | To::All => true,
    };
    if !is_there || notice.until <= ground.entry.at {
        return Err(NoticeRefusal::Over.into());
    }
    refuse_too_many(ground, notice.to)?;
    let mut telling = ground.moment().telling();
    telling.again(notice.clone());
    Ok(telling.done())
}

fn gone(ground: Ground<'_>, notice: &Notice) -> Event {
    Event::Notice(NoticeEvent::Gone {
        told: told(ground.state, notice.to),
        notice: notice.clone(),
    })
}

/// A group goes, and with it what was for nobody else.
pub(super) fn without_group(ground: Ground<'_>, group: GroupId) -> Vec<Event> {
    let notices = ground.state.notices_to(To::Group(group));
    notices.map(|notice| gone(ground, notice)).collect()
}

fn reader_set(before: &Reader, reader: Reader) -> Vec<Event> {
    if reader == *before {
        return Vec::new();
    }
    vec![Event::Notice(NoticeEvent::ReaderSet { reader })]
}

fn read(ground: Ground<'_>, ids: &[NoticeId]) -> Result<Vec<Event>, Refusal> {
    let (state, asker) = (ground.state, ground.asker()?);
    let most = Reader::READ_MAX as u64;
    in_range("notices", ids.len() as u64, 1..=most, "notices")?;
    let before = state.reader_of(asker.id);
    let mut reader = before.clone();
    for id in ids {
        let notice = state.notices.get(id);
        let notice = notice.filter(|notice| is_for(state, notice, asker));
        notice.ok_or_else(|| Refusal::not_found("notice", id))?;
        if !reader.has_read(*id) {
            reader.read.insert(*id);
        }
    }
    // What is there no more need not be remembered.
    let kept = reader
        .read
        .iter()
        .filter(|id| state.notices.contains_key(id));
    reader.read = kept.copied().collect();
    Ok(reader_set(&before, reader))
}

/// What came meanwhile was not seen and stays unread.
fn read_all(ground: Ground<'_>, upto: NoticeId) -> Result<Vec<Event>, Refusal> {
    let (state, asker) = (ground.state, ground.asker()?);
    let before = state.reader_of(asker.id);
    let inbox = inbox(state, asker);
    let seen = inbox.iter().rev().find(|notice| notice.id <= upto);
    let Some(seen) = seen.filter(|seen| seen.id > before.upto) else {
        return Ok(Vec::new());
    };
    let mut reader = before.clone();
    reader.upto = seen.id;
    let later = reader.read.iter().filter(|id| **id > seen.id);
    reader.read = later.copied().collect();
    Ok(reader_set(&before, reader))
}

fn set_wish(ground: Ground<'_>, wish: MailWish) -> Result<Vec<Event>, Refusal> {
    let before = ground.state.reader_of(ground.asker()?.id);
    let reader = Reader {
        wish,
        ..before.clone()
    };
    Ok(reader_set(&before, reader))
}

fn forget_old(ground: Ground<'_>) -> Vec<Event> {
    let (state, at) = (ground.state, ground.entry.at);
    let over = state.notices_over(at);
    let mut events: Vec<Event> = over.map(|notice| gone(ground, notice)).collect();
    let about: BTreeSet<NoticeId> = state.notices_over(at).map(|notice| notice.id).collect();
    let mut forgotten: Vec<MailId> = Vec::new();
    for mail in state.mails_over(at) {
        // It goes with its notice.
        if mail::notice_of(mail).is_some_and(|notice| about.contains(&notice)) {
            continue;
        }
        match mail.stage {
            MailStage::Waiting { .. } => events.push(mail::staged(
                mail,
                MailStage::GivenUp { at },
                mail.tries,
                mail.cause.clone(),
            )),
            MailStage::Begun { .. } => {}
            MailStage::Unsure { .. } | MailStage::GivenUp { .. } => forgotten.push(mail.id),
        }
    }
    if !forgotten.is_empty() {
        let mails = forgotten;
        let event = NoticeEvent::Mail(MailEvent::Forgotten { mails });
        events.push(Event::Notice(event));
    }
    events
}
