//! Logins, and tokens of programs.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::super::{Decision, Ground, in_range, person, plain_text};
use super::{event, factor, user_of};
use crate::account::command::NewLogin;
use crate::account::event::AccountEvent;
use crate::account::refusal::AccountRefusal;
use crate::account::standing::admit;
use crate::event::Event;
use crate::id::{LogIndex, SecretHash, UserId};
use crate::model::account::{ApiToken, Login, LoginWay, Scope};
use crate::model::receipt::Subject;
use crate::model::{Session, SessionKind};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;

/// An address with its port, and room for what a proxy would add.
const FROM_LEN_MAX: usize = 100;
const DAY_MS: u64 = 24 * 3_600_000;

/// The password was right, or the code of a login that waited for one.
pub(super) fn open(ground: Ground<'_>, new: &NewLogin) -> Result<Decision, Refusal> {
    let state = ground.state;
    let waited = new.after.and_then(|id| state.logins.get(&id));
    let waits = |login: &&Login| {
        let session = state.sessions.get(&login.id);
        let waits = session.is_some_and(|session| session.kind == SessionKind::Unproven);
        login.user == new.user && waits
    };
    let way = waited
        .filter(waits)
        .map_or(LoginWay::Local, |login| login.way);
    if way == LoginWay::Local && state.account_of(new.user).way != LoginWay::Local {
        return Err(Refusal::CredentialsWrong);
    }
    open_by(ground, new, way)
}

/// Who has a second factor gets a login that only waits for it, or shows it at once.
pub(in super::super) fn open_by(
    ground: Ground<'_>,
    new: &NewLogin,
    way: LoginWay,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    if !state.users.contains_key(&new.user) {
        return Err(Refusal::CredentialsWrong);
    }
    admit(state, new.user)?;
    plain_text("address", &new.from, FROM_LEN_MAX)?;
    in_range(
        "session ttl",
        new.ttl_ms,
        person::SESSION_TTL_MS_RANGE,
        "ms",
    )?;
    refuse_known(ground, new.id)?;
    let account = state.account_of(new.user);
    let proven = match (new.kind, account.confirmed_factor()) {
        (SessionKind::Api, _) => return Err(malformed("a token is no login")),
        (SessionKind::Unproven, _) | (_, None) => None,
        (SessionKind::Browser | SessionKind::Token, Some(row)) => {
            Some(factor::used(new.user, row, new.proof)?)
        }
    };
    let mut events: Vec<Event> = person::sessions_over(ground, new.user).collect();
    let after = new.after.and_then(|id| state.sessions.get(&id));
    let after = after.filter(|waited| waited.kind == SessionKind::Unproven);
    // It may be among the oldest already.
    let waited = after.map(person::closed);
    events.extend(waited.filter(|closed| !events.contains(closed)));
    events.extend(proven);
    let session = Session {
        id: new.id,
        user: new.user,
        kind: new.kind,
        opened_at: ground.entry.at,
        expires_at: ground.entry.at.plus_ms(new.ttl_ms),
    };
    events.push(Event::SessionOpened { session });
    events.push(event(AccountEvent::LoginOpened {
        login: Login {
            id: new.id,
            number: ground.index,
            user: new.user,
            from: new.from.clone(),
            token: None,
            way,
        },
    }));
    Ok(Decision::new(Subject::User(new.user), events))
}

/// Secrets are drawn at doors: one that is known is no accident.
fn refuse_known(ground: Ground<'_>, id: SecretHash) -> Result<(), Refusal> {
    if ground.state.sessions.contains_key(&id) {
        return Err(malformed("its secret is in use"));
    }
    Ok(())
}

fn malformed(cause: &str) -> Refusal {
    Refusal::Malformed {
        what: "login".to_owned(),
        cause: cause.to_owned(),
    }
}

