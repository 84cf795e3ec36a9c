//! Accounts: requests for them, locking and deleting them. Since version 3.

mod factor;
pub(super) mod leave;
mod login;

use super::{Decision, Ground, plain_text};
use crate::account::command::AccountCommand;
use crate::account::due::is_over;
use crate::account::event::AccountEvent;
use crate::account::likeness::is_reserved;
use crate::account::refusal::AccountRefusal;
use crate::account::standing::{admit, deleted};
use crate::event::Event;
use crate::evolve::evolve;
use crate::id::{LogIndex, UserId};
use crate::model::account::{
    Account, AccountPolicy, Application, LoginWay, Profile, Standing, Verdict,
};
use crate::model::receipt::Subject;
use crate::model::{Role, SessionKind, User};
use crate::name::Name;
use crate::notice::news::{self, Moment};
use crate::permit;
use crate::refusal::Refusal;
use crate::state::State;

/// Longest texts, in bytes.
const REASON_LEN_MAX: usize = 1_000;
const PROFILE_LEN_MAX: usize = 200;
/// RFC 5321 has no longer path.
const MAIL_LEN_MAX: usize = 254;

pub(super) fn decide(ground: Ground<'_>, command: &AccountCommand) -> Result<Decision, Refusal> {
    match command {
        AccountCommand::SetRegistration { open } => Ok(set_registration(ground, *open)),
        AccountCommand::Apply {
            name,
            password_hash,
            profile,
            reason,
        } => apply(ground, name, password_hash, profile, reason),
        AccountCommand::Approve { application, name } => {
            approve(ground, *application, name.as_deref())
        }
        AccountCommand::Decline {
            application,
            reason,
        } => decline(ground, *application, reason),
        AccountCommand::ForgetDeclined => Ok(forget_declined(ground)),
        AccountCommand::SetProfile { user, profile } => set_profile(ground, *user, profile),
        AccountCommand::Lock { user, reason } => lock(ground, *user, reason),
        AccountCommand::Unlock { user } => unlock(ground, *user),
        AccountCommand::Delete { user, with_data } => leave::delete(ground, *user, *with_data),
        AccountCommand::FinishDeletion { user } => Ok(leave::finish(ground, *user)),
        AccountCommand::OpenLogin(new) => login::open(ground, new),
        AccountCommand::EndLogin { user, number } => login::end(ground, *user, *number),
        AccountCommand::EndOtherLogins { user, keep } => login::end_others(ground, *user, *keep),
        AccountCommand::CreateToken {
            id,
            name,
            scopes,
            ttl_ms,
        } => login::create_token(ground, *id, name, scopes, *ttl_ms),
        AccountCommand::NoteUse { number } => Ok(login::note_use(ground, *number)),
        AccountCommand::UpgradeHash {
            user,
            from,
            password_hash,
        } => login::upgrade_hash(ground, *user, *from, password_hash),
        AccountCommand::BeginFactor { secret } => factor::begin(ground, secret),
        AccountCommand::ConfirmFactor { step, recovery } => {
            factor::confirm(ground, *step, recovery)
        }
        AccountCommand::RemoveFactor { user, proof } => factor::remove(ground, *user, *proof),
    }
}

/// What a door that knows nothing of second factors and tokens may open.
pub(super) fn refuse_unproven(
    state: &State,
    user: UserId,
    kind: SessionKind,
) -> Result<(), Refusal> {
    admit(state, user)?;
    if state.account_of(user).way != LoginWay::Local {
        return Err(Refusal::CredentialsWrong);
    }
    let factor = state
        .accounts
        .get(&user)
        .and_then(Account::confirmed_factor);
    match kind {
        SessionKind::Browser | SessionKind::Token if factor.is_none() => Ok(()),
        SessionKind::Browser | SessionKind::Token => Err(AccountRefusal::CodeNeeded.into()),
        SessionKind::Api | SessionKind::Unproven => Err(Refusal::CredentialsWrong),
    }
}

pub(super) use login::open_by;

fn event(event: AccountEvent) -> Event {
    Event::Account(event)
}

fn user_of(state: &State, id: UserId) -> Result<&User, Refusal> {
    let user = state.users.get(&id);
    user.ok_or_else(|| Refusal::not_found("user", id))
}

/// What an admin decides now. Whoever asks has been found to be one.
fn verdict(ground: Ground<'_>, reason: &str) -> Result<Verdict, Refusal> {
    plain_text("reason", reason, REASON_LEN_MAX)?;
    Ok(Verdict {
        by: permit::person(ground.state, ground.entry.actor)?.id,
        at: ground.entry.at,
        reason: reason.trim().to_owned(),
    })
}

/// A reason that is told to somebody must say something.
fn said(reason: &str) -> Result<(), Refusal> {
    demand_text("reason", reason, REASON_LEN_MAX)
}

