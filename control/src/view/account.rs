//! Accounts, requests for them and logins as people see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, SecretHash, UnixMs, UserId};
use crate::model::account::{Application, Login, LoginWay, Profile, Scope, Standing};
use crate::model::{Role, Session, SessionKind, User};
use crate::name::Name;
use crate::permit;
use crate::state::State;

/// One account, for its person and for admins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    pub id: UserId,
    pub name: String,
    pub role: Role,
    pub standing: Standing,
    /// Why it is so, where an admin said so.
    pub reason: String,
    pub way: LoginWay,
    pub profile: Profile,
    pub second_factor: bool,
    /// None without a second factor.
    pub recovery_codes_left: Option<usize>,
    pub vclusters: usize,
    pub images: usize,
    /// Tokens of programs among them.
    pub logins: usize,
    pub created_at: UnixMs,
}

/// A request for an account, for admins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationView {
    pub id: LogIndex,
    pub name: String,
    pub profile: Profile,
    pub reason: String,
    pub asked_at: UnixMs,
    /// Why it was declined, if it was.
    pub declined: Option<String>,
    pub declined_at: Option<UnixMs>,
    /// Accounts and other requests with the same mail address: the same person, perhaps.
    pub same_mail: Vec<String>,
}

/// A login or a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginView {
    /// What it is called where it is ended; none for one that is older than such numbers.
    pub number: Option<LogIndex>,
    pub kind: SessionKind,
    pub from: String,
    /// Of a token.
    pub name: Option<String>,
    pub scopes: Vec<Scope>,
    /// Day since 1970.
    pub used_day: Option<u64>,
    pub opened_at: UnixMs,
    pub expires_at: UnixMs,
    /// Whether it is the one by which who looks is here.
    pub this: bool,
}

/// All accounts for an admin, else one's own.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<UserView> {
    // Sessions are not kept by person: they are counted once for all.
    let mut logins: BTreeMap<UserId, usize> = BTreeMap::new();
    for session in state.sessions.values() {
        *logins.entry(session.user).or_default() += 1;
    }
    let users = state.users.values();
    let users = users.filter(|user| permit::owns(asker, user.id));
    let logins_of = |user: &User| logins.get(&user.id).copied().unwrap_or(0);
    let mut users: Vec<UserView> = users
        .map(|user| with_logins(state, user, logins_of(user)))
        .collect();
    users.sort_by(|one, other| one.name.cmp(&other.name));
    users
}

/// One of them.
#[must_use]
pub fn named<'s>(state: &'s State, asker: &User, text: &str) -> Option<&'s User> {
    let user = state.user_named(&Name::parse("user", text).ok()?)?;
    Some(user).filter(|user| permit::owns(asker, user.id))
}

/// All of an account that its person and admins may see.
#[must_use]
pub fn show(state: &State, user: &User) -> UserView {
    let sessions = state.sessions.values();
    let logins = sessions.filter(|session| session.user == user.id).count();
    with_logins(state, user, logins)
}

fn with_logins(state: &State, user: &User, logins: usize) -> UserView {
    let account = state.account_of(user.id);
    let factor = account.confirmed_factor();
    UserView {
        id: user.id,
        name: user.name.to_string(),
        role: user.role,
        standing: account.standing,
        reason: account
            .verdict
            .as_ref()
            .map_or_else(String::new, |verdict| verdict.reason.clone()),
        way: account.way,
        profile: account.profile.clone(),
        second_factor: factor.is_some(),
        recovery_codes_left: factor.map(|factor| factor.recovery.len()),
        vclusters: state.vclusters_of(user.id).count(),
        images: state.image_titles_of(user.id).count(),
        logins,
        created_at: user.created_at,
    }
}

/// Requests, those that wait first, the oldest first. For admins.
#[must_use]
pub fn applications(state: &State) -> Vec<ApplicationView> {
    let rows = state.applications.values();
    let mut views: Vec<ApplicationView> = rows.map(|row| request(state, row)).collect();
    views.sort_by_key(|view| (view.declined_at, view.id));
    views
}

/// One of them.
#[must_use]
pub fn application(state: &State, id: LogIndex) -> Option<ApplicationView> {
    state.applications.get(&id).map(|row| request(state, row))
}

fn request(state: &State, row: &Application) -> ApplicationView {
    let same = |mail: &str| mail.eq_ignore_ascii_case(&row.profile.mail);
    let accounts = state.accounts.values();
    let accounts = accounts.filter(|account| same(&account.profile.mail));
    let accounts = accounts.filter_map(|account| state.users.get(&account.user));
    let others = state.applications.values();
    let others = others.filter(|other| other.id != row.id && same(&other.profile.mail));
    let declined = row.declined.as_ref();
    ApplicationView {
        id: row.id,
        name: row.name.to_string(),
        profile: row.profile.clone(),
        reason: row.reason.clone(),
        asked_at: row.asked_at,
        declined: declined.map(|verdict| verdict.reason.clone()),
        declined_at: declined.map(|verdict| verdict.at),
        same_mail: accounts
            .map(|user| format!("account {}", user.name))
            .chain(others.map(|other| format!("request {}", other.id)))
            .collect(),
    }
}

/// Logins and tokens of a person, the newest first; `this` is the one by which who looks is here.
#[must_use]
pub fn logins(state: &State, user: UserId, this: SecretHash) -> Vec<LoginView> {
    let sessions = state.sessions.values();
    let theirs = sessions.filter(|session| session.user == user);
    let mut theirs: Vec<&Session> = theirs.collect();
    theirs.sort_by_key(|session| std::cmp::Reverse((session.opened_at, session.expires_at)));
    let view = |session: &&Session| login(session, state.logins.get(&session.id), this);
    theirs.iter().map(view).collect()
}

fn login(session: &Session, known: Option<&Login>, this: SecretHash) -> LoginView {
    let token = known.and_then(|login| login.token.as_ref());
    LoginView {
        number: known.map(|login| login.number),
        kind: session.kind,
        from: known.map_or_else(String::new, |login| login.from.clone()),
        name: token.map(|token| token.name.to_string()),
        scopes: token.map_or_else(Vec::new, |token| token.scopes.iter().copied().collect()),
        used_day: token.and_then(|token| token.used_day),
        opened_at: session.opened_at,
        expires_at: session.expires_at,
        this: session.id == this,
    }
}
