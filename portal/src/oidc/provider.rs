//! Talking to a provider: what it offers and its keys, kept for a while; and what a code is worth. It is trusted with nothing
//! but its word: it is asked over TLS only, follows no redirect, and neither slowness nor length of an answer holds a master up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::model::identity::OidcProvider;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::token::{self, Expected, Keys, PersonClaims};
use super::{Begun, Fault};

/// All of one answer comes within it.
const DEADLINE: Duration = Duration::from_secs(8);
const CONNECT_DEADLINE: Duration = Duration::from_secs(4);
/// Longest answer taken, in bytes; sets of keys are the longest.
const ANSWER_MAX: usize = 256 * 1_024;
/// What it offers is asked for anew after this time.
const KEPT: Duration = Duration::from_secs(600);
/// Logins whose provider is asked at once, and those that wait for it, too.
const AT_ONCE: usize = 16;
const WAITING_MAX: usize = 200;

/// What a provider offers (OpenID Connect Discovery 1.0), as far as it is used.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Offered {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// Whether its answers say who it is (RFC 9207).
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(super) names_itself: bool,
}

impl Offered {
    /// Whether nothing is said to it but over TLS.
    fn is_private(&self) -> bool {
        let needed = [
            Some(&self.authorization_endpoint),
            Some(&self.token_endpoint),
            Some(&self.jwks_uri),
            self.userinfo_endpoint.as_ref(),
        ];
        let mut needed = needed.into_iter().flatten();
        needed.all(|address| address.starts_with("https://"))
    }
}

/// What it says of somebody, checked.
pub(super) struct Said {
    pub(super) subject: String,
    pub(super) mail: String,
    pub(super) mail_verified: bool,
    pub(super) real_name: String,
    pub(super) user_name: String,
}

/// The provider that was asked last.
pub(crate) struct Provider {
    known: Mutex<Option<Known>>,
    turns: Semaphore,
    waiting: Semaphore,
}

#[derive(Clone)]
struct Known {
    row: OidcProvider,
    client: Client,
    offered: Option<(Arc<Offered>, Instant)>,
    keys: Arc<Keys>,
}

#[derive(Deserialize)]
struct Redeemed {
    id_token: String,
    access_token: Option<String>,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }
}

impl Provider {
    /// What it offers.
    pub(super) async fn offered(&self, row: &OidcProvider) -> Result<Arc<Offered>, Fault> {
        let known = self.known(row)?;
        if let Some((offered, since)) = known.offered
            && since.elapsed() < KEPT
        {
            return Ok(offered);
        }
        let _turn = self.turn().await?;
        let base = row.issuer.trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        let offered: Offered = json(known.client.get(address)).await?;
        if offered.issuer != row.issuer {
            return Err(Fault::IssuerUnlike);
        }
        if !offered.is_private() {
            return Err(Fault::Malformed);
        }
        let offered = Arc::new(offered);
        let kept = Some((Arc::clone(&offered), Instant::now()));
        self.keep(row, |known| known.offered = kept);
        Ok(offered)
    }

    /// What a code is worth: whom the provider has logged in, for this login and this cluster.
    pub(super) async fn redeem(
        &self,
        row: &OidcProvider,
        offered: &Offered,
        code: &str,
        begun: &Begun,
    ) -> Result<Said, Fault> {
        let _turn = self.turn().await?;
        let known = self.known(row)?;
        let redeemed = redeem(&known.client, row, offered, code, begun).await?;
        let token = redeemed.id_token.as_str();
        let mut keys = known.keys;
        // It has newer ones, or was never asked for any.
        if token::lacks_key(token, &keys) {
            let asked: Keys = json(known.client.get(&offered.jwks_uri)).await?;
            keys = Arc::new(asked);
            let kept = Arc::clone(&keys);
            self.keep(row, |known| known.keys = kept);
        }
        let expected = Expected {
            issuer: &row.issuer,
            client_id: &row.client_id,
            nonce: &begun.nonce,
        };
        let claims = token::check(token, &keys, &expected)?;
        let mut person = claims.person;
        if let (None, Some(address), Some(access)) = (
            &person.email,
            &offered.userinfo_endpoint,
            &redeemed.access_token,
        ) {
            let request = known.client.get(address).bearer_auth(access);
            person = beside(request, &claims.sub).await?;
        }
        said(claims.sub, &person)
    }

    async fn turn(&self) -> Result<[SemaphorePermit<'_>; 2], Fault> {
        let place = self.waiting.try_acquire().map_err(|_| Fault::Busy)?;
        // It is never closed.
        let turn = self.turns.acquire().await.map_err(|_| Fault::Busy)?;
        Ok([place, turn])
    }