fn demand_text(what: &str, given: &str, most: usize) -> Result<(), Refusal> {
    plain_text(what, given, most)?;
    if given.trim().is_empty() {
        return Err(Refusal::Malformed {
            what: what.to_owned(),
            cause: "it says nothing".to_owned(),
        });
    }
    Ok(())
}

fn set_registration(ground: Ground<'_>, open: bool) -> Decision {
    let policy = AccountPolicy { registration: open };
    let news = ground.state.account_policy.unwrap_or_default() != policy;
    let set = news.then_some(event(AccountEvent::PolicySet { policy }));
    Decision::quiet(set.into_iter().collect())
}

/// Of a stranger: a name that is not free, one that is kept and one that looks like another are told alike.
fn apply(
    ground: Ground<'_>,
    name: &str,
    password_hash: &str,
    profile: &Profile,
    reason: &str,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    if !state.account_policy.unwrap_or_default().registration {
        return Err(AccountRefusal::RegistrationClosed.into());
    }
    let name = Name::parse("user", name)?;
    super::person::check_hash(password_hash)?;
    check_profile(profile)?;
    demand_text("real name", &profile.real_name, PROFILE_LEN_MAX)?;
    demand_text("mail address", &profile.mail, MAIL_LEN_MAX)?;
    said(reason)?;
    refuse_unfree(state, &name)?;
    let application = Application {
        id: ground.index,
        name,
        password_hash: password_hash.to_owned(),
        profile: profile.clone(),
        reason: reason.trim().to_owned(),
        asked_at: ground.entry.at,
        declined: None,
        way: LoginWay::Local,
    };
    request(ground, application)
}

/// A name that a stranger may not have.
pub(super) fn refuse_unfree(state: &State, name: &Name) -> Result<(), Refusal> {
    if is_reserved(name) || state.is_taken_or_alike(name) {
        let name = name.to_string();
        return Err(AccountRefusal::NameNotFree { name }.into());
    }
    Ok(())
}

/// What makes it one of those that wait.
pub(super) fn request(ground: Ground<'_>, application: Application) -> Result<Decision, Refusal> {
    let mut events: Vec<Event> = room_for(ground, &application.name)?;
    let told = news::applied(ground.moment(), &application);
    events.push(event(AccountEvent::Applied { application }));
    events.extend(told);
    Ok(Decision::quiet(events))
}

/// What makes room for one more: the declined one of the same name, or the oldest declined one.
fn room_for(ground: Ground<'_>, name: &Name) -> Result<Vec<Event>, Refusal> {
    let state = ground.state;
    let mut declined = state
        .applications
        .values()
        .filter(|row| row.declined.is_some());
    let same = state.application_named(name).map(|row| row.id);
    let full = state.applications.len() >= Application::KEPT_MAX;
    let gone = match same {
        Some(id) => Some(id),
        None if full => {
            Some(
                declined
                    .next()
                    .map(|row| row.id)
                    .ok_or_else(|| Refusal::Exhausted {
                        what: "request for an account".to_owned(),
                        scope: format!("the {} of this cluster", Application::KEPT_MAX),
                    })?,
            )
        }
        None => None,
    };
    let forgotten =
        gone.map(|application| event(AccountEvent::ApplicationForgotten { application }));
    Ok(forgotten.into_iter().collect())
}

fn check_profile(profile: &Profile) -> Result<(), Refusal> {
    plain_text("real name", &profile.real_name, PROFILE_LEN_MAX)?;
    plain_text("affiliation", &profile.affiliation, PROFILE_LEN_MAX)?;
    check_mail("mail address", &profile.mail)
}

/// Refuses what is no mail address; none at all is one.
pub(super) fn check_mail(what: &str, mail: &str) -> Result<(), Refusal> {
    plain_text(what, mail, MAIL_LEN_MAX)?;
    let parts = mail.split_once('@');
    let unfit = |part: &str| {
        let odd = |c: char| c.is_whitespace() || c == '@' || "<>,;:\"()[]\\".contains(c);
        part.is_empty() || part.starts_with('-') || part.contains(odd)
    };
    let sound = parts.is_some_and(|(local, domain)| !unfit(local) && !unfit(domain));
    if mail.is_empty() || sound {
        return Ok(());
    }
    Err(Refusal::Malformed {
        what: what.to_owned(),
        cause: "it is not of the form somebody@example.org".to_owned(),
    })
}

fn open_application(state: &State, id: LogIndex) -> Result<&Application, Refusal> {
    let found = state
        .applications
        .get(&id)
        .filter(|row| row.declined.is_none());
    found.ok_or_else(|| Refusal::not_found("open request for an account", id))
}

