//! Certificates by ACME as admins see them.

use serde::{Deserialize, Serialize};

use crate::id::UnixMs;
use crate::state::State;

/// What is set, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AcmeView {
    pub directory: String,
    pub contacts: Vec<String>,
    pub domains: Vec<String>,
    /// Whether the authority's server is checked by certificates of one's own.
    pub authorities: bool,
    /// Of the external account.
    pub key_id: Option<String>,
    /// Since when a certificate is being ordered.
    pub ordering_since: Option<UnixMs>,
    /// When the next step is due.
    pub next_at: UnixMs,
    /// The entry by which the certificate came that is in use.
    pub certificate: Option<u64>,
    pub failure: Option<FailureView>,
}

/// Why the last try failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FailureView {
    pub at: UnixMs,
    pub cause: String,
    pub tries: u32,
    pub next_at: UnixMs,
}

/// None if nothing is set.
#[must_use]
pub fn show(state: &State) -> Option<AcmeView> {
    let acme = state.acme.as_ref()?;
    let setting = &acme.setting;
    let failure = acme.failure.as_ref().map(|failure| FailureView {
        at: failure.at,
        cause: failure.cause.clone(),
        tries: failure.tries,
        next_at: failure.next_at,
    });
    Some(AcmeView {
        directory: setting.directory.clone(),
        contacts: setting.contacts.clone(),
        domains: setting.domains.clone(),
        authorities: !setting.authorities.is_empty(),
        key_id: setting.binding.as_ref().map(|it| it.key_id.clone()),
        ordering_since: acme.order.as_ref().map(|order| order.begun_at),
        next_at: acme.due_at(),
        certificate: acme.certificate.as_ref().map(|it| it.number.0),
        failure,
    })
}
