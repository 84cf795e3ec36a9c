//! Accounts, requests for them and logins as people see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, SecretHash, UnixMs, UserId};
use crate::model::account::{Application, Login, LoginWay, Profile, Scope, Standing};
use crate::model::{Role, Session, SessionKind, User};
use crate::name::Name;
use crate::permit;
use crate::state::State;
use crate::view::identity::{self, IdentityView};
use crate::view::part::{Part, Wanted};

/// One account, for its person and for admins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// As whom providers know them.
    pub identities: Vec<IdentityView>,
    /// Whether name and password open it.
    pub password: bool,
    pub vclusters: usize,
    pub images: usize,
    /// Tokens of programs among them.
    pub logins: usize,
    pub created_at: UnixMs,
}

/// A request for an account, for admins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ApplicationView {
    pub id: LogIndex,
    pub name: String,
    pub profile: Profile,
    pub reason: String,
    pub asked_at: UnixMs,
    /// Why it was declined, if it was.
    pub declined: Option<String>,
    pub declined_at: Option<UnixMs>,
    /// How they would log in.
    pub way: LoginWay,
    /// Accounts and other requests with the same mail address: the same person, perhaps.
    pub same_mail: Vec<String>,
}

/// A login or a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoginView {
    /// What it is called where it is ended; none for one that is older than such numbers.
    pub number: Option<LogIndex>,
    pub kind: SessionKind,
    pub from: String,
    /// By what it was opened.
    pub way: LoginWay,
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

/// Part of all accounts for an admin, else of one's own, by name.
#[must_use]
pub fn part(state: &State, asker: &User, wanted: &Wanted) -> Part<UserView> {
    let users = permit::people::owned_by(state, asker);
    let users = users.filter(|user| wanted.finds(user.name.as_str()));
    let rows = users.map(|user| (&user.name, user));
    let read = |text: &str| Name::parse("user", text).ok();
    wanted.of_ordered(rows, read, Name::to_string, |user| show(state, user))
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
        identities: identity::identities(state, user.id),
        password: match account.way {
            LoginWay::Local => !user.password_hash.is_empty(),
            LoginWay::Pam => true,
            LoginWay::Oidc => false,
        },
        vclusters: state.vclusters_of(user.id).count(),
        images: state.image_titles_of(user.id).count(),
        logins: state.count_sessions_of(user.id),
        created_at: user.created_at,
    }
}

/// Requests, those that wait first, the oldest first. For admins.
#[must_use]
pub fn applications(state: &State) -> Vec<ApplicationView> {
    let known = by_mail(state, state.applications.values());
    let rows = state.applications.values();
    let mut views: Vec<ApplicationView> = rows.map(|row| request(row, &known)).collect();
    views.sort_by_key(|view| (view.declined_at, view.id));
    views
}

/// One of them.
#[must_use]
pub fn application(state: &State, id: LogIndex) -> Option<ApplicationView> {
    let row = state.applications.get(&id)?;
    Some(request(row, &by_mail(state, std::iter::once(row))))
}

/// Accounts and requests of one mail address.
#[derive(Default)]
struct SameMail<'s> {
    accounts: Vec<&'s Name>,
    requests: Vec<LogIndex>,
}

/// Who has one of the addresses of these requests, however it is written; in one walk, whatever number they are.
fn by_mail<'s>(
    state: &'s State,
    rows: impl Iterator<Item = &'s Application>,
) -> BTreeMap<String, SameMail<'s>> {
    let written = |profile: &Profile| profile.mail.to_ascii_lowercase();
    let mut known: BTreeMap<String, SameMail<'s>> = rows
        .map(|row| (written(&row.profile), SameMail::default()))
        .collect();
    for account in state.accounts.values() {
        let same = known.get_mut(&written(&account.profile));
        if let (Some(same), Some(user)) = (same, state.users.get(&account.user)) {
            same.accounts.push(&user.name);
        }
    }
    for other in state.applications.values() {
        if let Some(same) = known.get_mut(&written(&other.profile)) {
            same.requests.push(other.id);
        }
    }
    known
}

fn request(row: &Application, known: &BTreeMap<String, SameMail<'_>>) -> ApplicationView {
    let same = known.get(&row.profile.mail.to_ascii_lowercase());
    let accounts = same.into_iter().flat_map(|same| &same.accounts);
    let others = same.into_iter().flat_map(|same| &same.requests);
    let others = others.filter(|other| **other != row.id);
    let declined = row.declined.as_ref();
    ApplicationView {
        id: row.id,
        name: row.name.to_string(),
        profile: row.profile.clone(),
        reason: row.reason.clone(),
        asked_at: row.asked_at,
        declined: declined.map(|verdict| verdict.reason.clone()),
        declined_at: declined.map(|verdict| verdict.at),
        way: row.way,
        same_mail: accounts
            .map(|name| format!("account {name}"))
            .chain(others.map(|other| format!("request {other}")))
            .collect(),
    }
}

/// Logins and tokens of a person, the newest first; `this` is the one by which who looks is here.
#[must_use]
pub fn logins(state: &State, user: UserId, this: SecretHash) -> Vec<LoginView> {
    let mut theirs: Vec<&Session> = state.sessions_of(user).collect();
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
        way: known.map_or(LoginWay::Local, |login| login.way),
        name: token.map(|token| token.name.to_string()),
        scopes: token.map_or_else(Vec::new, |token| token.scopes.iter().copied().collect()),
        used_day: token.and_then(|token| token.used_day),
        opened_at: session.opened_at,
        expires_at: session.expires_at,
        this: session.id == this,
    }
}
