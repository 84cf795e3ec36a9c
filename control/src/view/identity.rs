//! Logins by others' word as people see them: never what the provider is shown.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{IdentityId, UnixMs, UserId};
use crate::model::identity::{Newcomers, OidcProvider, PamDoor};
use crate::state::State;

/// The provider, for admins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProviderView {
    pub label: String,
    pub issuer: String,
    pub client_id: String,
    /// Whether there is one.
    pub secret: bool,
    pub domains: BTreeSet<String>,
    pub newcomers: Newcomers,
    /// Whether it has authorities of its own.
    pub authorities: bool,
    pub portal: String,
}

/// As whom a provider knows somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IdentityView {
    pub id: IdentityId,
    /// What people call the provider; its issuer if it is not the cluster's any more.
    pub provider: String,
    pub subject: String,
    pub mail: String,
    pub since: UnixMs,
}

/// The provider, if there is one.
#[must_use]
pub fn provider(state: &State) -> Option<ProviderView> {
    let OidcProvider {
        label,
        issuer,
        client_id,
        secret,
        domains,
        newcomers,
        authorities,
        portal,
    } = state.provider()?;
    Some(ProviderView {
        label: label.clone(),
        issuer: issuer.clone(),
        client_id: client_id.clone(),
        secret: !secret.0.is_empty(),
        domains: domains.clone(),
        newcomers: newcomers.clone(),
        authorities: !authorities.is_empty(),
        portal: portal.clone(),
    })
}

/// How the masters' own people log in, if they do.
#[must_use]
pub fn pam(state: &State) -> Option<PamDoor> {
    state.pam().cloned()
}

/// Of one person.
#[must_use]
pub fn identities(state: &State, user: UserId) -> Vec<IdentityView> {
    let label = |issuer: &str| {
        let known = state.provider().filter(|row| row.issuer == issuer);
        known.map_or_else(|| issuer.to_owned(), |row| row.label.clone())
    };
    let rows = state.identities_of(user);
    rows.map(|row| IdentityView {
        id: row.id,
        provider: label(&row.issuer),
        subject: row.subject.clone(),
        mail: row.mail.clone(),
        since: row.since,
    })
    .collect()
}
