//! Logging in by an OpenID provider: the authorization code flow with PKCE (RFC 7636), state, nonce and the issuer's name
//! (RFC 9207).
//!
//! What a login was begun with is sealed in a cookie of the browser, so any master goes on with it, and nobody but that
//! browser. The provider's word is checked here; what it is worth, the log decides: it knows people by issuer and subject, and
//! takes each login once (ADR 0036).

mod fault;
mod provider;
mod seal;
mod token;

use std::net::IpAddr;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docklet_control::account::standing::admit;
use docklet_control::account::{refusal::AccountRefusal, scope};
use docklet_control::id::{LogIndex, RequestId, SecretHash, UnixMs, UserId};
use docklet_control::identity::command::{IdentityCommand, Seen, Wish, Witness};
use docklet_control::identity::refusal::IdentityRefusal;
use docklet_control::model::SessionKind;
use docklet_control::model::identity::{Holder, Identity, OidcProvider};
use docklet_control::model::receipt::Subject;
use docklet_control::{Command, Refusal, State};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::asker::{OWN_WRITE_DEADLINE, WRITE_DEADLINE, now};
use crate::login::{self, Opened, fresh_secret, hash_of};
use crate::next;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) use fault::Fault;
pub(crate) use provider::Provider;
pub(crate) use seal::Sealer;

/// Where the provider sends people back.
pub(crate) const CALLBACK: &str = "/login/oidc/callback";
/// For what a seal is good.
const BEGUN: &str = "login begun at an OpenID provider";
const ARRIVED: &str = "newcomer of an OpenID provider";

/// A login that was begun, for the browser to keep.
#[derive(Serialize, Deserialize)]
struct Begun {
    issuer: String,
    state: String,
    nonce: String,
    verifier: String,
    redirect_uri: String,
    next: String,
    at: UnixMs,
    /// The session whose person connects themselves; none of a login.
    connects: Option<SecretHash>,
}

/// Somebody new who must still say what they are called here.
#[derive(Serialize, Deserialize)]
struct Arrived {
    seen: Seen,
    real_name: String,
    next: String,
}

/// Where to send the browser, and what it keeps.
pub(crate) struct Beginning {
    pub(crate) address: String,
    pub(crate) label: String,
    pub(crate) sealed: String,
}

/// What the provider sent along.
#[derive(Deserialize)]
pub(crate) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// What came of a login.
pub(crate) enum Outcome {
    Opened {
        opened: Opened,
        next: String,
    },
    Connected {
        index: LogIndex,
        next: String,
    },
    /// They have asked for an account by it.
    Asked,
    /// Their name is none here.
    Unnamed {
        sealed: String,
        name: String,
        problem: Problem,
    },
}

/// The provider of this cluster.
pub(crate) fn provider(state: &State) -> Result<&OidcProvider, Problem> {
    let known = state.provider().ok_or(IdentityRefusal::NoProvider);
    Ok(known.map_err(Refusal::from)?)
}

/// Begins a login, or connecting who is logged in.
pub(crate) async fn begin(
    portal: &Portal,
    headers: &HeaderMap,
    next: &str,
    connects: Option<SecretHash>,
) -> Result<Beginning, Problem> {
    let state = portal.master.local().state;
    let row = provider(&state)?;
    let offered = portal.oidc.offered(row).await?;
    let begun = Begun {
        issuer: row.issuer.clone(),
        state: fresh_secret(),
        nonce: fresh_secret(),
        verifier: fresh_secret(),
        redirect_uri: redirect_uri(row, headers)?,
        next: next::within(next).to_owned(),
        at: now(),
        connects,
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&begun.verifier));
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &row.client_id)
        .append_pair("redirect_uri", &begun.redirect_uri)
        .append_pair("scope", "openid profile email")
        .append_pair("state", &begun.state)
        .append_pair("nonce", &begun.nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let endpoint = &offered.authorization_endpoint;
    let mark = if endpoint.contains('?') { '&' } else { '?' };
    Ok(Beginning {
        address: format!("{endpoint}{mark}{query}"),
        label: row.label.clone(),
        sealed: portal.sealer.seal(BEGUN, &begun),
    })
}

/// As an admin said, or by the address by which the browser is here; the provider knows which ones there are.
fn redirect_uri(row: &OidcProvider, headers: &HeaderMap) -> Result<String, Problem> {
    let base = match row.portal.as_str() {
        "" => {
            let host = headers.get(axum::http::header::HOST);
            let host = host.and_then(|host| host.to_str().ok());
            let host = host.ok_or_else(|| Problem::malformed("host", "it is missing"))?;
            format!("https://{host}")
        }
        portal => portal.trim_end_matches('/').to_owned(),
    };
    Ok(format!("{base}{CALLBACK}"))
}

