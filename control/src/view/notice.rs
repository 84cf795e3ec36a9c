//! Notices and bug reports as people see them.

use serde::{Deserialize, Serialize};

use crate::id::{BugId, GroupId, NoticeId, UnixMs, UserId};
use crate::model::notice::{MailWish, Notice, Severity, To};
use crate::model::{Bug, User};
use crate::notice::{inbox, is_for, is_kept_by, is_shown_to};
use crate::state::State;

/// One notice, for whoever reads it or may take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NoticeView {
    pub id: NoticeId,
    /// Whom it is for: "you", "everybody", "admins", or a group's or person's name.
    pub to: String,
    pub severity: Severity,
    pub title: String,
    pub body: String,
    /// A path of the portal; empty if there is none.
    pub link: String,
    /// Who says so; the cluster itself if empty.
    pub by: String,
    pub since: UnixMs,
    pub until: UnixMs,
    /// Whether who looks has read it. What is not for them is none of theirs to read.
    pub read: bool,
    /// Whether who looks may take it back.
    pub kept: bool,
}

/// All that somebody reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct InboxView {
    pub unread: usize,
    pub wish: MailWish,
    /// The newest first.
    pub notices: Vec<NoticeView>,
}

/// All that `person` reads.
#[must_use]
pub fn list(state: &State, person: &User) -> InboxView {
    let notices = inbox(state, person).into_iter().rev();
    let notices: Vec<NoticeView> = notices.map(|row| show(state, person, row)).collect();
    InboxView {
        unread: notices.iter().filter(|notice| !notice.read).count(),
        wish: state.reader_of(person.id).wish,
        notices,
    }
}

/// What was said to groups and everybody that `asker` may take back, the newest first.
#[must_use]
pub fn announced(state: &State, asker: &User) -> Vec<NoticeView> {
    let many = state.notices_to_many();
    let many = many.filter(|notice| notice.is_announcement() && is_kept_by(state, notice, asker));
    let mut views: Vec<NoticeView> = many.map(|notice| show(state, asker, notice)).collect();
    views.sort_by_key(|view| std::cmp::Reverse(view.id));
    views
}

/// One of those that `asker` may know of.
#[must_use]
pub fn numbered(state: &State, asker: &User, id: NoticeId) -> Option<NoticeView> {
    let notice = state.notices.get(&id);
    let notice = notice.filter(|notice| is_shown_to(state, notice, asker))?;
    Some(show(state, asker, notice))
}

fn show(state: &State, asker: &User, notice: &Notice) -> NoticeView {
    let theirs = is_for(state, notice, asker);
    NoticeView {
        id: notice.id,
        to: to(state, asker, notice.to),
        severity: notice.severity,
        title: notice.title.clone(),
        body: notice.body.clone(),
        link: notice.link.clone(),
        by: notice.by.clone(),
        since: notice.since,
        until: notice.until,
        read: !theirs || state.reader_of(asker.id).has_read(notice.id),
        kept: is_kept_by(state, notice, asker),
    }
}

/// Whom it is for, as `asker` calls them.
#[must_use]
pub fn to(state: &State, asker: &User, to: To) -> String {
    match to {
        To::User(user) if user == asker.id => "you".to_owned(),
        To::User(user) => user_called(state, user),
        To::Group(group) => group_called(state, group),
        To::Admins => "admins".to_owned(),
        To::All => "everybody".to_owned(),
    }
}

fn user_called(state: &State, user: UserId) -> String {
    let known = state.users.get(&user);
    known.map_or_else(|| format!("user {user}"), |user| user.name.to_string())
}

fn group_called(state: &State, group: GroupId) -> String {
    let known = state.groups.get(&group);
    known.map_or_else(|| format!("group {group}"), |group| group.name.to_string())
}

/// One bug report, for whoever told it and admins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BugView {
    pub id: BugId,
    /// Who told it; nobody any more if empty.
    pub by: String,
    pub text: String,
    pub at: UnixMs,
    pub closed: bool,
    /// What was said to it last, and by whom; empty if nothing.
    pub answer: String,
    pub answered_by: String,
    pub answered_at: Option<UnixMs>,
}

/// Those that `asker` told, of an admin all; open ones first, then the newest.
#[must_use]
pub fn bugs(state: &State, asker: &User) -> Vec<BugView> {
    let mut views: Vec<BugView> = if asker.is_admin() {
        state
            .bugs
            .values()
            .map(|bug| bug_view(state, bug))
            .collect()
    } else {
        let own = state.bugs_of(asker.id);
        own.map(|bug| bug_view(state, bug)).collect()
    };
    views.sort_by_key(|view| (view.closed, std::cmp::Reverse(view.id)));
    views
}

/// One of them.
#[must_use]
pub fn bug(state: &State, asker: &User, id: BugId) -> Option<BugView> {
    let bug = state.bugs.get(&id);
    let bug = bug.filter(|bug| bug.by == Some(asker.id) || asker.is_admin())?;
    Some(bug_view(state, bug))
}

fn bug_view(state: &State, bug: &Bug) -> BugView {
    let answer = bug.answer.as_ref();
    BugView {
        id: bug.id,
        by: bug
            .by
            .map_or_else(String::new, |user| user_called(state, user)),
        text: bug.text.clone(),
        at: bug.at,
        closed: bug.closed,
        answer: answer.map_or_else(String::new, |answer| answer.text.clone()),
        answered_by: answer.map_or_else(String::new, |answer| answer.name.clone()),
        answered_at: answer.map(|answer| answer.at),
    }
}
