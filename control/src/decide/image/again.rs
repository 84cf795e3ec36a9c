//! Images that come back out of the trash, as they were, as far as those with whom they were shared are still there.

use imbl::OrdSet;

use super::super::Ground;
use super::title::{check_public, check_room};
use crate::event::Event;
use crate::id::{GroupId, UserId};
use crate::image::event::{Audience, ImageEvent};
use crate::image::quota;
use crate::model::User;
use crate::model::image::{ImageGroups, ImageTitle, ImageVersion, Visibility};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;

fn owner_of(ground: Ground<'_>, owner: UserId) -> Result<&User, Refusal> {
    let user = ground.state.users.get(&owner);
    user.ok_or_else(|| Refusal::not_found("user", owner))
}

fn taken(kind: &str, name: &Name) -> Refusal {
    Refusal::NameTaken {
        kind: kind.to_owned(),
        name: name.to_string(),
    }
}

/// What was public is public again, if its name is the same or an admin says another.
pub(in super::super) fn title(
    ground: Ground<'_>,
    was: &ImageTitle,
    groups: &OrdSet<GroupId>,
    name: &Name,
) -> Result<Vec<Event>, Refusal> {
    let state = ground.state;
    let asker = permit::person(state, ground.entry.actor)?;
    let owner = owner_of(ground, was.owner)?;
    let people = was.shared_with.iter().copied();
    let mut title = ImageTitle {
        name: name.clone(),
        shared_with: people.filter(|id| state.users.contains_key(id)).collect(),
        ..was.clone()
    };
    if title.name != was.name && !asker.is_admin() {
        title.visibility = Visibility::Private;
    }
    if state.image_titles.contains_key(&title.key()) {
        return Err(taken("image", name));
    }
    if title.visibility == Visibility::Public && state.public_image(name).is_some() {
        return Err(taken("public image", name));
    }
    check_room(ground, owner)?;
    check_bytes(ground, owner, &title)?;
    let groups = groups.iter().copied();
    let shared = ImageGroups {
        owner: title.owner,
        name: name.clone(),
        groups: groups.filter(|id| state.groups.contains_key(id)).collect(),
    };
    let mut audience = Audience::of(state, [&title]);
    let members = shared.groups.iter().filter_map(|id| state.groups.get(id));
    let members = members.flat_map(|group| group.members.iter().copied());
    audience.people.extend(members);
    let titled = ImageEvent::Titled {
        title,
        audience: audience.clone(),
    };
    let shared = (!shared.groups.is_empty()).then_some(ImageEvent::GroupsSet { shared, audience });
    let events = std::iter::once(titled).chain(shared);
    Ok(events.map(Event::Image).collect())
}

/// In its place among those that are there: which one the name means stays as it is.
pub(in super::super) fn version(
    ground: Ground<'_>,
    key: (UserId, Name),
    version: &ImageVersion,
) -> Result<Vec<Event>, Refusal> {
    let state = ground.state;
    let asker = permit::person(state, ground.entry.actor)?;
    let owner = owner_of(ground, key.0)?;
    let before = state.image_titles.get(&key);
    let before = before.ok_or_else(|| Refusal::not_found("image", &key.1))?;
    if before.has(version.digest) {
        return Ok(Vec::new());
    }
    if before.versions.len() >= ImageTitle::VERSIONS_MAX {
        return Err(Refusal::Exhausted {
            what: "version".to_owned(),
            scope: format!(
                "the {} of image \"{}\"",
                ImageTitle::VERSIONS_MAX,
                before.name
            ),
        });
    }
    let mut title = before.clone();
    let mut versions = title.versions.iter();
    let later = versions.position(|other| other.added_at > version.added_at);
    let place = later.unwrap_or(title.versions.len());
    title.versions.insert(place, version.clone());
    check_public(ground, asker, Some(before), &title)?;
    check_bytes(ground, owner, &title)?;
    let audience = Audience::of(state, [before]);
    Ok(vec![Event::Image(ImageEvent::Titled { title, audience })])
}

/// It counts again.
fn check_bytes(ground: Ground<'_>, owner: &User, title: &ImageTitle) -> Result<(), Refusal> {
    let current = ground.state.images.get(&title.current);
    let bytes = current.map_or(0, |image| image.blob_bytes);
    quota::check(ground.state, owner, title, (title.current, bytes))
}

/// A group is there again: what was shared with it is shared with it again, where it is still there.
pub(in super::super) fn shared_with_group(
    ground: Ground<'_>,
    group: GroupId,
    members: &OrdSet<UserId>,
    images: &[(UserId, Name)],
) -> Vec<Event> {
    let state = ground.state;
    let titles = images.iter().filter_map(|key| state.image_titles.get(key));
    let set = titles.filter_map(|title| {
        let known = state.image_groups.get(&title.key());
        let mut groups = known.map(|known| known.groups.clone()).unwrap_or_default();
        groups.insert(group);
        let mut audience = Audience::of(state, [title]);
        audience.people.extend(members.iter().copied());
        let shared = ImageGroups {
            owner: title.owner,
            name: title.name.clone(),
            groups,
        };
        let fits = shared.groups.len() as u64 <= ImageGroups::GROUPS_MAX;
        fits.then_some(Event::Image(ImageEvent::GroupsSet { shared, audience }))
    });
    set.collect()
}