    fn known(&self, row: &OidcProvider) -> Result<Known, Fault> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.row == *row) {
            return Ok(known.clone());
        }
        let fresh = Known {
            row: row.clone(),
            client: client(row)?,
            offered: None,
            keys: Arc::default(),
        };
        *known = Some(fresh.clone());
        Ok(fresh)
    }

    fn keep(&self, row: &OidcProvider, what: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut().filter(|known| known.row == *row) {
            what(known);
        }
    }
}

/// Trusts the authorities that an admin gave and no others, or those that the machine trusts.
fn client(row: &OidcProvider) -> Result<Client, Fault> {
    let mut roots = RootCertStore::empty();
    let given: Vec<CertificateDer<'static>> = match row.authorities.as_str() {
        "" => rustls_native_certs::load_native_certs().certs,
        pem => {
            let read = CertificateDer::pem_slice_iter(pem.as_bytes());
            let read: Result<_, _> = read.collect();
            read.map_err(|_| Fault::Malformed)?
        }
    };
    roots.add_parsable_certificates(given);
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let built = Client::builder()
        .use_preconfigured_tls(tls)
        .https_only(true)
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(DEADLINE)
        .build();
    built.map_err(|_| Fault::Unreachable)
}

async fn redeem(
    client: &Client,
    row: &OidcProvider,
    offered: &Offered,
    code: &str,
    begun: &Begun,
) -> Result<Redeemed, Fault> {
    let mut form = HashMap::from([
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &begun.redirect_uri),
        ("code_verifier", &begun.verifier),
    ]);
    let mut request = client.post(&offered.token_endpoint);
    let methods = &offered.token_endpoint_auth_methods_supported;
    let takes = |method: &str| methods.iter().any(|known| known == method);
    let secret = row.secret.0.as_str();
    if secret.is_empty() {
        form.insert("client_id", &row.client_id);
    } else if takes("client_secret_post") && !takes("client_secret_basic") {
        form.insert("client_id", &row.client_id);
        form.insert("client_secret", secret);
    } else {
        // RFC 6749 2.3.1 has them encoded as a form is.
        let encoded =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        request = request.basic_auth(encoded(&row.client_id), Some(encoded(secret)));
    }
    let text = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(text);
    match answer(request).await? {
        (status, bytes) if status.is_success() => parsed(&bytes),
        (status, _) if status.is_client_error() => Err(Fault::CodeRefused),
        _ => Err(Fault::ProviderFailed),
    }
}

/// What the provider says beside the token; of the same person.
async fn beside(request: RequestBuilder, subject: &str) -> Result<PersonClaims, Fault> {
    #[derive(Deserialize)]
    struct Beside {
        sub: String,
        #[serde(flatten)]
        person: PersonClaims,
    }
    let beside: Beside = json(request).await?;
    if beside.sub != subject {
        return Err(Fault::OtherSubject);
    }
    Ok(beside.person)
}

/// Only what is JSON's own true says that an address is verified: a text, whatever it says, is none.
fn said(subject: String, person: &PersonClaims) -> Result<Said, Fault> {
    let text = |value: &Option<Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(_) | None => String::new(),
    };
    let mail_verified = match &person.email_verified {
        None | Some(Value::Null) => false,
        Some(Value::Bool(verified)) => *verified,
        Some(Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Fault::MailClaim);
        }
    };
    let mail = match &person.email {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(mail)) => mail.clone(),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Fault::MailClaim);
        }
    };
    Ok(Said {
        subject,
        mail_verified: mail_verified && !mail.is_empty(),
        mail,
        real_name: text(&person.name),
        user_name: text(&person.preferred_username),
    })
}

async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Fault> {
    match answer(request).await? {
        (status, bytes) if status.is_success() => parsed(&bytes),
        _ => Err(Fault::ProviderFailed),
    }
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|_| Fault::Malformed)
}

/// All of an answer, if it is short enough and comes in time.
async fn answer(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Fault> {
    let request = request.header("accept", "application/json");
    let mut response = request.send().await.map_err(|error| fault(&error))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(Fault::Redirects);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
        if bytes.len() + chunk.len() > ANSWER_MAX {
            return Err(Fault::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((status, bytes))
}

fn fault(error: &reqwest::Error) -> Fault {
    tracing::info!(%error, "the OpenID provider does not answer as it should");
    if error.is_timeout() {
        Fault::Slow
    } else {
        Fault::Unreachable
    }
}
