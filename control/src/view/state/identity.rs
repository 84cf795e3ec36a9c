//! The fields of logins by others' word: never what the provider is shown.

use super::{Building, Fields};
use crate::id::UserId;
use crate::model::identity::Newcomers;
use crate::state::State;

/// By which people log in, for admins.
pub(super) fn provider(state: &State) -> Option<Fields> {
    let provider = state.provider()?;
    let fields = Building::default()
        .text("label", &provider.label)
        .text("issuer", &provider.issuer)
        .text("client_id", &provider.client_id)
        .list("domains", provider.domains.iter().cloned())
        .text("portal", &provider.portal);
    Some(newcomers(fields, &provider.newcomers).0)
}

/// How the masters' own people log in, for admins.
pub(super) fn pam(state: &State) -> Option<Fields> {
    let pam = state.pam()?;
    let fields = Building::default().text("service", &pam.service);
    Some(newcomers(fields, &pam.newcomers).0)
}

fn newcomers(fields: Building, newcomers: &Newcomers) -> Building {
    let group = match newcomers {
        Newcomers::Refused | Newcomers::Request => None,
        Newcomers::Active { group } => group.as_ref(),
    };
    fields
        .text("newcomers", newcomers.word())
        .text_if("newcomers_group", group)
}

/// As whom providers know somebody.
pub(super) fn identities(state: &State, user: UserId) -> Vec<String> {
    let rows = state.identities_of(user);
    rows.map(|row| format!("{} of {}", row.subject, row.issuer))
        .collect()
}
