//! Groups of people.

use crate::group::event::GroupEvent;
use crate::id::{GroupId, UserId};
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: GroupEvent) {
    match event {
        GroupEvent::Formed { group, .. } => {
            let (id, members) = (group.id, group.members.clone());
            state.put_group(group);
            forget_shares(state, id, |user| !members.contains(&user));
        }
        GroupEvent::Dissolved { group } => {
            state.remove_group(&group.id);
            state.remove_group_quota(&group.id);
            super::bean::group_dissolved(state, group.id);
            forget_shares(state, group.id, |_| true);
        }
    }
}

/// Who leaves a group has no part of it, also if they come back.
fn forget_shares(state: &mut State, group: GroupId, of: impl Fn(UserId) -> bool) {
    let all = (group, UserId(0))..=(group, UserId(u64::MAX));
    let shares = state.group_shares.range(all);
    let gone = shares.filter(|((_, user), _)| of(*user));
    let gone: Vec<(GroupId, UserId)> = gone.map(|(key, _)| *key).collect();
    gone.iter().for_each(|key| state.remove_group_share(key));
}
