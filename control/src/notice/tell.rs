//! Telling somebody something, as a part of what an entry does. All who tell several things by one entry use one [`Telling`]:
//! it numbers them.

use std::collections::BTreeSet;

use super::event::NoticeEvent;
use super::mail::MailEvent;
use super::told;
use crate::event::Event;
use crate::id::{LogIndex, MailId, NoticeId, UnixMs, UserId};
use crate::model::account::Standing;
use crate::model::mail::{Mail, MailStage, MailText};
use crate::model::notice::{MailWish, Notice, Severity, To};
use crate::state::State;

/// What somebody is told by the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) severity: Severity,
    pub(crate) title: String,
    pub(crate) body: String,
    /// A path of the portal; empty if there is none.
    pub(crate) link: String,
}

/// What one entry tells.
pub(crate) struct Telling<'s> {
    state: &'s State,
    index: LogIndex,
    at: UnixMs,
    events: Vec<Event>,
    told: u32,
    gone: BTreeSet<NoticeId>,
    mails: Vec<Mail>,
}

impl<'s> Telling<'s> {
    /// By the entry at `index`, stamped with `at`, to those who are there in `state`.
    pub(crate) fn new(state: &'s State, index: LogIndex, at: UnixMs) -> Self {
        Self {
            state,
            index,
            at,
            events: Vec::new(),
            told: 0,
            gone: BTreeSet::new(),
            mails: Vec::new(),
        }
    }

    /// The cluster tells something; `mail` says whether it goes by mail, too, to whoever wants the important ones.
    pub(crate) fn tell(&mut self, to: To, text: Text, mail: bool) {
        let notice = Notice {
            id: NoticeId::default(),
            to,
            severity: text.severity,
            title: text.title,
            body: text.body,
            link: text.link,
            author: None,
            by: String::new(),
            since: self.at,
            until: self.at.plus_ms(Notice::TTL_MS),
        };
        self.say(notice, mail);
    }

    /// The same of a notice that is written already but for its number.
    pub(crate) fn say(&mut self, notice: Notice, mail: bool) {
        let id = NoticeId {
            entry: self.index,
            part: self.told,
        };
        self.told += 1;
        let notice = Notice { id, ..notice };
        self.make_room(notice.to);
        if self.state.mail_server.is_some() {
            let people = people(self.state, notice.to);
            for user in people {
                self.mail(user, MailText::Of(id), mail);
            }
        }
        let told = told(self.state, notice.to);
        self.add(NoticeEvent::Told { notice, told });
    }

    /// One that was taken back is there again.
    pub(crate) fn again(&mut self, notice: Notice) {
        self.make_room(notice.to);
        let told = told(self.state, notice.to);
        self.add(NoticeEvent::Told { notice, told });
    }

    /// A mail to somebody who has no account, if mails are sent at all.
    pub(crate) fn write(&mut self, address: &str, subject: &str, body: String) {
        let subject = subject.to_owned();
        if self.state.mail_server.is_some() && !address.is_empty() {
            self.queue(None, address, MailText::Own { subject, body });
        }
    }

    /// How many mails it makes.
    pub(crate) fn mails(&self) -> usize {
        self.mails.len()
    }

    /// All of it. A cluster keeps so many mails: those that ended make room, and beyond that nobody gets more.
    pub(crate) fn done(mut self) -> Vec<Event> {
        let kept = self.state.mails.len();
        let over = (kept + self.mails.len()).saturating_sub(Mail::KEPT_MAX);
        let ended = self.state.mails.values();
        let ended = ended.filter(|mail| mail.has_ended().is_some());
        let forgotten: Vec<MailId> = ended.take(over).map(|mail| mail.id).collect();
        let room = Mail::KEPT_MAX.saturating_sub(kept - forgotten.len());
        self.mails.truncate(room);
        let mails = std::mem::take(&mut self.mails);
        if !forgotten.is_empty() {
            self.add(NoticeEvent::Mail(MailEvent::Forgotten { mails: forgotten }));
        }
        if !mails.is_empty() {
            self.add(NoticeEvent::Mail(MailEvent::Queued { mails }));
        }
        self.events
    }

    fn add(&mut self, event: NoticeEvent) {
        self.events.push(Event::Notice(event));
    }

