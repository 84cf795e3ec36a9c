//! Logins by others' word: who says so, what becomes of newcomers, and as whom people are known elsewhere. Since version 3.
//!
//! Doors check what a provider or PAM says; what is decided here is what that is worth: a person of a provider is known by
//! issuer and subject alone, a login that was begun ends once, and nobody comes into an account because a name or a mail
//! address is the same.

mod doors;
mod welcome;

use super::{Decision, Ground, account, person, plain_text};
use crate::account::command::NewLogin;
use crate::account::refusal::AccountRefusal;
use crate::event::Event;
use crate::id::{IdentityId, UserId};
use crate::identity::command::{IdentityCommand, Seen, Witness};
use crate::identity::event::IdentityEvent;
use crate::identity::refusal::IdentityRefusal;
use crate::identity::{check_domain, provider};
use crate::model::account::LoginWay;
use crate::model::identity::{Holder, Identity, OidcProvider};
use crate::model::receipt::Subject;
use crate::refusal::Refusal;
use crate::state::State;

/// OpenID Connect Core has no longer one.
const SUBJECT_LEN_MAX: usize = 255;

pub(super) fn decide(ground: Ground<'_>, command: &IdentityCommand) -> Result<Decision, Refusal> {
    match command {
        IdentityCommand::SetProvider { provider } => {
            doors::set_provider(ground, provider.as_deref())
        }
        IdentityCommand::SetPam { pam } => doors::set_pam(ground, pam.as_ref()),
        IdentityCommand::Welcome {
            by: Witness::Provider(seen),
            wish,
        } => welcome::by_provider(ground, seen, wish),
        IdentityCommand::Welcome {
            by: Witness::Pam,
            wish,
        } => welcome::by_pam(ground, wish),
        IdentityCommand::OpenLogin {
            by: Witness::Provider(seen),
            login,
        } => open_by_provider(ground, seen, login),
        IdentityCommand::OpenLogin {
            by: Witness::Pam,
            login,
        } => open_by_pam(ground, login),
        IdentityCommand::Connect { seen } => connect(ground, seen),
        IdentityCommand::Disconnect { user, identity } => disconnect(ground, *user, *identity),
        IdentityCommand::SetWay { user, way } => set_way(ground, *user, *way),
    }
}

fn event(event: IdentityEvent) -> Event {
    Event::Identity(event)
}

/// What the provider said, if it is the provider of this cluster and what it says is sound.
fn check_seen<'s>(ground: Ground<'s>, seen: &Seen) -> Result<&'s OidcProvider, Refusal> {
    let provider = provider(ground.state, &seen.issuer)?;
    let malformed = |what: &str, cause: &str| Refusal::Malformed {
        what: what.to_owned(),
        cause: cause.to_owned(),
    };
    plain_text("subject", &seen.subject, SUBJECT_LEN_MAX)?;
    if seen.subject.is_empty() || !seen.subject.is_ascii() {
        return Err(malformed("subject", "it is no identifier of a person"));
    }
    account::check_mail("mail address", &seen.mail)?;
    if ground.entry.at.since_ms(seen.asked_at) > Identity::TICKET_MS {
        return Err(IdentityRefusal::LoginTooOld.into());
    }
    check_domain(provider, seen)?;
    Ok(provider)
}

fn identity_of<'s>(state: &'s State, seen: &Seen) -> Option<&'s Identity> {
    let id = Identity::id_of(&seen.issuer, &seen.subject);
    state.identities.get(&id)
}

/// As it is kept. What the provider has not verified is nobody's address.
fn connected(ground: Ground<'_>, seen: &Seen, holder: Holder) -> Identity {
    let mail = if seen.mail_verified {
        seen.mail.as_str()
    } else {
        ""
    };
    Identity {
        id: Identity::id_of(&seen.issuer, &seen.subject),
        issuer: seen.issuer.clone(),
        subject: seen.subject.clone(),
        holder,
        mail: mail.to_owned(),
        since: ground.entry.at,
        spent: imbl::OrdMap::new(),
    }
}

/// The ticket, if it was not used before.
fn spend(ground: Ground<'_>, row: &Identity, user: UserId, seen: &Seen) -> Result<Event, Refusal> {
    if row.spent.contains_key(&seen.ticket) {
        return Err(IdentityRefusal::LoginSpent.into());
    }
    let counting = row.spent.values().filter(|until| **until > ground.entry.at);
    if counting.count() >= Identity::SPENT_MAX {
        return Err(IdentityRefusal::LoginsTooMany.into());
    }
    Ok(event(IdentityEvent::Used {
        identity: row.id,
        user,
        ticket: seen.ticket,
        until: seen.asked_at.plus_ms(Identity::TICKET_MS),
    }))
}

