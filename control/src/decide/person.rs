//! People: accounts and logins.

use super::{Decision, Ground, account, identity, in_range, master, plain_text, terminal};
use crate::event::Event;
use crate::id::{SecretHash, UserId};
use crate::model::receipt::Subject;
use crate::model::{Role, Session, SessionKind, User};
use crate::name::Name;
use crate::refusal::Refusal;

/// A login lasts at most 90 days.
pub(super) const SESSION_TTL_MS_RANGE: std::ops::RangeInclusive<u64> = 1_000..=90 * 24 * 3_600_000;
/// A PHC string of argon2id has about 100 bytes.
const PASSWORD_HASH_LEN_MAX: usize = 300;
/// Logins of one person at once; the oldest end when more are opened.
const SESSIONS_PER_USER_MAX: usize = 50;

pub(super) fn create_user(
    ground: Ground<'_>,
    name: &str,
    role: Role,
    password_hash: &str,
) -> Result<Decision, Refusal> {
    let name = Name::parse("user", name)?;
    check_hash(password_hash)?;
    if ground.state.user_named(&name).is_some() {
        return Err(Refusal::NameTaken {
            kind: "user".to_owned(),
            name: name.to_string(),
        });
    }
    let id = UserId(ground.state.counters.user + 1);
    if id.0 > User::ID_MAX {
        return Err(Refusal::Exhausted {
            what: "range of user ids".to_owned(),
            scope: "this cluster".to_owned(),
        });
    }
    let user = User {
        id,
        name,
        role,
        password_hash: password_hash.to_owned(),
        created_at: ground.entry.at,
    };
    Ok(Decision::new(
        Subject::User(id),
        vec![Event::UserCreated { user }],
    ))
}

pub(super) fn check_hash(password_hash: &str) -> Result<(), Refusal> {
    plain_text("password hash", password_hash, PASSWORD_HASH_LEN_MAX)
}

/// A new password ends every login of that person, and what they share: whoever knew the old one is out.
pub(super) fn change_password(
    ground: Ground<'_>,
    user: UserId,
    password_hash: &str,
) -> Result<Decision, Refusal> {
    check_hash(password_hash)?;
    if !ground.state.users.contains_key(&user) {
        return Err(Refusal::not_found("user", user));
    }
    let changed = Event::PasswordChanged {
        user,
        password_hash: password_hash.to_owned(),
    };
    let local = identity::password_set(ground, user)?;
    let ended = sessions_ended(ground, user);
    let ended = ended.chain(terminal::password_changed(ground, user));
    let events = local.into_iter().chain([changed]).chain(ended);
    Ok(Decision::new(Subject::User(user), events.collect()))
}

pub(super) fn open_session(
    ground: Ground<'_>,
    user: UserId,
    id: SecretHash,
    kind: SessionKind,
    ttl_ms: u64,
) -> Result<Decision, Refusal> {
    if !ground.state.users.contains_key(&user) {
        return Err(Refusal::CredentialsWrong);
    }
    account::refuse_unproven(ground.state, user, kind)?;
    in_range("session ttl", ttl_ms, SESSION_TTL_MS_RANGE, "ms")?;
    let ended = sessions_over(ground, user);
    let session = Session {
        id,
        user,
        kind,
        opened_at: ground.entry.at,
        expires_at: ground.entry.at.plus_ms(ttl_ms),
    };
    let opened = Event::SessionOpened { session };
    Ok(Decision::quiet(ended.chain([opened]).collect()))
}

pub(super) fn close_session(ground: Ground<'_>, id: SecretHash) -> Decision {
    Decision::quiet(
        ground
            .state
            .sessions
            .get(&id)
            .map(closed)
            .into_iter()
            .collect(),
    )
}

/// Everything whose time is over at the entry's stamp.
pub(super) fn forget_expired(ground: Ground<'_>) -> Decision {
    let now = ground.entry.at;
    let sessions = ground
        .state
        .sessions
        .values()
        .filter(|session| session.expires_at <= now)
        .map(closed);
    let tokens = ground
        .state
        .join_tokens
        .values()
        .filter(|token| token.expires_at <= now)
        .map(|token| Event::JoinTokenForgotten { id: token.id });
    let replacements = master::expired_replacements(ground);
    Decision::quiet(sessions.chain(tokens).chain(replacements).collect())
}

/// Logins that end when one more is opened; tokens of programs are counted for themselves.
pub(super) fn sessions_over(ground: Ground<'_>, user: UserId) -> impl Iterator<Item = Event> {
    let mut older = sessions_of(ground, user);
    older.retain(|session| session.kind != SessionKind::Api);
    older.sort_by_key(|session| std::cmp::Reverse(session.opened_at));
    let over = older.into_iter().skip(SESSIONS_PER_USER_MAX - 1);
    over.map(closed)
}

/// All logins and tokens of a person end.
pub(super) fn sessions_ended(ground: Ground<'_>, user: UserId) -> impl Iterator<Item = Event> {
    sessions_of(ground, user).into_iter().map(closed)
}

pub(super) fn sessions_of(ground: Ground<'_>, user: UserId) -> Vec<&Session> {
    ground.state.sessions_of(user).collect()
}

pub(super) fn closed(session: &Session) -> Event {
    Event::SessionClosed {
        id: session.id,
        user: session.user,
    }
}
