//! The fields of the evening out of workers.

use super::{Building, Fields};
use crate::state::State;

pub(super) fn fields(state: &State) -> Fields {
    let row = state.rebalance.clone().unwrap_or_default();
    let policy = row.policy;
    let fields = Building::default()
        .text("enabled", if policy.enabled { "yes" } else { "no" })
        .number("threshold_permille", policy.threshold_permille)
        .number("hold_ms", policy.hold_ms)
        .number("at_once", policy.at_once)
        .number("moves_max", policy.moves_max)
        .number("window_ms", policy.window_ms)
        .number_if("uneven_since", row.uneven_since.map(|at| at.0))
        .number_if("last_move_at", row.begun.last().map(|at| at.0));
    fields.0
}