fn open_by_provider(
    ground: Ground<'_>,
    seen: &Seen,
    login: &NewLogin,
) -> Result<Decision, Refusal> {
    check_seen(ground, seen)?;
    let row = identity_of(ground.state, seen);
    let row = row.filter(|row| row.holder == Holder::User(login.user));
    let row = row.ok_or(Refusal::CredentialsWrong)?;
    let used = spend(ground, row, login.user, seen)?;
    let mut opened = account::open_by(ground, login, LoginWay::Oidc)?;
    opened.events.push(used);
    Ok(opened)
}

fn open_by_pam(ground: Ground<'_>, login: &NewLogin) -> Result<Decision, Refusal> {
    if ground.state.pam().is_none() {
        return Err(IdentityRefusal::PamOff.into());
    }
    if ground.state.account_of(login.user).way != LoginWay::Pam {
        return Err(Refusal::CredentialsWrong);
    }
    account::open_by(ground, login, LoginWay::Pam)
}

/// Only who is logged in connects: whoever the provider says they are too must be nobody else here.
fn connect(ground: Ground<'_>, seen: &Seen) -> Result<Decision, Refusal> {
    let user = ground.asker()?.id;
    check_seen(ground, seen)?;
    let subject = Subject::User(user);
    if let Some(row) = identity_of(ground.state, seen) {
        if row.holder != Holder::User(user) {
            return Err(IdentityRefusal::IdentityTaken.into());
        }
        return Ok(Decision::new(subject, Vec::new()));
    }
    if ground.state.identities_of(user).count() >= Identity::PER_USER_MAX {
        return Err(Refusal::Exhausted {
            what: "connection".to_owned(),
            scope: format!("the {} of your account", Identity::PER_USER_MAX),
        });
    }
    let until = seen.asked_at.plus_ms(Identity::TICKET_MS);
    let identity = Identity {
        spent: imbl::OrdMap::unit(seen.ticket, until),
        ..connected(ground, seen, Holder::User(user))
    };
    let connected = event(IdentityEvent::Connected { identity });
    Ok(Decision::new(subject, vec![connected]))
}

/// Nobody shuts themselves out.
fn disconnect(ground: Ground<'_>, user: UserId, id: IdentityId) -> Result<Decision, Refusal> {
    let state = ground.state;
    let row = state.identities.get(&id);
    let row = row.filter(|row| row.holder == Holder::User(user));
    let row = row.ok_or_else(|| Refusal::not_found("connection", id))?;
    let others = state.identities_of(user).any(|other| other.id != row.id);
    let by_name = match state.account_of(user).way {
        LoginWay::Local => {
            let known = state.users.get(&user);
            known.is_some_and(|user| !user.password_hash.is_empty())
        }
        LoginWay::Pam => true,
        LoginWay::Oidc => others,
    };
    if !by_name && !others {
        return Err(IdentityRefusal::LastWay.into());
    }
    let identity = row.id;
    let disconnected = event(IdentityEvent::Disconnected { identity, user });
    Ok(Decision::new(Subject::User(user), vec![disconnected]))
}

/// What checked the password until now does so no more, so whoever is logged in is out.
fn set_way(ground: Ground<'_>, user: UserId, way: LoginWay) -> Result<Decision, Refusal> {
    let state = ground.state;
    let row = state.users.get(&user);
    let row = row.ok_or_else(|| Refusal::not_found("user", user))?;
    if ground.asker()?.id == user {
        return Err(AccountRefusal::OwnAccount {
            action: "choose the way of login of".to_owned(),
        }
        .into());
    }
    match way {
        LoginWay::Local => {}
        LoginWay::Pam if state.pam().is_none() => return Err(IdentityRefusal::PamOff.into()),
        LoginWay::Oidc if state.identities_of(user).next().is_none() => {
            return Err(IdentityRefusal::NotConnected.into());
        }
        LoginWay::Pam | LoginWay::Oidc => {}
    }
    let mut events = Vec::new();
    if state.account_of(user).way != way {
        events.push(event(IdentityEvent::WaySet { user, way }));
        if !row.password_hash.is_empty() {
            events.push(Event::PasswordChanged {
                user,
                password_hash: String::new(),
            });
        }
        events.extend(person::sessions_ended(ground, user));
    }
    Ok(Decision::new(Subject::User(user), events))
}

/// A password of this cluster is what an account has from now on; only an admin gives one to who had none.
pub(super) fn password_set(ground: Ground<'_>, user: UserId) -> Result<Option<Event>, Refusal> {
    let way = ground.state.account_of(user).way;
    if way == LoginWay::Local {
        return Ok(None);
    }
    if ground.asker()?.id == user {
        let way = way.word().to_owned();
        return Err(IdentityRefusal::PasswordElsewhere { way }.into());
    }
    let way = LoginWay::Local;
    Ok(Some(event(IdentityEvent::WaySet { user, way })))
}
