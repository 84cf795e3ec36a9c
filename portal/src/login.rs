//! Logging in: name and password, and a code where the account has a second factor.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::account::command::{AccountCommand, NewLogin, Proof};
use docklet_control::account::likeness::is_reserved;
use docklet_control::account::refusal::AccountRefusal;
use docklet_control::account::scope;
use docklet_control::account::standing::admit;
use docklet_control::id::{LogIndex, RequestId, SecretHash, UserId};
use docklet_control::identity::command::{IdentityCommand, Wish, Witness};
use docklet_control::model::account::{Application, LoginWay, SecondFactor};
use docklet_control::model::receipt::Subject;
use docklet_control::model::{Receipt, SessionKind, User};
use docklet_control::name::Name;
use docklet_control::{Actor, Command, Refusal, State, version};
use sha2::{Digest, Sha256};

use crate::asker::{OWN_WRITE_DEADLINE, WRITE_DEADLINE, now};
use crate::brake::Attempt;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::{pam, password, totp};

/// A login by browser lasts this long, one by command line longer.
const BROWSER_TTL: Duration = Duration::from_secs(12 * 3_600);
const TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3_600);
/// So long a login waits for its code.
const UNPROVEN_TTL: Duration = Duration::from_secs(300);
/// Where PAM is asked, a login that fails takes so long at least: how long its modules take for whom they know, for whom they do
/// not, and for whom nobody asks them, is told to nobody.
const FAILED_BY_PAM: Duration = Duration::from_secs(3);
const DAY_MS: u64 = 24 * 3_600_000;

/// A fresh session: its secret and when it ends.
pub(crate) struct Opened {
    pub(crate) secret: String,
    pub(crate) index: LogIndex,
    pub(crate) ttl: Duration,
    pub(crate) kind: SessionKind,
}

/// Who somebody says they are.
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: String,
    /// What their device shows, or a recovery code.
    pub(crate) code: Option<String>,
}

/// Checks name and password and opens a session. Whoever has a second factor and gave no code gets one that only waits for
/// it, in a browser; a program is told.
pub(crate) async fn log_in(
    portal: &Portal,
    client: IpAddr,
    given: Credentials,
    kind: SessionKind,
) -> Result<Opened, Problem> {
    let attempt = attempt(portal, &given.name, client).await?;
    let begun = Instant::now();
    let mut state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
    let found = Found::of(&state, &given.name);
    let checker = Checker::of(&state, found.as_ref(), &given.name);
    let by_pam = matches!(checker, Checker::Pam { .. });
    if !checker.fits(portal, client, given.password.clone()).await? {
        attempt.failed();
        let wrong = Problem::from(Refusal::CredentialsWrong);
        portal.refused.login(&state, &given.name, client, &wrong);
        if state.pam().is_some() {
            tokio::time::sleep_until((begun + FAILED_BY_PAM).into()).await;
        }
        return Err(Refusal::CredentialsWrong.into());
    }
    attempt.passed();
    let user = match found {
        Some(Found::User(user)) => user.clone(),
        Some(Found::Application(application)) => return Err(standing_of(application).into()),
        None => {
            let user = welcome(portal, &given.name).await?;
            state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
            let user = state.users.get(&user).cloned();
            user.ok_or(Refusal::CredentialsWrong)?
        }
    };
    // Only who knows the password is told.
    admit(&state, user.id).map_err(Refusal::from)?;
    let account = state.account_of(user.id);
    let new = |kind, proof| Opening {
        user: user.id,
        kind,
        proof,
        after: None,
        by: by_pam.then_some(Witness::Pam),
    };
    let code = given.code.filter(|code| !code.trim().is_empty());
    let opened = match (account.confirmed_factor(), code) {
        (None, _) => open(portal, client, new(kind, Proof::Nothing)).await?,
        (Some(factor), Some(code)) => {
            let proof = prove(portal, client, &user, factor, &code).await?;
            open(portal, client, new(kind, proof)).await?
        }
        (Some(_), None) if kind == SessionKind::Browser => {
            open(portal, client, new(SessionKind::Unproven, Proof::Nothing)).await?
        }
        (Some(_), None) => return Err(Refusal::from(AccountRefusal::CodeNeeded).into()),
    };
    if !by_pam && password::is_outdated(&user.password_hash) {
        tokio::spawn(upgrade(portal.clone(), client, user, given.password));
    }
    Ok(opened)
}