pub(super) fn end(ground: Ground<'_>, user: UserId, number: LogIndex) -> Result<Decision, Refusal> {
    let login = ground.state.login_numbered(number);
    let login = login.filter(|login| login.user == user);
    let login = login.ok_or_else(|| Refusal::not_found("login", number))?;
    let session = ground.state.sessions.get(&login.id);
    let ended = session.map(person::closed);
    Ok(Decision::quiet(ended.into_iter().collect()))
}

/// Tokens of programs end with them: whoever asks for this trusts none of them.
pub(super) fn end_others(
    ground: Ground<'_>,
    user: UserId,
    keep: SecretHash,
) -> Result<Decision, Refusal> {
    user_of(ground.state, user)?;
    let sessions = person::sessions_of(ground, user).into_iter();
    let others = sessions.filter(|session| session.id != keep);
    Ok(Decision::quiet(others.map(person::closed).collect()))
}

pub(super) fn create_token(
    ground: Ground<'_>,
    id: SecretHash,
    name: &str,
    scopes: &BTreeSet<Scope>,
    ttl_ms: u64,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    let asker = permit::person(state, ground.entry.actor)?;
    let name = Name::parse("token", name)?;
    in_range(
        "scopes",
        scopes.len() as u64,
        1..=Scope::ALL.len() as u64,
        "scopes",
    )?;
    in_range("time of a token", ttl_ms, ApiToken::TTL_MS_RANGE, "ms")?;
    let above = |scope: &&Scope| matches!(scope, Scope::Metrics | Scope::Admin);
    if let Some(scope) = scopes.iter().find(above)
        && !asker.is_admin()
    {
        let scope = scope.word().to_owned();
        return Err(AccountRefusal::ScopeAboveRole { scope }.into());
    }
    refuse_known(ground, id)?;
    let tokens = state
        .logins_of(asker.id)
        .filter_map(|login| login.token.as_ref());
    let tokens: Vec<&ApiToken> = tokens.collect();
    if tokens.iter().any(|token| token.name == name) {
        return Err(Refusal::NameTaken {
            kind: "token".to_owned(),
            name: name.to_string(),
        });
    }
    if tokens.len() >= ApiToken::PER_USER_MAX {
        return Err(Refusal::Exhausted {
            what: "token".to_owned(),
            scope: format!("the {} of your account", ApiToken::PER_USER_MAX),
        });
    }
    let session = Session {
        id,
        user: asker.id,
        kind: SessionKind::Api,
        opened_at: ground.entry.at,
        expires_at: ground.entry.at.plus_ms(ttl_ms),
    };
    let login = Login {
        id,
        number: ground.index,
        user: asker.id,
        from: String::new(),
        token: Some(ApiToken {
            name,
            scopes: scopes.clone(),
            used_day: None,
        }),
        way: LoginWay::Local,
    };
    Ok(Decision::quiet(vec![
        Event::SessionOpened { session },
        event(AccountEvent::LoginOpened { login }),
    ]))
}

/// At most one a day and token, however often it is used.
pub(super) fn note_use(ground: Ground<'_>, number: LogIndex) -> Decision {
    let day = ground.entry.at.0 / DAY_MS;
    let login = ground.state.login_numbered(number);
    let known = login.and_then(|login| Some((login.user, login.token.as_ref()?)));
    let news = known.filter(|(_, token)| token.used_day.is_none_or(|used| used < day));
    let used = news.map(|(user, _)| event(AccountEvent::TokenUsed { user, number, day }));
    Decision::quiet(used.into_iter().collect())
}

/// A password that was changed meanwhile stays as it was changed.
pub(super) fn upgrade_hash(
    ground: Ground<'_>,
    user: UserId,
    from: SecretHash,
    password_hash: &str,
) -> Result<Decision, Refusal> {
    person::check_hash(password_hash)?;
    let row = user_of(ground.state, user)?;
    let local = ground.state.account_of(user).way == LoginWay::Local;
    let same = local && SecretHash(Sha256::digest(&row.password_hash).into()) == from;
    let hash = password_hash.to_owned();
    let upgraded = same.then_some(event(AccountEvent::HashUpgraded { user, hash }));
    Ok(Decision::quiet(upgraded.into_iter().collect()))
}
