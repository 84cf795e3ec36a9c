//! What is particular to templates: their commands and events, and who may know and change them. The rows are
//! [`crate::model::template`], the rules are in [`crate::decide`].

pub mod command;
pub mod event;

use crate::id::{Digest, UserId};
use crate::image::catalog;
use crate::model::{Image, Recipe, Template, User};
use crate::name::Name;
use crate::state::State;

/// What `text` means to `asker`, as a recipe keeps it: also what was registered before people had names of their own for
/// images, and is everybody's.
#[must_use]
pub fn image_called(state: &State, asker: &User, text: &str) -> Option<(UserId, Name)> {
    if let Some(title) = catalog::find(state, asker, text) {
        return Some(title.key());
    }
    let name = Name::parse("image", text).ok()?;
    let image = untitled(state, &name)?;
    Some((image.owner, name))
}

/// What a recipe's image is now, if `person` may use it.
#[must_use]
pub fn image_for(state: &State, recipe: &Recipe, person: &User) -> Option<Digest> {
    match state.image_titles.get(&recipe.image) {
        Some(title) => Some(title.current).filter(|_| catalog::sees(state, person, title)),
        None => untitled(state, &recipe.image.1).map(|image| image.digest),
    }
}

fn untitled<'s>(state: &'s State, name: &Name) -> Option<&'s Image> {
    let image = state.image_named(name)?;
    (!catalog::is_titled(state, image.digest)).then_some(image)
}

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
