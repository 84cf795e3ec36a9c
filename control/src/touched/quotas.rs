//! Whom quotas, groups and roles concern: who may see them, and workers with vnodes whose home or bandwidth they change.

use std::collections::BTreeSet;

use super::{Tracing, both, differing, differs};
use crate::amount::DiskMib;
use crate::id::{GroupId, UserId};
use crate::model::KbitPerS;
use crate::quota;
use crate::state::State;

impl Tracing<'_> {
    pub(super) fn quotas(&mut self) {
        let (before, after) = (self.before, self.after);
        let usual = before.usual_quota != after.usual_quota;
        // Groups are told to all, and so are their quotas.
        self.touched.shared |= usual
            || before.group_quotas != after.group_quotas
            || before.group_shares != after.group_shares;
        let mut people = BTreeSet::new();
        for pair in differing(&before.user_quotas, &after.user_quotas) {
            for own in both(pair) {
                self.touched.owners.insert(own.user);
                people.insert(own.user);
            }
        }
        for pair in differing(&before.group_shares, &after.group_shares) {
            people.extend(both(pair).map(|share| share.user));
        }
        for pair in differing(&before.users, &after.users) {
            if differs(pair, |user| user.role) {
                people.extend(both(pair).map(|user| user.id));
            }
        }
        for pair in differing(&before.groups, &after.groups) {
            let members = both(pair).flat_map(|group| group.members.iter().copied());
            people.extend(members);
        }
        for pair in differing(&before.group_quotas, &after.group_quotas) {
            let groups: Vec<GroupId> = both(pair).map(|given| given.group).collect();
            for state in self.states() {
                let groups = groups.iter().filter_map(|id| state.groups.get(id));
                people.extend(groups.flat_map(|group| group.members.iter().copied()));
            }
        }
        if usual {
            people.extend(after.users.keys().copied());
        }
        for user in people {
            if on_workers(before, user) != on_workers(after, user) {
                self.all_of(user);
            }
        }
    }
}

/// What workers are told of a person's quota.
fn on_workers(state: &State, user: UserId) -> (DiskMib, Option<KbitPerS>) {
    (state.home_of(user), quota::bandwidth(state, user))
}
