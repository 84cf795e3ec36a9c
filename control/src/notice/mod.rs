//! What is particular to notices, mails and bug reports: their commands and events, whom a notice is for, what others' decide
//! calls to tell somebody something, and what a mail says. The rows are [`crate::model::notice`], [`crate::model::mail`] and
//! [`crate::model::bug`], the rules are in [`crate::decide`].

pub(crate) mod beans;
pub mod bug;
pub mod command;
pub mod due;
pub mod event;
pub mod letter;
pub mod mail;
pub(crate) mod news;
pub mod refusal;
pub(crate) mod tell;

use std::collections::BTreeSet;

use crate::id::{GroupId, UserId};
use crate::model::notice::{Notice, To};
use crate::model::{Group, User};
use crate::state::State;

/// Whether it is one of those that `person` reads.
#[must_use]
pub fn is_for(state: &State, notice: &Notice, person: &User) -> bool {
    let reaches = match notice.to {
        To::User(user) => return user == person.id,
        To::Group(group) => group_of(state, group).is_some_and(|row| row.concerns(person.id)),
        To::Admins => person.is_admin(),
        To::All => true,
    };
    // What was told before somebody came is no news to them.
    reaches && notice.since >= person.created_at
}

/// Whether `asker` may take it back: one to oneself; one to a group, who manages that; else who said it, as long as they may
/// say such things; admins.
#[must_use]
pub fn is_kept_by(state: &State, notice: &Notice, asker: &User) -> bool {
    let own = notice.author == Some(asker.id) && asker.operates();
    match notice.to {
        To::User(user) => user == asker.id || own || asker.is_admin(),
        To::Group(group) => group_of(state, group).is_some_and(|row| row.is_managed_by(asker)),
        To::Admins => asker.is_admin(),
        To::All => own || asker.is_admin(),
    }
}

/// Whether `asker` may know of it.
#[must_use]
pub fn is_shown_to(state: &State, notice: &Notice, asker: &User) -> bool {
    is_for(state, notice, asker) || is_kept_by(state, notice, asker)
}

fn group_of(state: &State, group: GroupId) -> Option<&Group> {
    state.groups.get(&group)
}

/// All that `person` reads, the oldest first.
#[must_use]
pub fn inbox<'s>(state: &'s State, person: &User) -> Vec<&'s Notice> {
    let own = state.notices_to(To::User(person.id));
    let others = state.notices_to_many();
    let mut notices: Vec<&Notice> = own
        .chain(others)
        .filter(|notice| is_for(state, notice, person))
        .collect();
    notices.sort_by_key(|notice| notice.id);
    notices
}

/// How many of them `person` has not read.
#[must_use]
pub fn unread(state: &State, person: &User) -> usize {
    let reader = state.reader_of(person.id);
    let inbox = inbox(state, person).into_iter();
    inbox.filter(|notice| !reader.has_read(notice.id)).count()
}

/// Who is told of a notice to these because they are in a group.
pub(crate) fn told(state: &State, to: To) -> BTreeSet<UserId> {
    let group = match to {
        To::Group(group) => group_of(state, group),
        To::User(_) | To::Admins | To::All => None,
    };
    let people = group.into_iter();
    let people = people.flat_map(|group| group.members.iter().chain(&group.managers));
    people.copied().collect()
}