/// The provider has sent the browser back.
pub(crate) async fn go_on(
    portal: &Portal,
    client: IpAddr,
    sealed: Option<&str>,
    answer: Answer,
) -> Result<Outcome, Problem> {
    let begun: Option<Begun> = sealed.and_then(|text| portal.sealer.open(BEGUN, text));
    let begun = begun.ok_or(Fault::NotBegun)?;
    if answer.state.as_deref() != Some(begun.state.as_str()) {
        return Err(Fault::NotBegun.into());
    }
    if now().since_ms(begun.at) > Identity::TICKET_MS {
        return Err(Refusal::from(IdentityRefusal::LoginTooOld).into());
    }
    let state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
    let row = provider(&state)?;
    if row.issuer != begun.issuer {
        return Err(Refusal::from(IdentityRefusal::IssuerWrong).into());
    }
    let offered = portal.oidc.offered(row).await?;
    match &answer.iss {
        Some(iss) if *iss != row.issuer => return Err(Fault::IssuerMixedUp.into()),
        None if offered.names_itself => return Err(Fault::IssuerMixedUp.into()),
        Some(_) | None => {}
    }
    if let Some(error) = &answer.error {
        return Err(Fault::denied(error).into());
    }
    let code = answer.code.as_deref().ok_or(Fault::NotBegun)?;
    let said = portal.oidc.redeem(row, &offered, code, &begun).await?;
    let seen = Seen {
        issuer: begun.issuer,
        subject: said.subject,
        mail: said.mail,
        mail_verified: said.mail_verified,
        ticket: hash_of(&begun.state),
        asked_at: begun.at,
    };
    if let Some(session) = begun.connects {
        return connect(portal, client, &state, session, seen, begun.next).await;
    }
    let arrived = Arrived {
        seen,
        real_name: said.real_name,
        next: begun.next,
    };
    let wished = wished_name(&said.user_name);
    let outcome = enter(portal, client, &arrived, wished.clone()).await;
    unnamed(portal, outcome, arrived, wished)
}

/// Somebody new says what they are called.
pub(crate) async fn name_oneself(
    portal: &Portal,
    client: IpAddr,
    sealed: Option<&str>,
    name: &str,
) -> Result<Outcome, Problem> {
    let arrived: Option<Arrived> = sealed.and_then(|text| portal.sealer.open(ARRIVED, text));
    let arrived = arrived.ok_or(Fault::NotBegun)?;
    let name = name.trim().to_owned();
    let outcome = enter(portal, client, &arrived, name.clone()).await;
    unnamed(portal, outcome, arrived, name)
}

fn unnamed(
    portal: &Portal,
    outcome: Result<Outcome, Problem>,
    arrived: Arrived,
    name: String,
) -> Result<Outcome, Problem> {
    match outcome {
        Err(problem)
            if matches!(
                problem.code,
                "name_invalid" | "name_not_free" | "name_taken"
            ) =>
        {
            Ok(Outcome::Unnamed {
                sealed: portal.sealer.seal(ARRIVED, &arrived),
                name,
                problem,
            })
        }
        other => other,
    }
}

/// What the provider calls somebody, as near to a name of this cluster as it comes; they are asked if that is none.
fn wished_name(given: &str) -> String {
    let local = given.split('@').next().unwrap_or_default();
    let local = local.trim().to_ascii_lowercase();
    local.replace(['.', '_', ' '], "-")
}

/// The session by which it was begun says who connects themselves, if it is still one.
async fn connect(
    portal: &Portal,
    client: IpAddr,
    state: &State,
    session: SecretHash,
    seen: Seen,
    next: String,
) -> Result<Outcome, Problem> {
    let (actor, _) = scope::bearer(state, session, client.to_canonical(), now())?;
    let request = RequestId::issued(portal.master.local().index, rand::random());
    let command = Command::Identity(IdentityCommand::Connect { seen });
    let proposed = portal
        .master
        .propose(actor, request, command, WRITE_DEADLINE);
    let index = proposed.await?.index;
    Ok(Outcome::Connected { index, next })
}

async fn enter(
    portal: &Portal,
    client: IpAddr,
    arrived: &Arrived,
    name: String,
) -> Result<Outcome, Problem> {
    let state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
    let id = Identity::id_of(&arrived.seen.issuer, &arrived.seen.subject);
    let holder = state.identities.get(&id).map(|row| row.holder);
    let user = match holder {
        Some(Holder::User(user)) => user,
        Some(Holder::Application(_)) | None => {
            let real_name = arrived.real_name.clone();
            let command = Command::Identity(IdentityCommand::Welcome {
                by: Witness::Provider(arrived.seen.clone()),
                wish: Wish { name, real_name },
            });
            let receipt = login::propose(portal, command).await?;
            match receipt.accepted() {
                Ok(Subject::User(user)) => *user,
                _ => return Ok(Outcome::Asked),
            }
        }
    };
    let opened = open(portal, client, user, &arrived.seen).await?;
    let next = arrived.next.clone();
    Ok(Outcome::Opened { opened, next })
}

/// Whoever has a second factor is asked for a code, whoever says who they are.
async fn open(
    portal: &Portal,
    client: IpAddr,
    user: UserId,
    seen: &Seen,
) -> Result<Opened, Problem> {
    let state = portal.master.read(OWN_WRITE_DEADLINE).await?.state;
    admit(&state, user).map_err(Refusal::from)?;
    let kind = match state.account_of(user).confirmed_factor() {
        Some(_) => SessionKind::Unproven,
        None => SessionKind::Browser,
    };
    let by = Witness::Provider(seen.clone());
    let opened = login::open_by(portal, client, user, kind, by).await;
    match opened {
        // It was set up a moment ago.
        Err(problem) if problem.code == AccountRefusal::CodeNeeded.code() => {
            let by = Witness::Provider(seen.clone());
            login::open_by(portal, client, user, SessionKind::Unproven, by).await
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_calls_people_comes_near_to_a_name() {
        for (given, name) in [
            ("Ada.Lovelace", "ada-lovelace"),
            ("ada@example.org", "ada"),
            (" eve_adams ", "eve-adams"),
            ("", ""),
        ] {
            assert_eq!(wished_name(given), name);
        }
    }
}
