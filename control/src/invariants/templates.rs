//! Templates.

use crate::model::{Template, Vcluster};
use crate::state::State;

/// There are not too many, each is for a group that is there, and one vcluster could be made of it.
pub(super) fn templates_are_sound(state: &State, broken: &mut Vec<String>) {
    if state.templates.len() > Template::TEMPLATES_MAX {
        broken.push(format!("there are {} templates", state.templates.len()));
    }
    for template in state.templates.values() {
        let group = template.group;
        let group_is_there = group.is_none_or(|group| state.groups.contains_key(&group));
        let vnodes = 1..=Vcluster::VNODES_MAX;
        if !group_is_there || !vnodes.contains(&template.recipe.vnodes) {
            broken.push(format!("template {} is not sound", template.name));
        }
    }
}
