//! Templates as people see them.

use serde::{Deserialize, Serialize};

use crate::amount::VnodeSize;
use crate::id::UnixMs;
use crate::image::catalog;
use crate::model::{KbitPerS, Rules, Template, User, Wishes};
use crate::name::Name;
use crate::state::State;
use crate::template::{image_for, is_kept_by, is_shown_to};

/// One template, for whoever may make something of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TemplateView {
    pub name: String,
    pub description: String,
    /// Who published it.
    pub by: String,
    /// For whom it is; everybody if none.
    pub group: Option<String>,
    /// As who looks calls it, or as it was called if they may not use it.
    pub image: String,
    /// Whether who looks may use the image.
    pub usable: bool,
    pub vnodes: u32,
    pub size: VnodeSize,
    pub wishes: Wishes,
    pub bandwidth_kbit_per_s: Option<KbitPerS>,
    pub rules: Rules,
    pub published_at: UnixMs,
    /// Whether who looks may change it.
    pub kept: bool,
}

/// All that `asker` may make something of, by name.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<TemplateView> {
    let templates = state.templates.values();
    let templates = templates.filter(|template| is_shown_to(state, template, asker));
    templates
        .map(|template| show(state, asker, template))
        .collect()
}

/// One of them.
#[must_use]
pub fn named(state: &State, asker: &User, text: &str) -> Option<TemplateView> {
    let template = state.templates.get(&Name::parse("template", text).ok()?)?;
    let template = Some(template).filter(|template| is_shown_to(state, template, asker))?;
    Some(show(state, asker, template))
}

/// What the image of a template is called.
#[must_use]
pub fn image(state: &State, asker: &User, template: &Template) -> (String, bool) {
    let (owner, name) = &template.recipe.image;
    let usable = image_for(state, &template.recipe, asker).is_some();
    match state.image_titles.get(&template.recipe.image) {
        Some(title) if usable => (catalog::called(state, asker, title), true),
        None if usable => (name.to_string(), true),
        Some(_) | None => {
            let owner = state.users.get(owner);
            let owner = owner.map_or_else(|| "nobody".to_owned(), |owner| owner.name.to_string());
            (format!("{owner}/{name}"), false)
        }
    }
}

fn show(state: &State, asker: &User, template: &Template) -> TemplateView {
    let recipe = &template.recipe;
    let (image, usable) = image(state, asker, template);
    let by = state.users.get(&template.by);
    let group = template.group.and_then(|group| state.groups.get(&group));
    TemplateView {
        name: template.name.to_string(),
        description: template.description.clone(),
        by: by.map_or_else(|| template.by.to_string(), |by| by.name.to_string()),
        group: group.map(|group| group.name.to_string()),
        image,
        usable,
        vnodes: recipe.vnodes,
        size: recipe.size,
        wishes: recipe.wishes.clone(),
        bandwidth_kbit_per_s: recipe.bandwidth,
        rules: recipe.rules.clone(),
        published_at: template.published_at,
        kept: is_kept_by(state, template, asker),
    }
}
