//! One try: from an account to a certificate. Each step begins where the log says that the last one ended.

use std::time::Duration;

use docklet_control::acme::command::AcmeCommand;
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::model::Acme;
use docklet_control::model::acme::AcmeOrder;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::http::Http;
use super::say;
use crate::public::{certified_of_acme, shows};
use crate::serve::Portal;

/// An authority that takes every other number for a stale one is asked so often.
const NONCE_TRIES: usize = 12;
/// Masters that do not show the answers by then are not waited for; the authority may ask another.
const SHOWN_DEADLINE: Duration = Duration::from_secs(5);
/// One that hangs is asked anew.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);
const LOOK_TICK: Duration = Duration::from_millis(50);
const POLLS: RetryPolicy = RetryPolicy::new()
    .backoff(1.5)
    .timeout(Duration::from_secs(60));

/// Why there is no certificate yet.
pub(super) struct Unmade {
    pub(super) cause: String,
    pub(super) pause_ms: u64,
    /// The order can go on.
    pub(super) keep: bool,
}

impl Unmade {
    pub(super) fn later(cause: String) -> Self {
        Self {
            cause,
            pause_ms: 0,
            keep: true,
        }
    }

    fn never(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            pause_ms: 0,
            keep: false,
        }
    }

    /// What the authority says is no is one; whatever else happened may be otherwise the next time.
    fn of(error: &Error, http: &Http) -> Self {
        let keep = if let Error::Api(problem) = error {
            let kind = problem.r#type.as_deref().unwrap_or_default();
            kind.ends_with(":badNonce") || kind.ends_with(":serverInternal")
        } else {
            true
        };
        Self {
            cause: error.to_string(),
            pause_ms: http.retry_after_ms(),
            keep,
        }
    }
}

/// Does all that is left of it.
pub(super) async fn advance(portal: &Portal, acme: &Acme) -> Result<(), Unmade> {
    let http = Http::new(&acme.setting.authorities);
    let http = http.map_err(|error| Unmade::never(format!("authorities: {error}")))?;
    let mut last = Error::Str("nothing was tried");
    for _ in 0..NONCE_TRIES {
        match attempt(portal, acme.number, &http).await {
            Err(Stop::Api(error)) if is_stale(&error) => last = error,
            Err(Stop::Api(error)) => return Err(Unmade::of(&error, &http)),
            Err(Stop::Unmade(unmade)) => return Err(unmade),
            Ok(()) | Err(Stop::Overtaken) => return Ok(()),
        }
    }
    Err(Unmade::of(&last, &http))
}

fn is_stale(error: &Error) -> bool {
    let Error::Api(problem) = error else {
        return false;
    };
    let kind = problem.r#type.as_deref();
    kind.is_some_and(|kind| kind.ends_with(":badNonce"))
}

enum Stop {
    Api(Error),
    Unmade(Unmade),
    /// The log has gone on otherwise: another leads, or an admin set something else.
    Overtaken,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

impl From<Unmade> for Stop {
    fn from(unmade: Unmade) -> Self {
        Self::Unmade(unmade)
    }
}

/// What the state says now, if it is still about the same.
fn current(portal: &Portal, setting: LogIndex) -> Result<Acme, Stop> {
    let acme = portal.master.local().state.acme.clone();
    let same = acme.filter(|acme| acme.number == setting && portal.master.is_leader());
    same.ok_or(Stop::Overtaken)
}

async fn attempt(portal: &Portal, setting: LogIndex, http: &Http) -> Result<(), Stop> {
    let acme = current(portal, setting)?;
    let (account, fresh) = account(portal, &acme, http).await?;
    let acme = match acme.order {
        Some(_) => acme,
        None => begin(portal, &acme, fresh).await?,
    };
    let begun = acme.order.as_ref().ok_or(Stop::Overtaken)?;
    let mut order = if begun.url.is_empty() {
        let names = acme.setting.domains.iter().cloned();
        let names: Vec<_> = names.map(Identifier::Dns).collect();
        account.new_order(&NewOrder::new(&names)).await?
    } else {
        account.order(begun.url.clone()).await?
    };
    if order.state().status == OrderStatus::Pending {
        prove(portal, begun, &mut order).await?;
    }
    if begun.url.is_empty() && order.state().status == OrderStatus::Ready {
        // The authority remembers what was proved before.
        place(portal, begun.number, order.url(), Vec::new()).await?;
    }
    finish(portal, &acme, &mut order).await
}

/// The account, and its credentials if the log does not have them yet.
async fn account(
    portal: &Portal,
    acme: &Acme,
    http: &Http,
) -> Result<(Account, Option<Vec<u8>>), Stop> {
    let builder = Account::builder_with_http(Box::new(http.clone()));
    if let Some(sealed) = &acme.account_key {
        let Some(known) = portal.seal.open(sealed) else {
            let setting = acme.number;
            say(portal, AcmeCommand::ForgetKeys { setting }).await;
            return Err(Stop::Overtaken);
        };
        let known: AccountCredentials = serde_json::from_slice(&known).map_err(Error::Json)?;
        return Ok((builder.from_credentials(known).await?, None));
    }
    let setting = &acme.setting;
    let contact: Vec<&str> = setting.contacts.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: setting.terms_agreed,
        only_return_existing: false,
    };
    let binding = setting.binding.as_ref().map(|binding| {
        let key = portal.seal.open(&binding.key).ok_or_else(|| {
            Unmade::never("the key of the external account cannot be opened: set it anew")
        })?;
        Ok::<_, Unmade>(ExternalAccountKey::new(binding.key_id.clone(), &key))
    });
    let binding = binding.transpose()?;
    let directory = setting.directory.clone();
    let (account, credentials) = builder.create(&new, directory, binding.as_ref()).await?;
    let credentials = serde_json::to_vec(&credentials).map_err(Error::Json)?;
    Ok((account, Some(credentials)))
}

