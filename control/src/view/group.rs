//! Groups of people as people see them.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use crate::id::{GroupId, UnixMs, UserId};
use crate::image::catalog;
use crate::model::{Group, User};
use crate::name::Name;
use crate::state::State;

/// One group, for its members and for admins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PeopleView {
    pub id: GroupId,
    pub name: String,
    pub description: String,
    /// Names of people.
    pub members: Vec<String>,
    /// Who look after it.
    pub managers: Vec<String>,
    pub created_at: UnixMs,
    /// What is shared with it, as who looks calls it.
    pub images: Vec<String>,
}

/// All groups that `asker` is in, by name; all that there are for an admin.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<PeopleView> {
    let groups = state.groups.values();
    let groups = groups.filter(|group| group.is_shown_to(asker));
    let mut groups: Vec<PeopleView> = groups.map(|group| show(state, asker, group)).collect();
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    groups
}

/// One of them.
#[must_use]
pub fn named(state: &State, asker: &User, text: &str) -> Option<PeopleView> {
    let group = state.group_named(&Name::parse("group", text).ok()?)?;
    let group = Some(group).filter(|group| group.is_shown_to(asker))?;
    Some(show(state, asker, group))
}

/// One that `asker` may see.
#[must_use]
pub fn of(state: &State, asker: &User, group: &Group) -> PeopleView {
    show(state, asker, group)
}

fn show(state: &State, asker: &User, group: &Group) -> PeopleView {
    let names = |ids: &OrdSet<UserId>| {
        let people = ids.iter().filter_map(|id| state.users.get(id));
        people.map(|user| user.name.to_string()).collect()
    };
    let shared = state.image_groups.values();
    let shared = shared.filter(|shared| shared.groups.contains(&group.id));
    let titles = shared.filter_map(|shared| state.image_titles.get(&shared.key()));
    // Who manages a group and is not in it does not see what is shared with it.
    let titles = titles.filter(|title| catalog::sees(state, asker, title));
    PeopleView {
        id: group.id,
        name: group.name.to_string(),
        description: group.description.clone(),
        members: names(&group.members),
        managers: names(&group.managers),
        created_at: group.created_at,
        images: titles
            .map(|title| catalog::called(state, asker, title))
            .collect(),
    }
}