/// Goes on with a login that waits for a code.
pub(crate) async fn go_on(
    portal: &Portal,
    client: IpAddr,
    secret: &str,
    code: &str,
) -> Result<Opened, Problem> {
    let state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
    let id = hash_of(secret);
    let waiting = state.sessions.get(&id);
    let waiting = waiting
        .filter(|session| session.kind == SessionKind::Unproven && session.expires_at > now());
    let user = waiting.and_then(|session| state.users.get(&session.user));
    let user = user.ok_or(Refusal::NotLoggedIn)?;
    let account = state.account_of(user.id);
    let proof = match account.confirmed_factor() {
        Some(factor) => prove(portal, client, user, factor, code).await?,
        // It was removed meanwhile.
        None => Proof::Nothing,
    };
    let opening = Opening {
        user: user.id,
        kind: SessionKind::Browser,
        proof,
        after: Some(id),
        by: None,
    };
    open(portal, client, opening).await
}

/// Opens a login by another's word, without a code.
pub(crate) async fn open_by(
    portal: &Portal,
    client: IpAddr,
    user: UserId,
    kind: SessionKind,
    by: Witness,
) -> Result<Opened, Problem> {
    let opening = Opening {
        user,
        kind,
        proof: Proof::Nothing,
        after: None,
        by: Some(by),
    };
    open(portal, client, opening).await
}

/// PAM knows somebody whom nobody here does.
async fn welcome(portal: &Portal, name: &str) -> Result<UserId, Problem> {
    let command = Command::Identity(IdentityCommand::Welcome {
        by: Witness::Pam,
        wish: Wish {
            name: name.to_owned(),
            real_name: String::new(),
        },
    });
    let receipt = propose(portal, command).await?;
    match receipt.accepted() {
        Ok(Subject::User(user)) => Ok(*user),
        _ => Err(Refusal::from(AccountRefusal::ApplicationWaits).into()),
    }
}

/// Whether it is the password of somebody who is logged in already, with the code if there is a second factor: for what a
/// session alone is not enough for.
pub(crate) async fn confirm(
    portal: &Portal,
    client: IpAddr,
    user: &User,
    password: String,
    code: Option<&str>,
) -> Result<Proof, Problem> {
    let attempt = attempt(portal, user.name.as_str(), client).await?;
    let state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
    let current = state.users.get(&user.id).ok_or(Refusal::NotLoggedIn)?;
    let account = state.account_of(user.id);
    // Whoever has no password here shows a code, if there is one to show.
    if account.way != LoginWay::Oidc {
        let found = Found::User(current);
        let checker = Checker::of(&state, Some(&found), current.name.as_str());
        if !checker.fits(portal, client, password).await? {
            attempt.failed();
            let wrong = Problem::from(Refusal::CredentialsWrong);
            let name = current.name.as_str();
            portal.refused.login(&state, name, client, &wrong);
            return Err(wrong);
        }
    }
    attempt.passed();
    match (account.confirmed_factor(), code) {
        (None, _) => Ok(Proof::Nothing),
        (Some(factor), Some(code)) => prove(portal, client, user, factor, code).await,
        (Some(_), None) => Err(Refusal::from(AccountRefusal::CodeNeeded).into()),
    }
}

