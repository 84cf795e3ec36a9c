//! Groups of people.

use crate::group::event::GroupEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: GroupEvent) {
    match event {
        GroupEvent::Formed { group, .. } => state.put_group(group),
        GroupEvent::Dissolved { group } => state.remove_group(&group.id),
    }
}
