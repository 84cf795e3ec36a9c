//! Masters: replacements that come.

use crate::id::MasterId;
use crate::state::State;

pub(super) fn replacement_joined(state: &mut State, old: MasterId, new: MasterId) {
    if let Some(replacement) = state.replacements.get_mut(&old) {
        replacement.new = Some(new);
    }
}