/// Waits for as long as the brake says.
async fn attempt(portal: &Portal, name: &str, client: IpAddr) -> Result<Attempt, Problem> {
    let attempt = portal.brake.attempt(name, client, Instant::now());
    let attempt = attempt.ok_or_else(Problem::too_many_logins)?;
    tokio::time::sleep(attempt.wait).await;
    Ok(attempt)
}

/// What a code proves. Whoever is here knows the password.
async fn prove(
    portal: &Portal,
    client: IpAddr,
    user: &User,
    factor: &SecondFactor,
    code: &str,
) -> Result<Proof, Problem> {
    let name = user.name.as_str();
    let attempt = portal.code_brake.attempt(name, client, Instant::now());
    let attempt = attempt.ok_or_else(Problem::too_many_logins)?;
    tokio::time::sleep(attempt.wait).await;
    let Some(proof) = totp::proof(factor, code, now()) else {
        attempt.failed();
        let wrong = Problem::from(Refusal::from(AccountRefusal::CodeWrong));
        portal.refused.code(user.id, client, &wrong);
        return Err(wrong);
    };
    attempt.passed();
    Ok(proof)
}

/// Whom a name means at the login.
enum Found<'s> {
    User(&'s User),
    /// Nobody yet: they asked to be.
    Application(&'s Application),
}

impl<'s> Found<'s> {
    fn of(state: &'s State, name: &str) -> Option<Self> {
        let name = Name::parse("user", name).ok()?;
        let user = state.user_named(&name);
        let application = || state.application_named(&name).map(Self::Application);
        user.map(Self::User).or_else(application)
    }

    fn way(&self, state: &State) -> LoginWay {
        match self {
            Self::User(user) => state.account_of(user.id).way,
            Self::Application(application) => application.way,
        }
    }

    fn hash(&self) -> &str {
        match self {
            Self::User(user) => &user.password_hash,
            Self::Application(application) => &application.password_hash,
        }
    }
}

/// Who knows whether a password is right.
enum Checker {
    /// Without a hash it takes as long, and is wrong.
    Hash(Option<String>),
    Pam {
        service: String,
        name: Name,
    },
}

impl Checker {
    /// Of whom nobody knows PAM is asked, if it is at all; but for names that nobody can have here.
    fn of(state: &State, found: Option<&Found<'_>>, name: &str) -> Self {
        let way = found.map(|found| found.way(state));
        let asked = match way {
            Some(LoginWay::Local) => {
                let hash = found.map(|found| found.hash().to_owned());
                return Self::Hash(hash.filter(|hash| !hash.is_empty()));
            }
            Some(LoginWay::Oidc) => None,
            Some(LoginWay::Pam) => Name::parse("user", name).ok(),
            None => {
                let name = Name::parse("user", name).ok();
                name.filter(|name| !is_reserved(name))
            }
        };
        match (state.pam(), asked) {
            (Some(pam), Some(name)) => Self::Pam {
                service: pam.service.clone(),
                name,
            },
            (None, _) | (_, None) => Self::Hash(None),
        }
    }

    async fn fits(
        self,
        portal: &Portal,
        client: IpAddr,
        password: String,
    ) -> Result<bool, Problem> {
        match self {
            Self::Hash(hash) => password::verify(password, hash, client).await,
            Self::Pam { service, name } => {
                pam::check(portal, &service, &name, password, client).await
            }
        }
    }
}

fn standing_of(application: &Application) -> Refusal {
    let refusal = match &application.declined {
        None => AccountRefusal::ApplicationWaits,
        Some(verdict) => AccountRefusal::ApplicationDeclined {
            reason: verdict.reason.clone(),
        },
    };
    refusal.into()
}

struct Opening {
    user: UserId,
    kind: SessionKind,
    proof: Proof,
    after: Option<SecretHash>,
    /// Whose word it is, if it is not that of a password of this cluster.
    by: Option<Witness>,
}

async fn open(portal: &Portal, client: IpAddr, opening: Opening) -> Result<Opened, Problem> {
    let kind = opening.kind;
    let secret = fresh_secret();
    let ttl = match kind {
        SessionKind::Browser => BROWSER_TTL,
        SessionKind::Token | SessionKind::Api => TOKEN_TTL,
        SessionKind::Unproven => UNPROVEN_TTL,
    };
    let new = NewLogin {
        user: opening.user,
        id: hash_of(&secret),
        kind,
        ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        from: client.to_canonical().to_string(),
        proof: opening.proof,
        after: opening.after,
    };
    let plain = Command::OpenSession {
        user: new.user,
        id: new.id,
        kind,
        ttl_ms: new.ttl_ms,
    };
    let command = match opening.by {
        Some(by) => Command::Identity(IdentityCommand::OpenLogin { by, login: new }),
        None => Command::Account(AccountCommand::OpenLogin(new)),
    };
    // What the cluster has not come to yet is left out.
    let known = version::check(&portal.master.local().state, &command).is_ok();
    let proposed = propose(portal, if known { command } else { plain }).await;
    let receipt = proposed.inspect_err(|problem| {
        if problem.code == AccountRefusal::CodeWrong.code() {
            portal.refused.code(opening.user, client, problem);
        }
    })?;
    Ok(Opened {
        secret,
        index: receipt.index,
        ttl,
        kind,
    })
}

/// The same password under a stronger hash. Nothing is lost if it fails: the next login tries again.
async fn upgrade(portal: Portal, client: IpAddr, user: User, password: String) {
    let Ok(password_hash) = password::hash_in_turn(password, client).await else {
        return;
    };
    let command = Command::Account(AccountCommand::UpgradeHash {
        user: user.id,
        from: hash_of(&user.password_hash),
        password_hash,
    });
    if version::check(&portal.master.local().state, &command).is_ok()
        && let Err(problem) = propose(&portal, command).await
    {
        tracing::info!(user = %user.id, problem = problem.detail, "a password's hash stays as it is for now");
    }
}

/// Tokens whose use this master has noted, and the day of that: many requests come before the first is in the log.
#[derive(Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<HashMap<LogIndex, u64>>>);

impl Noted {
    /// Whether it is news that the token was used on that day.
    fn is_news(&self, number: LogIndex, day: u64) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() > NOTED_MAX {
            noted.clear();
        }
        noted.insert(number, day) != Some(day)
    }
}

