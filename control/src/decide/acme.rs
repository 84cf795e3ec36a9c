//! Certificates by ACME: what an admin sets, and the steps of an order. Each step names what it belongs to, so that of
//! two masters that both take themselves for the leader one is heard. Since version 3.

use super::{Decision, Ground, in_range, plain_text};
use crate::acme::command::AcmeCommand;
use crate::acme::event::AcmeEvent;
use crate::event::Event;
use crate::id::{LogIndex, UnixMs};
use crate::model::Acme;
use crate::model::acme::{AcmeCertificate, AcmeFailure, AcmeOrder, AcmeSetting, Sealed};
use crate::refusal::Refusal;

const URL_LEN_MAX: usize = 2_000;
const CONTACT_LEN_MAX: usize = 254;
const DOMAIN_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;
const AUTHORITIES_LEN_MAX: usize = 32 << 10;
const KEY_ID_LEN_MAX: usize = 500;

pub(super) fn decide(ground: Ground<'_>, command: &AcmeCommand) -> Result<Decision, Refusal> {
    let events = match command {
        AcmeCommand::Set { setting } => set(ground, setting)?,
        AcmeCommand::Off => present(ground).map(|_| AcmeEvent::Unset),
        AcmeCommand::Renew => Some(renew(ground)?),
        AcmeCommand::Begin {
            setting,
            account_key,
            key,
        } => begin(ground, *setting, account_key.as_ref(), key),
        AcmeCommand::ForgetKeys { setting } => under(ground, *setting)
            .filter(|acme| acme.account_key.is_some())
            .map(|_| AcmeEvent::KeysForgotten),
        AcmeCommand::Place {
            order,
            url,
            challenges,
        } => place(ground, *order, url, challenges),
        AcmeCommand::Issue {
            order,
            chain,
            begins_at,
            ends_at,
        } => issue(ground, *order, chain, (*begins_at, *ends_at)),
        AcmeCommand::Fail {
            setting,
            order,
            cause,
            pause_ms,
            keep,
        } => fail(ground, (*setting, *order), cause, *pause_ms, *keep),
    };
    Ok(Decision::quiet(
        events.map(Event::Acme).into_iter().collect(),
    ))
}

fn present(ground: Ground<'_>) -> Option<&Acme> {
    ground.state.acme.as_ref()
}

/// What is set, if it is what the asker knows.
fn under(ground: Ground<'_>, setting: LogIndex) -> Option<&Acme> {
    present(ground).filter(|acme| acme.number == setting)
}

/// The order, if it is the one that the asker knows.
fn ordered(ground: Ground<'_>, order: LogIndex) -> Option<(&Acme, &AcmeOrder)> {
    let acme = present(ground)?;
    let known = acme.order.as_ref().filter(|known| known.number == order)?;
    Some((acme, known))
}

fn set(ground: Ground<'_>, setting: &AcmeSetting) -> Result<Option<AcmeEvent>, Refusal> {
    check(setting)?;
    if present(ground).is_some_and(|acme| acme.setting == *setting) {
        return Ok(None);
    }
    Ok(Some(AcmeEvent::Set {
        setting: setting.clone(),
        number: ground.index,
    }))
}

fn malformed(what: &str, cause: &str) -> Refusal {
    Refusal::Malformed {
        what: what.to_owned(),
        cause: cause.to_owned(),
    }
}

fn check(setting: &AcmeSetting) -> Result<(), Refusal> {
    plain_text("ACME directory", &setting.directory, URL_LEN_MAX)?;
    if !setting.directory.starts_with("https://") || setting.directory.contains(' ') {
        return Err(malformed(
            "ACME directory",
            "it does not begin with https://",
        ));
    }
    if !setting.terms_agreed {
        let cause =
            "nobody has agreed to them: read what the authority says, and give --agree-terms";
        return Err(malformed("terms of service", cause));
    }
    let count = |items: &[String]| u64::try_from(items.len()).unwrap_or(u64::MAX);
    let domains = count(&setting.domains);
    in_range("certificate", domains, 1..=Acme::DOMAINS_MAX, "domains")?;
    let contacts = count(&setting.contacts);
    in_range("account", contacts, 0..=Acme::CONTACTS_MAX, "contacts")?;
    for contact in &setting.contacts {
        plain_text("contact", contact, CONTACT_LEN_MAX)?;
        let address = contact.strip_prefix("mailto:").unwrap_or_default();
        if !address.contains('@') || address.contains([' ', ',', '?']) {
            return Err(malformed(
                "contact",
                "it is no address as mailto:you@example.org",
            ));
        }
    }
    for (at, domain) in setting.domains.iter().enumerate() {
        check_domain(domain)?;
        if setting.domains[..at].contains(domain) {
            return Err(malformed("domain", "one is named twice"));
        }
    }
    let text = setting.authorities.replace(['\r', '\n'], " ");
    plain_text("authorities", &text, AUTHORITIES_LEN_MAX)?;
    let pem = setting.authorities.contains("-----BEGIN CERTIFICATE-----");
    if !setting.authorities.is_empty() && !pem {
        return Err(malformed("authorities", "there is no certificate in it"));
    }
    if let Some(binding) = &setting.binding {
        plain_text(
            "key id of the external account",
            &binding.key_id,
            KEY_ID_LEN_MAX,
        )?;
        if binding.key_id.is_empty() || !is_sealed(&binding.key) {
            return Err(malformed(
                "external account",
                "its key id and its key belong together",
            ));
        }
    }
    Ok(())
}

