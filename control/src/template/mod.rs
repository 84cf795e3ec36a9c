//! What is particular to templates: their commands and events, and who may know and change them. The rows are
//! [`crate::model::template`], the rules are in [`crate::decide`].

pub mod command;
pub mod event;

use crate::model::{Template, User};
use crate::state::State;

/// Whether `asker` may know of it and make something of it.
#[must_use]
pub fn is_shown_to(state: &State, template: &Template, asker: &User) -> bool {
    let group = template.group.map(|group| state.groups.get(&group));
    group.is_none_or(|group| group.is_some_and(|group| group.is_shown_to(asker)))
}

/// Whether `asker` may change it: who manages its group; of one for everybody the operator who published it; admins.
#[must_use]
pub fn is_kept_by(state: &State, template: &Template, asker: &User) -> bool {
    match template.group.map(|group| state.groups.get(&group)) {
        Some(group) => group.is_some_and(|group| group.is_managed_by(asker)),
        None => asker.is_admin() || (asker.operates() && asker.id == template.by),
    }
}