/// More than anybody has in use; then it begins anew.
const NOTED_MAX: usize = 10_000;

/// Notes that a token is in use, once a day.
pub(crate) fn note_use(portal: &Portal, state: &State, actor: Actor) {
    let Actor::Login { user, number, .. } = actor else {
        return;
    };
    let login = scope::login(state, user, number);
    let Some(token) = login.and_then(|login| login.token.as_ref()) else {
        return;
    };
    let used = token.used_day;
    let today = now().0 / DAY_MS;
    if used.is_some_and(|day| day >= today) || !portal.noted.is_news(number, today) {
        return;
    }
    let portal = portal.clone();
    tokio::spawn(async move {
        let command = Command::Account(AccountCommand::NoteUse { number });
        // Another master notes it, or this one tomorrow, if there is no quorum now.
        drop(propose(&portal, command).await);
    });
}

/// In the name of this door.
pub(crate) async fn propose(portal: &Portal, command: Command) -> Result<Receipt, Problem> {
    let actor = Actor::Door(portal.master.id());
    let request = RequestId::issued(portal.master.local().index, rand::random());
    let proposed = portal
        .master
        .propose(actor, request, command, WRITE_DEADLINE);
    Ok(proposed.await?)
}

/// What a browser or a program holds.
pub(crate) fn fresh_secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// What the log keeps of a secret.
pub(crate) fn hash_of(secret: &str) -> SecretHash {
    SecretHash(Sha256::digest(secret.as_bytes()).into())
}
