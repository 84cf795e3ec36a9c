//! What settings were.

use crate::model::setting::SettingHistory;
use crate::setting;
use crate::state::State;

/// Each change begins where the one before ended, and the last one ended with what is now.
pub(super) fn histories_lead_here(state: &State, broken: &mut Vec<String>) {
    for history in state.setting_histories.values() {
        let (name, changes) = (history.name.word(), &history.changes);
        let pairs = changes.iter().zip(changes.iter().skip(1));
        let joined = pairs.into_iter().all(|(one, next)| one.index <= next.index);
        let ends_here = changes
            .last()
            .is_some_and(|last| last.after == setting::value(state, history.name));
        if !joined || changes.len() > SettingHistory::CHANGES_MAX {
            broken.push(format!("the history of {name} is not one"));
        }
        // What owners may wish at most follows what each vnode may have, until it is set.
        let follows = state.bandwidth_ceiling.is_none();
        if !ends_here && !follows {
            broken.push(format!("the history of {name} ends with something else"));
        }
    }
}
