//! Templates: published by operators for everybody and by managers for their groups; what is made of them is whose it is
//! made for. Since version 3.

use std::collections::BTreeSet;

use super::{Decision, Ground, group, plain_text, vcluster};
use crate::account::standing::stays;
use crate::event::Event;
use crate::id::{GroupId, UserId};
use crate::model::{Group, Recipe, Template, User};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;
use crate::state::State;
use crate::template::command::{NewRecipe, TemplateCommand, Whom};
use crate::template::event::TemplateEvent;
use crate::template::{self, is_kept_by, is_shown_to};

const DESCRIPTION_LEN_MAX: usize = 500;

pub(super) fn decide(ground: Ground<'_>, command: &TemplateCommand) -> Result<Decision, Refusal> {
    match command {
        TemplateCommand::Publish {
            name,
            description,
            group,
            recipe,
        } => publish(ground, name, description, group.as_deref(), recipe),
        TemplateCommand::Withdraw { name } => withdraw(ground, name),
        TemplateCommand::Clone {
            template,
            name,
            whom,
        } => clone(ground, template, name.as_deref(), whom.as_ref()),
    }
}

/// What is named, if the asker may know of it.
fn shown<'e>(ground: Ground<'e>, asker: &User, text: &str) -> Result<&'e Template, Refusal> {
    let name = Name::parse("template", text)?;
    let template = ground.state.templates.get(&name);
    let template = template.filter(|template| is_shown_to(ground.state, template, asker));
    template.ok_or_else(|| Refusal::not_found("template", &name))
}

fn publish(
    ground: Ground<'_>,
    name: &str,
    description: &str,
    group: Option<&str>,
    new: &NewRecipe,
) -> Result<Decision, Refusal> {
    let (state, asker) = (
        ground.state,
        permit::person(ground.state, ground.entry.actor)?,
    );
    let name = Name::parse("template", name)?;
    plain_text("description", description, DESCRIPTION_LEN_MAX)?;
    let group = group.map(|text| group::named(ground, text)).transpose()?;
    let before = state.templates.get(&name);
    // That it is taken, one learns also of a template that one may not see: names are the cluster's.
    if before.is_some_and(|before| !is_kept_by(state, before, asker)) {
        return Err(Refusal::NameTaken {
            kind: "template".to_owned(),
            name: name.to_string(),
        });
    }
    if before.is_none() {
        check_room(state)?;
    }
    let template = Template {
        name,
        description: description.to_owned(),
        by: asker.id,
        group: group.map(|group| group.id),
        recipe: recipe(ground, asker, new)?,
        number: ground.index,
        published_at: ground.entry.at,
    };
    if before.is_some_and(|before| says_the_same(before, &template)) {
        return Ok(Decision::quiet(Vec::new()));
    }
    let was = before.and_then(|before| before.group);
    let told = told(state, template.group.into_iter().chain(was));
    Ok(Decision::quiet(vec![Event::Template(
        TemplateEvent::Published { template, told },
    )]))
}

fn check_room(state: &State) -> Result<(), Refusal> {
    if state.templates.len() < Template::TEMPLATES_MAX {
        return Ok(());
    }
    Err(Refusal::Exhausted {
        what: "template".to_owned(),
        scope: format!("the {} of this cluster", Template::TEMPLATES_MAX),
    })
}

fn says_the_same(before: &Template, after: &Template) -> bool {
    let of_before = Template {
        by: before.by,
        number: before.number,
        published_at: before.published_at,
        ..after.clone()
    };
    of_before == *before
}

/// Refuses what could be made for nobody. Whether there is room and quota is asked of each vcluster.
fn recipe(ground: Ground<'_>, asker: &User, new: &NewRecipe) -> Result<Recipe, Refusal> {
    let NewRecipe {
        image,
        vnodes,
        size,
        wishes,
        bandwidth,
        rules,
    } = new;
    vcluster::check_recipe(*vnodes, *size, wishes, rules)?;
    let found = template::image_called(ground.state, asker, image);
    Ok(Recipe {
        image: found.ok_or_else(|| Refusal::not_found("image", image.escape_debug()))?,
        vnodes: *vnodes,
        size: *size,
        wishes: wishes.clone(),
        bandwidth: *bandwidth,
        rules: rules.clone(),
    })
}

