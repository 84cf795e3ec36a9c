//! What is particular to logins by others' word: commands, events, refusals, and whose word counts. The rows are
//! [`crate::model::identity`], the rules are in [`crate::decide`].

pub mod command;
pub mod event;
pub mod refusal;

use crate::identity::command::Seen;
use crate::identity::refusal::IdentityRefusal;
use crate::model::identity::OidcProvider;
use crate::state::State;

/// The provider, if it is the one that somebody comes from.
///
/// # Errors
/// `NoProvider`, or `IssuerWrong`.
pub fn provider<'s>(state: &'s State, issuer: &str) -> Result<&'s OidcProvider, IdentityRefusal> {
    let provider = state.provider().ok_or(IdentityRefusal::NoProvider)?;
    if provider.issuer != issuer {
        return Err(IdentityRefusal::IssuerWrong);
    }
    Ok(provider)
}

/// Whether the provider lets this cluster know enough of somebody's mail address, where that matters. Domains are compared
/// whole: `example.org` is neither `sub.example.org` nor `evil-example.org`.
///
/// # Errors
/// `MailUnverified`, or `DomainRefused`.
pub fn check_domain(provider: &OidcProvider, seen: &Seen) -> Result<(), IdentityRefusal> {
    if provider.domains.is_empty() {
        return Ok(());
    }
    if !seen.mail_verified {
        return Err(IdentityRefusal::MailUnverified {
            label: provider.label.clone(),
        });
    }
    let domain = seen.mail.rsplit_once('@').map(|(_, domain)| domain);
    let domain = domain.unwrap_or_default().to_ascii_lowercase();
    if provider.domains.contains(&domain) {
        return Ok(());
    }
    Err(IdentityRefusal::DomainRefused { domain })
}
