//! Notices, who has read them, mails and bug reports.

use std::ops::RangeInclusive;

use imbl::OrdSet;

use super::State;
use crate::id::{BugId, GroupId, LogIndex, MailId, MasterId, NoticeId, UnixMs, UserId};
use crate::model::Bug;
use crate::model::mail::{Mail, MailStage, MailText};
use crate::model::notice::{Notice, Reader, To};

/// Look-up tables of notices and mails.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lookup {
    by_audience: OrdSet<(To, NoticeId)>,
    by_end: OrdSet<(UnixMs, NoticeId)>,
    /// Mails that wait, by when they are to be tried.
    due: OrdSet<(UnixMs, MailId)>,
    /// All mails, by when something is to become of them if nothing happens.
    by_term: OrdSet<(UnixMs, MailId)>,
    begun: OrdSet<(MasterId, MailId)>,
    mails_by_user: OrdSet<(UserId, MailId)>,
    mails_by_notice: OrdSet<(NoticeId, MailId)>,
    bugs_by_user: OrdSet<(UserId, BugId)>,
}

/// All mails' numbers.
const MAILS: (MailId, MailId) = (
    MailId {
        entry: LogIndex(0),
        part: 0,
    },
    MailId::GREATEST,
);

/// When something is to become of a mail if nothing happens.
fn term(mail: &Mail) -> UnixMs {
    match mail.stage {
        MailStage::Waiting { .. } => mail.made_at.plus_ms(Mail::TRIED_MS),
        MailStage::Begun { at, .. } => at.plus_ms(Mail::BEGUN_MS),
        MailStage::Unsure { at } | MailStage::GivenUp { at } => at.plus_ms(Mail::ENDED_KEPT_MS),
    }
}

impl State {
    /// What a person has read.
    #[must_use]
    pub fn reader_of(&self, user: UserId) -> Reader {
        let known = self.readers.get(&user).cloned();
        known.unwrap_or_else(|| Reader::new(user))
    }

    /// Notices to these, the oldest first.
    pub fn notices_to(&self, to: To) -> impl Iterator<Item = &Notice> {
        self.notices_within((to, NoticeId::default())..=(to, NoticeId::GREATEST))
    }

    /// Notices to more than one person.
    pub fn notices_to_many(&self) -> impl Iterator<Item = &Notice> {
        let first = To::Group(GroupId(0));
        self.notices_within((first, NoticeId::default())..=(To::All, NoticeId::GREATEST))
    }

    fn notices_within(
        &self,
        range: RangeInclusive<(To, NoticeId)>,
    ) -> impl Iterator<Item = &Notice> {
        let found = self.lookup.notices.by_audience.range(range);
        found.filter_map(|(_, id)| self.notices.get(id))
    }

    /// Notices whose time is over.
    pub fn notices_over(&self, now: UnixMs) -> impl Iterator<Item = &Notice> {
        let upto = (now, NoticeId::GREATEST);
        let over = self.lookup.notices.by_end.range(..=upto);
        over.filter_map(|(_, id)| self.notices.get(id))
    }

    /// Mails that are to be tried now, the one that waits longest first.
    pub fn mails_due(&self, now: UnixMs) -> impl Iterator<Item = &Mail> {
        let due = self.lookup.notices.due.range(..=(now, MailId::GREATEST));
        due.filter_map(|(_, id)| self.mails.get(id))
    }

    /// Mails of which something is to become though nothing happens.
    pub fn mails_over(&self, now: UnixMs) -> impl Iterator<Item = &Mail> {
        let upto = (now, MailId::GREATEST);
        let over = self.lookup.notices.by_term.range(..=upto);
        over.filter_map(|(_, id)| self.mails.get(id))
    }

    /// Mails of which a master has not said yet what came of them.
    pub fn mails_begun_by(&self, master: MasterId) -> impl Iterator<Item = &Mail> {
        let range = (master, MAILS.0)..=(master, MAILS.1);
        let begun = self.lookup.notices.begun.range(range);
        begun.filter_map(|(_, id)| self.mails.get(id))
    }

