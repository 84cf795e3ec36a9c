//! Sharing images with groups of people. Since version 3.

use imbl::OrdSet;

use super::super::{Decision, Ground, in_range};
use super::title::own;
use crate::event::Event;
use crate::id::GroupId;
use crate::image::event::{Audience, ImageEvent};
use crate::model::Group;
use crate::model::image::{ImageGroups, ImageTitle};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;

/// Only groups that the asker is in, or all for an admin: others look as if they were not there.
pub(super) fn share(ground: Ground<'_>, image: &str, group: &str) -> Result<Decision, Refusal> {
    let title = own(ground, image, "share this image")?;
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let group = group_named(ground, group, |group| group.is_shown_to(asker))?;
    let mut shared = shared(ground, title);
    shared.groups.insert(group);
    let most = ImageGroups::GROUPS_MAX;
    in_range("sharing", shared.groups.len() as u64, 0..=most, "groups")?;
    Ok(Decision::quiet(
        set(ground, title, shared).into_iter().collect(),
    ))
}

/// Also with a group that the owner has left since.
pub(super) fn unshare(ground: Ground<'_>, image: &str, group: &str) -> Result<Decision, Refusal> {
    let title = own(ground, image, "unshare this image")?;
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let mut shared = shared(ground, title);
    let known = |group: &Group| group.is_shown_to(asker) || shared.groups.contains(&group.id);
    let group = group_named(ground, group, known)?;
    shared.groups.remove(&group);
    Ok(Decision::quiet(
        set(ground, title, shared).into_iter().collect(),
    ))
}

fn group_named(
    ground: Ground<'_>,
    text: &str,
    is_known: impl Fn(&Group) -> bool,
) -> Result<GroupId, Refusal> {
    let name = Name::parse("group", text)?;
    let group = ground.state.group_named(&name);
    let group = group.filter(|group| is_known(group));
    Ok(group.ok_or_else(|| Refusal::not_found("group", &name))?.id)
}

fn shared(ground: Ground<'_>, title: &ImageTitle) -> ImageGroups {
    let known = ground.state.image_groups.get(&title.key());
    known.cloned().unwrap_or_else(|| ImageGroups {
        owner: title.owner,
        name: title.name.clone(),
        groups: OrdSet::new(),
    })
}

/// What the image is shared with now, if that is news. Whoever could see it and whoever can are told.
fn set(ground: Ground<'_>, title: &ImageTitle, shared: ImageGroups) -> Option<Event> {
    let state = ground.state;
    let before = state.image_groups.get(&title.key());
    let news = match before {
        Some(before) => *before != shared,
        None => !shared.groups.is_empty(),
    };
    news.then(|| {
        let mut audience = Audience::of(state, [title]);
        let groups = shared.groups.iter();
        let members = groups.filter_map(|id| state.groups.get(id));
        let members = members.flat_map(|group| group.members.iter().copied());
        audience.people.extend(members);
        Event::Image(ImageEvent::GroupsSet { shared, audience })
    })
}

/// Groups that it is shared with go with an image that is called otherwise.
pub(super) fn renamed(ground: Ground<'_>, before: &ImageTitle, to: &Name) -> Option<Event> {
    let shared = ground.state.image_groups.get(&before.key())?;
    let shared = ImageGroups {
        name: to.clone(),
        ..shared.clone()
    };
    let audience = Audience::of(ground.state, [before]);
    Some(Event::Image(ImageEvent::GroupsSet { shared, audience }))
}

/// Everything that is shared with a group is not any more.
pub(in super::super) fn without(ground: Ground<'_>, group: GroupId) -> Vec<Event> {
    let rows = ground.state.image_groups.values();
    let with_it = rows.filter(|shared| shared.groups.contains(&group));
    with_it
        .filter_map(|row| {
            let title = ground.state.image_titles.get(&row.key())?;
            let groups = row.groups.without(&group);
            set(
                ground,
                title,
                ImageGroups {
                    groups,
                    ..row.clone()
                },
            )
        })
        .collect()
}
