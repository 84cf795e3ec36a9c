//! What must hold of the evening out of workers.

use crate::model::{Rebalance, RebalancePolicy};
use crate::state::State;

/// Numbers mean something, nobody waits while the policy is off, and what began is in order.
pub(super) fn row_is_sound(state: &State, broken: &mut Vec<String>) {
    let Some(row) = &state.rebalance else {
        return;
    };
    let policy = &row.policy;
    let numbers = [
        (
            u64::from(policy.threshold_permille),
            RebalancePolicy::THRESHOLD_PERMILLE_RANGE,
        ),
        (policy.hold_ms, RebalancePolicy::HOLD_MS_RANGE),
        (policy.at_once.into(), RebalancePolicy::AT_ONCE_RANGE),
        (policy.moves_max.into(), RebalancePolicy::MOVES_RANGE),
        (policy.window_ms, RebalancePolicy::WINDOW_MS_RANGE),
    ];
    let meant = numbers.iter().all(|(given, range)| range.contains(given));
    let waits = row.uneven_since.is_some() && !policy.enabled;
    if !meant || waits || row.begun.len() > Rebalance::BEGUN_MAX {
        broken.push("the evening out of workers is not sound".to_owned());
    }
}
