//! The trash, and vclusters that stand still.

use crate::model::VclusterWanted;
use crate::model::trash::Trashed;
use crate::state::State;

/// Rows are of vclusters that are there and are as they say.
pub(super) fn rows_are_of_vclusters(state: &State, broken: &mut Vec<String>) {
    for trashed in state.trashed.values() {
        let row = state.vclusters.get(&trashed.vcluster);
        let stands = row
            .is_some_and(|row| row.owner == trashed.owner && row.wanted != VclusterWanted::Running);
        let open = state
            .ports
            .values()
            .any(|port| port.vcluster == trashed.vcluster);
        if !stands || open {
            broken.push(format!(
                "vcluster {} is in the trash and is not",
                trashed.vcluster
            ));
        }
    }
    for owner in state.users.keys() {
        let deleted = state.trashed.values().filter(|row| row.was_deleted());
        let count = deleted
            .filter(|row| row.owner == *owner && !state.is_going(row.vcluster))
            .count();
        if count > Trashed::PER_OWNER_MAX {
            broken.push(format!("user {owner} has {count} vclusters in the trash"));
        }
    }
    for rest in state.rests.values() {
        let row = state.vclusters.get(&rest.vcluster);
        let stands = row.is_some_and(|row| row.wanted == VclusterWanted::Stopped);
        if !stands || state.is_trashed(rest.vcluster) {
            broken.push(format!("vcluster {} rests and does not", rest.vcluster));
        }
    }
}