    /// Mails to a person.
    pub fn mails_to(&self, user: UserId) -> impl Iterator<Item = &Mail> {
        let range = (user, MAILS.0)..=(user, MAILS.1);
        let found = self.lookup.notices.mails_by_user.range(range);
        found.filter_map(|(_, id)| self.mails.get(id))
    }

    /// Mails that say what a notice says.
    pub fn mails_of(&self, notice: NoticeId) -> impl Iterator<Item = &Mail> {
        let range = (notice, MAILS.0)..=(notice, MAILS.1);
        let found = self.lookup.notices.mails_by_notice.range(range);
        found.filter_map(|(_, id)| self.mails.get(id))
    }

    /// What a person found wrong, the oldest first.
    pub fn bugs_of(&self, user: UserId) -> impl Iterator<Item = &Bug> {
        let range = (user, BugId(0))..=(user, BugId(u64::MAX));
        let found = self.lookup.notices.bugs_by_user.range(range);
        found.filter_map(|(_, id)| self.bugs.get(id))
    }

    pub(crate) fn put_notice(&mut self, notice: Notice) {
        self.remove_notice(&notice.id);
        let lookup = &mut self.lookup.notices;
        lookup.by_audience.insert((notice.to, notice.id));
        lookup.by_end.insert((notice.until, notice.id));
        self.notices.insert(notice.id, notice);
    }

    pub(crate) fn remove_notice(&mut self, id: &NoticeId) {
        if let Some(notice) = self.notices.remove(id) {
            let lookup = &mut self.lookup.notices;
            lookup.by_audience.remove(&(notice.to, *id));
            lookup.by_end.remove(&(notice.until, *id));
        }
    }

    pub(crate) fn put_reader(&mut self, reader: Reader) {
        self.readers.insert(reader.user, reader);
    }

    pub(crate) fn remove_reader(&mut self, user: &UserId) {
        self.readers.remove(user);
    }

    pub(crate) fn put_mail(&mut self, mail: Mail) {
        self.remove_mail(&mail.id);
        let lookup = &mut self.lookup.notices;
        if let MailStage::Waiting { next_at } = mail.stage {
            lookup.due.insert((next_at, mail.id));
        }
        if let MailStage::Begun { by, .. } = mail.stage {
            lookup.begun.insert((by, mail.id));
        }
        lookup.by_term.insert((term(&mail), mail.id));
        if let Some(user) = mail.user {
            lookup.mails_by_user.insert((user, mail.id));
        }
        if let MailText::Of(notice) = mail.text {
            lookup.mails_by_notice.insert((notice, mail.id));
        }
        self.mails.insert(mail.id, mail);
    }

    pub(crate) fn remove_mail(&mut self, id: &MailId) {
        if let Some(mail) = self.mails.remove(id) {
            let lookup = &mut self.lookup.notices;
            if let MailStage::Waiting { next_at } = mail.stage {
                lookup.due.remove(&(next_at, *id));
            }
            if let MailStage::Begun { by, .. } = mail.stage {
                lookup.begun.remove(&(by, *id));
            }
            lookup.by_term.remove(&(term(&mail), *id));
            if let Some(user) = mail.user {
                lookup.mails_by_user.remove(&(user, *id));
            }
            if let MailText::Of(notice) = mail.text {
                lookup.mails_by_notice.remove(&(notice, *id));
            }
        }
    }

    pub(crate) fn put_bug(&mut self, bug: Bug) {
        self.remove_bug(&bug.id);
        if let Some(user) = bug.by {
            self.lookup.notices.bugs_by_user.insert((user, bug.id));
        }
        self.bugs.insert(bug.id, bug);
    }

    pub(crate) fn remove_bug(&mut self, id: &BugId) {
        if let Some(bug) = self.bugs.remove(id)
            && let Some(user) = bug.by
        {
            self.lookup.notices.bugs_by_user.remove(&(user, *id));
        }
    }
}
