//! Certificates by ACME.

use crate::state::State;

/// What is ordered is ordered by an account, under the setting that there is, and for its domains.
pub(super) fn row_is_sound(state: &State, broken: &mut Vec<String>) {
    let Some(acme) = &state.acme else { return };
    let Some(order) = &acme.order else { return };
    let mut domains = order.challenges.keys();
    let theirs = domains.all(|domain| acme.setting.domains.contains(domain));
    if acme.account_key.is_none() || order.number <= acme.number || !theirs {
        broken.push(format!("certificate order {} is not sound", order.number));
    }
}