/// A name of the world's, in small letters. Stars have to be proved by DNS, which is not done here.
fn check_domain(domain: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let label = |label: &str| {
        (1..=LABEL_LEN_MAX).contains(&label.len())
            && label.chars().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.starts_with("*.") {
        let cause = "a star has to be proved by DNS, which masters cannot: name each domain";
        return Err(malformed("domain", cause));
    }
    let last = domain.rsplit('.').next().unwrap_or_default();
    let number = last.chars().all(|c| c.is_ascii_digit());
    if domain.len() > DOMAIN_LEN_MAX || number || !domain.split('.').all(label) {
        let cause = "it is no DNS name in small letters, as cloud.example.org";
        return Err(malformed("domain", cause));
    }
    Ok(())
}

fn is_sealed(key: &Sealed) -> bool {
    (1..=Sealed::BYTES_MAX).contains(&key.0.len())
}

fn renew(ground: Ground<'_>) -> Result<AcmeEvent, Refusal> {
    let set = present(ground).map(|_| AcmeEvent::Wanted);
    set.ok_or_else(|| Refusal::not_found("setting", "tls acme"))
}

fn begin(
    ground: Ground<'_>,
    setting: LogIndex,
    account_key: Option<&Sealed>,
    key: &Sealed,
) -> Option<AcmeEvent> {
    let acme = under(ground, setting)?;
    let account_key = account_key.filter(|_| acme.account_key.is_none());
    let keys = account_key.into_iter().chain([key]);
    let has_account = acme.account_key.is_some() || account_key.is_some();
    let is_due = acme.order.is_none() && acme.due_at() <= ground.entry.at;
    if !is_due || !has_account || !keys.into_iter().all(is_sealed) {
        return None;
    }
    Some(AcmeEvent::Begun {
        order: AcmeOrder {
            number: ground.index,
            begun_at: ground.entry.at,
            key: key.clone(),
            url: String::new(),
            challenges: std::collections::BTreeMap::new(),
        },
        account_key: account_key.cloned(),
    })
}

fn place(
    ground: Ground<'_>,
    order: LogIndex,
    url: &str,
    challenges: &[(String, [u8; 32])],
) -> Option<AcmeEvent> {
    let (acme, known) = ordered(ground, order)?;
    let is_url = url.starts_with("https://") && url.len() <= URL_LEN_MAX;
    let domains = &acme.setting.domains;
    let fit = challenges.iter().all(|(name, _)| domains.contains(name));
    let placed = AcmeOrder {
        url: url.to_owned(),
        challenges: challenges.iter().cloned().collect(),
        ..known.clone()
    };
    // An order that is placed stays where it is.
    let new = known.url.is_empty() || known.url == url;
    let changes = is_url && fit && new && placed != *known;
    changes.then_some(AcmeEvent::Placed { order: placed })
}

fn issue(
    ground: Ground<'_>,
    order: LogIndex,
    chain: &str,
    (begins_at, ends_at): (UnixMs, UnixMs),
) -> Option<AcmeEvent> {
    let (acme, known) = ordered(ground, order)?;
    let sound = !chain.is_empty() && chain.len() <= Acme::CHAIN_LEN_MAX && begins_at < ends_at;
    sound.then(|| AcmeEvent::Issued {
        certificate: AcmeCertificate {
            number: ground.index,
            directory: acme.setting.directory.clone(),
            domains: acme.setting.domains.clone(),
            chain: chain.to_owned(),
            key: known.key.clone(),
            begins_at,
            ends_at,
        },
    })
}

fn fail(
    ground: Ground<'_>,
    (setting, order): (LogIndex, Option<LogIndex>),
    cause: &str,
    pause_ms: u64,
    keep: bool,
) -> Option<AcmeEvent> {
    let acme = under(ground, setting)?;
    let known = acme.order.as_ref();
    // Nothing is told of what is over, nor twice of what is paused.
    let is_now = known.map(|known| known.number) == order && acme.due_at() <= ground.entry.at;
    let before = acme.failure.as_ref().map_or(0, |failure| failure.tries);
    let (at, tries) = (ground.entry.at, before.saturating_add(1));
    is_now.then(|| AcmeEvent::Failed {
        failure: AcmeFailure {
            at,
            cause: shown(cause),
            tries,
            next_at: at.plus_ms(Acme::pause_ms(tries, pause_ms)),
        },
        kept: keep && known.is_some_and(|known| !known.url.is_empty()),
    })
}

/// What an authority says is shown to admins: without control characters, and not for ever.
fn shown(cause: &str) -> String {
    let plain = cause.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut kept = String::new();
    for c in plain {
        if kept.len() + c.len_utf8() > Acme::CAUSE_LEN_MAX {
            break;
        }
        kept.push(c);
    }
    kept
}
