//! Whose matters somebody may see, all at once.

use std::collections::BTreeMap;

use crate::model::User;
use crate::state::State;

type People<'s> = Box<dyn Iterator<Item = &'s User> + 's>;

/// All people for an admin, by name; for anybody else themselves.
pub(crate) fn owned_by<'s>(state: &'s State, asker: &User) -> People<'s> {
    if asker.is_admin() {
        return Box::new(state.users_by_name());
    }
    Box::new(state.users.get(&asker.id).into_iter())
}

/// The same with those who are in groups that they manage.
pub(crate) fn looked_after_by<'s>(state: &'s State, asker: &User) -> People<'s> {
    if asker.is_admin() {
        return owned_by(state, asker);
    }
    let groups = state.groups.values();
    let managed = groups.filter(|group| group.is_managed_by(asker));
    let members = managed.flat_map(|group| &group.members);
    let members = members.filter_map(|id| state.users.get(id));
    let people = members.chain(owned_by(state, asker));
    let by_name: BTreeMap<_, _> = people.map(|user| (&user.name, user)).collect();
    Box::new(by_name.into_values())
}