    /// One that was read falls out, the oldest first, or else the oldest.
    fn make_room(&mut self, to: To) {
        let there = self.state.notices_to(to);
        let there: Vec<&Notice> = there
            .filter(|notice| !self.gone.contains(&notice.id))
            .collect();
        let bounded = match to {
            To::User(_) | To::Admins => true,
            To::Group(_) | To::All => false,
        };
        if !bounded || there.len() < Notice::PERSONAL_MAX {
            return;
        }
        let read = |notice: &&&Notice| match to {
            To::User(user) => self.state.reader_of(user).has_read(notice.id),
            To::Admins | To::Group(_) | To::All => false,
        };
        let Some(out) = there.iter().find(read).or(there.first()) else {
            return;
        };
        let notice = (*out).clone();
        self.gone.insert(notice.id);
        let told = BTreeSet::new();
        self.add(NoticeEvent::Gone { notice, told });
    }

    fn mail(&mut self, user: UserId, text: MailText, important: bool) {
        let wanted = match self.state.reader_of(user).wish {
            MailWish::All => true,
            MailWish::Important => important,
            MailWish::None => false,
        };
        let Some(account) = self.state.accounts.get(&user) else {
            return;
        };
        let address = account.profile.mail.clone();
        if wanted && account.standing == Standing::Active && !address.is_empty() {
            self.queue(Some(user), &address, text);
        }
    }

    /// One that is not asked whether it is wished.
    pub(crate) fn queue(&mut self, user: Option<UserId>, address: &str, text: MailText) {
        let part = u32::try_from(self.mails.len()).unwrap_or(u32::MAX);
        self.mails.push(Mail {
            id: MailId {
                entry: self.index,
                part,
            },
            user,
            address: address.to_owned(),
            text,
            stage: MailStage::Waiting { next_at: self.at },
            tries: 0,
            made_at: self.at,
            cause: String::new(),
        });
    }
}

/// Whom a notice to these reaches now.
fn people(state: &State, to: To) -> Vec<UserId> {
    match to {
        To::User(user) => vec![user],
        To::Group(_) => told(state, to).into_iter().collect(),
        To::Admins => {
            let admins = state.users.values().filter(|user| user.is_admin());
            admins.map(|user| user.id).collect()
        }
        To::All => state.users.keys().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolve::evolve;
    use crate::model::{Role, User};
    use crate::name::Name;
    use crate::notice::{inbox, unread};

    fn user(id: u64) -> User {
        User {
            id: UserId(id),
            name: Name::parse("user", &format!("u{id}")).expect("a name"),
            role: Role::User,
            password_hash: String::new(),
            created_at: UnixMs(0),
        }
    }

    fn told(state: State, index: u64) -> State {
        let at = UnixMs(index);
        let mut telling = Telling::new(&state, LogIndex(index), at);
        let text = || Text {
            title: format!("number {index}"),
            ..Text::default()
        };
        telling.tell(To::User(UserId(1)), text(), false);
        telling.tell(To::User(UserId(2)), text(), false);
        let events = telling.done();
        let events = events.iter();
        events.fold(state, |state, event| evolve(state, at, event))
    }

    #[test]
    fn what_was_read_falls_out_first_and_no_more_is_kept_than_that() {
        let mut state = State::default();
        for id in [1, 2] {
            state.put_user(user(id));
        }
        let most = Notice::PERSONAL_MAX as u64;
        for index in 1..=most {
            state = told(state, index);
        }
        let (entry, part) = (LogIndex(7), 0);
        let mut reader = state.reader_of(UserId(1));
        reader.read.insert(NoticeId { entry, part });
        state.put_reader(reader);
        state = told(state, most + 1);
        let of = |id| {
            let notices = inbox(&state, &state.users[&UserId(id)]);
            let ids: Vec<String> = notices.iter().map(|notice| notice.id.to_string()).collect();
            ids
        };
        let (one, other) = (of(1), of(2));
        assert_eq!((one.len(), other.len()), (100, 100));
        assert!(one.contains(&"1".to_owned()) && !one.contains(&"7".to_owned()));
        assert!(!other.contains(&"1.1".to_owned()) && other.contains(&"7.1".to_owned()));
        assert_eq!(unread(&state, &state.users[&UserId(1)]), 100);
    }
}
