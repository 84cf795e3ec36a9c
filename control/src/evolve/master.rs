//! Masters: replacements that come.

use crate::id::MasterId;
use crate::model::{Counters, Lineage};
use crate::state::State;

pub(super) fn replacement_joined(state: &mut State, old: MasterId, new: MasterId) {
    if let Some(replacement) = state.replacements.get_mut(&old) {
        replacement.new = Some(new);
    }
}

pub(super) fn went_on_alone(state: &mut State, lineage: Lineage, counters: Counters) {
    state.lineage = Some(lineage);
    state.counters = counters;
}