/// The account comes as the request said, under another name if the admin wants that. Look-alikes are the admin's to judge.
fn approve(ground: Ground<'_>, id: LogIndex, name: Option<&str>) -> Result<Decision, Refusal> {
    let application = open_application(ground.state, id)?;
    let other = name.is_some_and(|name| name != application.name.as_str());
    if other && application.way == LoginWay::Pam {
        return Err(Refusal::Malformed {
            what: "name".to_owned(),
            cause: "who logs in by PAM is called as the machines call them".to_owned(),
        });
    }
    let name = name.unwrap_or(application.name.as_str());
    let made = super::person::create_user(ground, name, Role::User, &application.password_hash)?;
    let mut events = made.events;
    if let Subject::User(user) = made.subject {
        let account = Account {
            way: application.way,
            profile: application.profile.clone(),
            verdict: Some(verdict(ground, "")?),
            ..Account::plain(user)
        };
        events.push(event(AccountEvent::Approved {
            application: id,
            account,
        }));
        let after = after(ground, &events);
        let moment = Moment {
            state: &after,
            ..ground.moment()
        };
        events.extend(news::approved(moment, user));
    }
    Ok(Decision::new(made.subject, events))
}

/// What will be, for telling somebody who is not there before.
fn after(ground: Ground<'_>, events: &[Event]) -> State {
    let events = events.iter();
    events.fold(ground.state.clone(), |state, event| {
        evolve(state, ground.entry.at, event)
    })
}

fn decline(ground: Ground<'_>, id: LogIndex, reason: &str) -> Result<Decision, Refusal> {
    let application = open_application(ground.state, id)?;
    said(reason)?;
    let verdict = verdict(ground, reason)?;
    let told = news::declined(ground.moment(), application, &verdict.reason);
    let declined = event(AccountEvent::Declined {
        application: id,
        name: application.name.clone(),
        verdict,
    });
    Ok(Decision::quiet(
        std::iter::once(declined).chain(told).collect(),
    ))
}

fn forget_declined(ground: Ground<'_>) -> Decision {
    let rows = ground.state.applications.values();
    let over = rows.filter(|row| is_over(row, ground.entry.at));
    let forgotten = over.map(|row| {
        event(AccountEvent::ApplicationForgotten {
            application: row.id,
        })
    });
    Decision::quiet(forgotten.collect())
}

fn set_profile(ground: Ground<'_>, user: UserId, profile: &Profile) -> Result<Decision, Refusal> {
    user_of(ground.state, user)?;
    check_profile(profile)?;
    let news = ground.state.account_of(user).profile != *profile;
    let profile = profile.clone();
    let set = news.then_some(event(AccountEvent::ProfileSet { user, profile }));
    let events = set.into_iter().collect();
    Ok(Decision::new(Subject::User(user), events))
}

/// Nobody locks or deletes their own account: whoever does it is an admin, and stays one.
fn refuse_oneself(ground: Ground<'_>, user: UserId, action: &str) -> Result<(), Refusal> {
    if permit::person(ground.state, ground.entry.actor)?.id != user {
        return Ok(());
    }
    Err(AccountRefusal::OwnAccount {
        action: action.to_owned(),
    }
    .into())
}

/// Another reason takes the place of the one before.
fn lock(ground: Ground<'_>, user: UserId, reason: &str) -> Result<Decision, Refusal> {
    user_of(ground.state, user)?;
    refuse_oneself(ground, user, "lock")?;
    said(reason)?;
    let standing = ground.state.account_of(user).standing;
    match standing {
        Standing::Active | Standing::Locked => {}
        Standing::Leaving => return Err(AccountRefusal::Leaving.into()),
        Standing::Deleted => return Err(deleted(ground.state, user).into()),
    }
    let verdict = verdict(ground, reason)?;
    let told = news::locked(ground.moment(), user, &verdict.reason);
    let locked = event(AccountEvent::Locked { user, verdict });
    let ended = super::person::sessions_ended(ground, user);
    let events = std::iter::once(locked).chain(ended).chain(told).collect();
    Ok(Decision::new(Subject::User(user), events))
}

fn unlock(ground: Ground<'_>, user: UserId) -> Result<Decision, Refusal> {
    user_of(ground.state, user)?;
    let events = match ground.state.account_of(user).standing {
        Standing::Active => Vec::new(),
        Standing::Locked => {
            let verdict = verdict(ground, "")?;
            let mut events = vec![event(AccountEvent::Unlocked { user, verdict })];
            let after = after(ground, &events);
            let moment = Moment {
                state: &after,
                ..ground.moment()
            };
            events.extend(news::unlocked(moment, user));
            events
        }
        Standing::Leaving => return Err(AccountRefusal::Leaving.into()),
        Standing::Deleted => return Err(deleted(ground.state, user).into()),
    };
    Ok(Decision::new(Subject::User(user), events))
}
