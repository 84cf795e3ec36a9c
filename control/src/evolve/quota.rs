//! Quotas. What bounds nothing has no row.

use crate::quota::event::QuotaEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: QuotaEvent) {
    match event {
        QuotaEvent::UsualSet { quota } => {
            state.usual_quota = Some(quota).filter(|quota| !quota.0.is_empty());
        }
        QuotaEvent::OfUserSet { set } => {
            if set.quota.0.is_empty() || !state.users.contains_key(&set.user) {
                state.remove_user_quota(&set.user);
            } else {
                state.put_user_quota(set);
            }
        }
        QuotaEvent::OfGroupSet { set, .. } => {
            if set.quota.0.is_empty() || !state.groups.contains_key(&set.group) {
                state.remove_group_quota(&set.group);
            } else {
                state.put_group_quota(set);
            }
        }
        QuotaEvent::ShareSet { set, .. } => {
            let group = state.groups.get(&set.group);
            let member = group.is_some_and(|group| group.members.contains(&set.user));
            if set.quota.0.is_empty() || !member {
                state.remove_group_share(&set.key());
            } else {
                state.put_group_share(set);
            }
        }
    }
}