/// Of all who would order, the log lets one.
async fn begin(portal: &Portal, acme: &Acme, fresh: Option<Vec<u8>>) -> Result<Acme, Stop> {
    let key = KeyPair::generate().map_err(|error| Unmade::never(error.to_string()))?;
    let key = portal.seal.close(&key.serialize_der());
    let command = AcmeCommand::Begin {
        setting: acme.number,
        account_key: fresh.map(|fresh| portal.seal.close(&fresh)),
        key: key.clone(),
    };
    if !say(portal, command).await {
        return Err(Stop::Overtaken);
    }
    let acme = current(portal, acme.number)?;
    let ours = acme.order.as_ref().is_some_and(|order| order.key == key);
    if ours { Ok(acme) } else { Err(Stop::Overtaken) }
}

async fn place(
    portal: &Portal,
    order: LogIndex,
    url: &str,
    challenges: Vec<(String, [u8; 32])>,
) -> Result<(), Stop> {
    let command = AcmeCommand::Place {
        order,
        url: url.to_owned(),
        challenges,
    };
    if !say(portal, command).await {
        return Err(Stop::Overtaken);
    }
    let state = portal.master.local().state;
    let known = state.acme.as_ref().and_then(|acme| acme.order.as_ref());
    let ours = known.is_some_and(|known| known.number == order && known.url == url);
    if ours { Ok(()) } else { Err(Stop::Overtaken) }
}

/// Tells all masters what to show, then the authority that it may look.
async fn prove(portal: &Portal, begun: &AcmeOrder, order: &mut Order) -> Result<(), Stop> {
    let mut answers = Vec::new();
    let mut open = order.authorizations();
    while let Some(authorization) = open.next().await {
        let mut authorization = authorization?;
        let Identifier::Dns(name) = authorization.identifier().identifier.clone() else {
            continue;
        };
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
        let challenge = challenge.ok_or_else(|| {
            Unmade::never("the authority does not offer the challenge tls-alpn-01: choose another")
        })?;
        let digest = challenge.key_authorization().digest().as_ref().try_into();
        let digest = digest.map_err(|_| Unmade::never("a digest has 32 bytes"))?;
        answers.push((name, digest));
    }
    place(portal, begun.number, order.url(), answers.clone()).await?;
    all_show(portal, &answers).await;
    let mut open = order.authorizations();
    while let Some(authorization) = open.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        if let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01)
            && challenge.status == instant_acme::ChallengeStatus::Pending
        {
            challenge.set_ready().await?;
        }
    }
    Ok(())
}

/// Waits until every master shows the answers to who asks as the authority does.
async fn all_show(portal: &Portal, answers: &[(String, [u8; 32])]) {
    let state = portal.master.local().state;
    let looks = state.masters.values().map(async |master| {
        for (name, digest) in answers {
            let look =
                || tokio::time::timeout(LOOK_DEADLINE, shows(&master.public_addr, name, digest));
            while !look().await.unwrap_or_default() {
                tokio::time::sleep(LOOK_TICK).await;
            }
        }
    });
    let all = futures_util::future::join_all(looks);
    if tokio::time::timeout(SHOWN_DEADLINE, all).await.is_err() {
        tracing::info!(
            "a master does not show what the authority will ask for, and is not waited for"
        );
    }
}

async fn finish(portal: &Portal, acme: &Acme, order: &mut Order) -> Result<(), Stop> {
    let begun = acme.order.as_ref().ok_or(Stop::Overtaken)?;
    let Some(key) = portal.seal.open(&begun.key) else {
        return Err(Unmade::never("the order's key cannot be opened").into());
    };
    if order.state().status == OrderStatus::Pending {
        order.poll_ready(&POLLS).await?;
    }
    let csr = request(&acme.setting.domains, &key);
    let csr = csr.map_err(|error| Unmade::never(error.to_string()))?;
    match order.state().status {
        OrderStatus::Ready => {
            current(portal, acme.number)?;
            order.finalize_csr(&csr).await?;
        }
        OrderStatus::Pending | OrderStatus::Processing | OrderStatus::Valid => {}
        OrderStatus::Invalid => {
            return Err(Unmade::never(refused(order).await).into());
        }
    }
    let chain = order.poll_certificate(&POLLS).await?;
    let certified = certified_of_acme(&chain, &key);
    let certified = certified.map_err(|unfit| Unmade::never(unfit.to_string()))?;
    let command = AcmeCommand::Issue {
        order: begun.number,
        chain,
        begins_at: UnixMs(certified.begins_ms),
        ends_at: UnixMs(certified.ends_ms),
    };
    say(portal, command).await;
    Ok(())
}

fn request(domains: &[String], key: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::new(domains)?;
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::try_from(key)?;
    Ok(params.serialize_request(&key)?.der().to_vec())
}

/// What the authority says of the domain that it did not find proved.
async fn refused(order: &mut Order) -> String {
    let mut open = order.authorizations();
    while let Some(Ok(mut authorization)) = open.next().await {
        if authorization.refresh().await.is_err() {
            continue;
        }
        let name = authorization.identifier().to_string();
        let mut errors = authorization.challenges.iter();
        if let Some(error) = errors.find_map(|challenge| challenge.error.as_ref()) {
            return format!("{name}: {error}");
        }
    }
    "the authority refused the order".to_owned()
}
