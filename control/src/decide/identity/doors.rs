//! By which provider and which PAM people log in.

use super::super::{Decision, Ground, lines, plain_text};
use super::event;
use crate::id::UserId;
use crate::identity::event::IdentityEvent;
use crate::identity::refusal::IdentityRefusal;
use crate::model::account::LoginWay;
use crate::model::identity::{Newcomers, OidcProvider, PamDoor};
use crate::refusal::Refusal;

/// Longest texts, in bytes.
const LABEL_LEN_MAX: usize = 40;
const ADDRESS_LEN_MAX: usize = 300;
const CLIENT_LEN_MAX: usize = 200;
const SECRET_LEN_MAX: usize = 500;
const DOMAIN_LEN_MAX: usize = 253;
const AUTHORITIES_LEN_MAX: usize = 100_000;
const SERVICE_LEN_MAX: usize = 40;
const DOMAINS_MAX: usize = 50;

/// What it was shown before goes on if nothing is given, to the same issuer and client only.
pub(super) fn set_provider(
    ground: Ground<'_>,
    provider: Option<&OidcProvider>,
) -> Result<Decision, Refusal> {
    let before = ground.state.provider();
    let provider = provider.cloned().map(|mut provider| {
        let same = |known: &&OidcProvider| {
            (&known.issuer, &known.client_id) == (&provider.issuer, &provider.client_id)
        };
        if let Some(known) = before.filter(same)
            && provider.secret.0.is_empty()
        {
            provider.secret = known.secret.clone();
        }
        provider
    });
    if let Some(provider) = &provider {
        check_provider(ground, provider)?;
    }
    let issuer = |provider: Option<&OidcProvider>| provider.map(|row| row.issuer.clone());
    if issuer(provider.as_ref()) != issuer(before) {
        refuse_losing(ground, LoginWay::Oidc)?;
    }
    let news = provider.as_ref() != before;
    let provider = provider.map(Box::new);
    let set = news.then_some(event(IdentityEvent::ProviderSet { provider }));
    Ok(Decision::quiet(set.into_iter().collect()))
}

pub(super) fn set_pam(ground: Ground<'_>, pam: Option<&PamDoor>) -> Result<Decision, Refusal> {
    match pam {
        None => refuse_losing(ground, LoginWay::Pam)?,
        Some(pam) => {
            plain_text("PAM service", &pam.service, SERVICE_LEN_MAX)?;
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let own = pam.service.starts_with(PamDoor::PREFIX);
            if !own || !pam.service.chars().all(plain) {
                let cause = "it is a file below /etc/pam.d whose name begins with \"docklet\" and has a-z, 0-9 and - only";
                return Err(malformed("PAM service", cause));
            }
            check_newcomers(ground, &pam.newcomers)?;
        }
    }
    let news = pam != ground.state.pam();
    let pam = pam.cloned();
    let set = news.then_some(event(IdentityEvent::PamSet { pam }));
    Ok(Decision::quiet(set.into_iter().collect()))
}

/// Whoever changes the doors comes in by another one.
fn refuse_losing(ground: Ground<'_>, way: LoginWay) -> Result<(), Refusal> {
    let asker: UserId = ground.asker()?.id;
    if ground.state.account_of(asker).way == way {
        return Err(IdentityRefusal::LastWay.into());
    }
    Ok(())
}

fn malformed(what: &str, cause: &str) -> Refusal {
    Refusal::Malformed {
        what: what.to_owned(),
        cause: cause.to_owned(),
    }
}

fn check_provider(ground: Ground<'_>, provider: &OidcProvider) -> Result<(), Refusal> {
    plain_text("label", &provider.label, LABEL_LEN_MAX)?;
    plain_text("client id", &provider.client_id, CLIENT_LEN_MAX)?;
    plain_text("client secret", &provider.secret.0, SECRET_LEN_MAX)?;
    for (what, text) in [
        ("label", &provider.label),
        ("client id", &provider.client_id),
    ] {
        if text.trim().is_empty() {
            return Err(malformed(what, "it says nothing"));
        }
    }
    check_address("issuer", &provider.issuer)?;
    if !provider.portal.is_empty() {
        check_address("portal's address", &provider.portal)?;
    }
    if provider.domains.len() > DOMAINS_MAX {
        return Err(malformed("mail domains", "there are more than 50"));
    }
    for domain in &provider.domains {
        plain_text("mail domain", domain, DOMAIN_LEN_MAX)?;
        let plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        let whole = !domain.is_empty() && !domain.starts_with(['.', '-']) && !domain.ends_with('.');
        if !whole || !domain.chars().all(plain) {
            return Err(malformed(
                "mail domain",
                "it is not of the form example.org",
            ));
        }
    }
    lines(
        "authorities",
        &provider.authorities.replace('\r', ""),
        AUTHORITIES_LEN_MAX,
    )?;
    let pem = provider.authorities.contains("-----BEGIN CERTIFICATE-----");
    if !provider.authorities.is_empty() && !pem {
        return Err(malformed("authorities", "there is no certificate in it"));
    }
    check_newcomers(ground, &provider.newcomers)
}

/// What goes over the wire to it is worth as much as a password.
fn check_address(what: &str, address: &str) -> Result<(), Refusal> {
    plain_text(what, address, ADDRESS_LEN_MAX)?;
    let rest = address.strip_prefix("https://").unwrap_or_default();
    let odd = |c: char| !c.is_ascii_graphic() || "?#@\\\"<>".contains(c);
    if rest.is_empty() || rest.starts_with('/') || rest.contains(odd) {
        let cause = "it is not of the form https://host, with a path at most";
        return Err(malformed(what, cause));
    }
    Ok(())
}

fn check_newcomers(ground: Ground<'_>, newcomers: &Newcomers) -> Result<(), Refusal> {
    match newcomers {
        Newcomers::Refused | Newcomers::Request | Newcomers::Active { group: None } => Ok(()),
        Newcomers::Active { group: Some(group) } => {
            let known = ground.state.group_named(group);
            let known = known.ok_or_else(|| Refusal::not_found("group", group));
            known.map(|_| ())
        }
    }
}