/// Who may know of templates for these groups.
fn told(state: &State, groups: impl Iterator<Item = GroupId>) -> BTreeSet<UserId> {
    let groups = groups.filter_map(|group| state.groups.get(&group));
    let people = groups.flat_map(|group| group.members.iter().chain(&group.managers));
    people.copied().collect()
}

pub(super) fn withdraw(ground: Ground<'_>, text: &str) -> Result<Decision, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let template = shown(ground, asker, text)?;
    if !is_kept_by(ground.state, template, asker) {
        return Err(Refusal::NotPermitted {
            action: "withdraw this template".to_owned(),
            needed: match template.group {
                Some(_) => "a manager of its group or the role admin".to_owned(),
                None => "the operator who published it or the role admin".to_owned(),
            },
        });
    }
    Ok(Decision::quiet(vec![withdrawn(ground.state, template)]))
}

fn withdrawn(state: &State, template: &Template) -> Event {
    Event::Template(TemplateEvent::Withdrawn {
        template: template.clone(),
        told: told(state, template.group.into_iter()),
    })
}

/// It is there again, if it still has a name and a place.
pub(super) fn again(
    ground: Ground<'_>,
    was: &Template,
    name: &Name,
) -> Result<Vec<Event>, Refusal> {
    let state = ground.state;
    if state.templates.contains_key(name) {
        return Err(Refusal::NameTaken {
            kind: "template".to_owned(),
            name: name.to_string(),
        });
    }
    check_room(state)?;
    let template = Template {
        name: name.clone(),
        ..was.clone()
    };
    let told = told(state, template.group.into_iter());
    let published = TemplateEvent::Published { template, told };
    Ok(vec![Event::Template(published)])
}

/// Those of a group that is there again, whose names nobody has taken.
pub(super) fn with_group(
    ground: Ground<'_>,
    templates: &[Template],
    told: &BTreeSet<UserId>,
) -> Vec<Event> {
    let state = ground.state;
    let room = Template::TEMPLATES_MAX.saturating_sub(state.templates.len());
    let free = templates.iter();
    let free = free.filter(|template| !state.templates.contains_key(&template.name));
    let published = free.take(room).map(|template| TemplateEvent::Published {
        template: template.clone(),
        told: told.clone(),
    });
    published.map(Event::Template).collect()
}

/// A group goes, and with it what was for nobody else.
pub(super) fn without_group(ground: Ground<'_>, group: GroupId) -> Vec<Event> {
    let templates = ground.state.templates_for(group);
    templates
        .map(|template| withdrawn(ground.state, template))
        .collect()
}

fn clone(
    ground: Ground<'_>,
    text: &str,
    name: Option<&str>,
    whom: Option<&Whom>,
) -> Result<Decision, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let found = shown(ground, asker, text)?;
    let owner = match whom {
        Some(whom) => member(ground, group::named(ground, &whom.group)?, &whom.user)?,
        None => asker,
    };
    let recipe = &found.recipe;
    let asked = vcluster::Asked {
        name: name.unwrap_or(found.name.as_str()),
        vnodes: recipe.vnodes,
        size: recipe.size,
        wishes: &recipe.wishes,
        bandwidth: recipe.bandwidth,
        rules: &recipe.rules,
    };
    // Nobody comes by an image that is not shared with them.
    let image_name = recipe.image.1.clone();
    let image = template::image_for(ground.state, recipe, owner);
    let made_of = vcluster::MadeOf {
        image: image.ok_or_else(|| Refusal::not_found("image", &image_name))?,
        image_name,
    };
    vcluster::create_of(ground, owner, &asked, made_of)
}

/// The table has asked already whether the asker manages the group.
fn member<'e>(ground: Ground<'e>, group: &Group, text: &str) -> Result<&'e User, Refusal> {
    let name = Name::parse("user", text)?;
    let user = ground.state.user_named(&name);
    let user = user.filter(|user| group.members.contains(&user.id) && stays(ground.state, user.id));
    user.ok_or_else(|| Refusal::not_found("user", &name))
}
