//! Names of images: what they mean, who may see them, what they meant before. Since version 3.

use imbl::OrdSet;

use super::super::{Decision, Ground, in_range, plain_text};
use super::{check_holder, check_spec, group};
use crate::event::Event;
use crate::id::Digest;
use crate::image::catalog;
use crate::image::command::AddImage;
use crate::image::event::{Audience, ImageEvent};
use crate::image::quota;
use crate::model::image::{ImageRun, ImageTitle, ImageVersion, Visibility};
use crate::model::{Image, User};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;

const DESCRIPTION_LEN_MAX: usize = 500;
pub(super) const LABEL_LEN_MAX: usize = 40;
const DIRECTORY_LEN_MAX: usize = 400;
const VARIABLES_MAX: u64 = 100;
const VARIABLE_LEN_MAX: usize = 4_000;
/// Others whom one image is shared with; more are a group.
const SHARED_MAX: u64 = 100;

pub(in super::super) fn add(ground: Ground<'_>, new: &AddImage) -> Result<Decision, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    Ok(Decision::quiet(add_for(ground, asker, new)?))
}

/// Adds it in the name of `asker`.
pub(super) fn add_for(
    ground: Ground<'_>,
    asker: &User,
    new: &AddImage,
) -> Result<Vec<Event>, Refusal> {
    let name = Name::parse("image", &new.name)?;
    check_texts(new)?;
    in_range("blob size", new.blob_bytes, 1..=1 << 40, "bytes")?;
    check_spec(ground, &new.spec)?;
    check_holder(ground, new.held_by)?;
    let before = ground.state.image_titles.get(&(asker.id, name.clone()));
    let title = titled(ground, asker, name, new, before)?;
    quota::check(ground.state, asker, &title, (new.digest, new.blob_bytes))?;
    let mut events = stored(ground, asker, new, &title)?;
    let known = ground.state.images.contains_key(&new.digest);
    if known && !events.is_empty() {
        events.extend(run_otherwise(ground, new.digest));
    }
    events.extend(changed(ground, before, title));
    Ok(events)
}

/// Whoever sees an image sees how it is run: names that mean it are told again when that changes.
fn run_otherwise(ground: Ground<'_>, digest: Digest) -> impl Iterator<Item = Event> {
    let titles = ground.state.image_titles.values();
    let meaning = titles.filter(move |title| title.current == digest);
    meaning.map(|title| {
        Event::Image(ImageEvent::Titled {
            title: title.clone(),
            audience: Audience::of(ground.state, [title]),
        })
    })
}

fn check_texts(new: &AddImage) -> Result<(), Refusal> {
    let description = new.description.as_deref().unwrap_or_default();
    plain_text("description", description, DESCRIPTION_LEN_MAX)?;
    plain_text("version", &new.label, LABEL_LEN_MAX)?;
    plain_text("directory", &new.directory, DIRECTORY_LEN_MAX)?;
    let malformed = |what: &str, cause: &str| Refusal::Malformed {
        what: what.to_owned(),
        cause: cause.to_owned(),
    };
    if !new.directory.is_empty() && !new.directory.starts_with('/') {
        return Err(malformed("directory", "it is no absolute path"));
    }
    let count = new.environment.len() as u64;
    in_range("environment", count, 0..=VARIABLES_MAX, "variables")?;
    for variable in &new.environment {
        plain_text("a variable", variable, VARIABLE_LEN_MAX)?;
        let name = variable.split_once('=').map(|(name, _)| name);
        if !name.is_some_and(is_variable) {
            return Err(malformed("environment", "a variable is not NAME=VALUE"));
        }
    }
    Ok(())
}

fn is_variable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(fits)
}

/// What the name is with one more version.
fn titled(
    ground: Ground<'_>,
    asker: &User,
    name: Name,
    new: &AddImage,
    before: Option<&ImageTitle>,
) -> Result<ImageTitle, Refusal> {
    let fresh = || ImageTitle {
        owner: asker.id,
        name,
        description: String::new(),
        visibility: if asker.is_admin() {
            Visibility::Public
        } else {
            Visibility::Private
        },
        shared_with: OrdSet::new(),
        versions: Vec::new(),
        current: new.digest,
    };
    let mut title = before.cloned().unwrap_or_else(fresh);
    if let Some(description) = &new.description {
        title.description.clone_from(description);
    }
    title.visibility = new.visibility.unwrap_or(title.visibility);
    let is_news = before.is_none_or(|before| before.current != new.digest);
    if is_news {
        title
            .versions
            .retain(|version| version.digest != new.digest);
        title.versions.push(ImageVersion {
            digest: new.digest,
            label: new.label.clone(),
            added_at: ground.entry.at,
            by: asker.id,
        });
        title.current = new.digest;
        let surplus = title
            .versions
            .len()
            .saturating_sub(ImageTitle::VERSIONS_MAX);
        title.versions.drain(..surplus);
    }
    if before.is_none() {
        check_room(ground, asker)?;
    }
    check_public(ground, asker, before, &title)?;
    Ok(title)
}

pub(super) fn check_room(ground: Ground<'_>, asker: &User) -> Result<(), Refusal> {
    let titles = ground.state.image_titles.values();
    let own = titles.filter(|title| title.owner == asker.id).count();
    if own < ImageTitle::PER_PERSON_MAX {
        return Ok(());
    }
    Err(Refusal::Exhausted {
        what: "image name".to_owned(),
        scope: format!("the {} that you may have", ImageTitle::PER_PERSON_MAX),
    })
}

/// What everybody sees is for admins to choose, and has a name that no other public one has.
pub(super) fn check_public(
    ground: Ground<'_>,
    asker: &User,
    before: Option<&ImageTitle>,
    after: &ImageTitle,
) -> Result<(), Refusal> {
    let is_public = |title: &ImageTitle| title.visibility == Visibility::Public;
    if !is_public(after) {
        return Ok(());
    }
    if !asker.is_admin() {
        let was = before.is_some_and(is_public);
        let action = if was {
            "change a public image"
        } else {
            "make an image public"
        };
        return Err(Refusal::NotPermitted {
            action: action.to_owned(),
            needed: "the role admin".to_owned(),
        });
    }
    match ground.state.public_image(&after.name) {
        Some(other) if other.owner != after.owner => Err(Refusal::NameTaken {
            kind: "public image".to_owned(),
            name: after.name.to_string(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// The image, and how it is run, if that is news.
fn stored(
    ground: Ground<'_>,
    asker: &User,
    new: &AddImage,
    title: &ImageTitle,
) -> Result<Vec<Event>, Refusal> {
    let digest = new.digest;
    let known = ground.state.images.get(&digest);
    let run = ImageRun {
        digest,
        environment: new.environment.clone(),
        directory: new.directory.clone(),
    };
    let says_more = !run.environment.is_empty() || !run.directory.is_empty();
    let known_run = ground.state.image_runs.get(&digest);
    let same_run = known_run.map_or(!says_more, |known| *known == run);
    if let Some(known) = known {
        let same = known.spec == new.spec && known.blob_bytes == new.blob_bytes && same_run;
        if !same && !may_run_otherwise(ground, asker, known) {
            return Err(Refusal::Malformed {
                what: "image spec".to_owned(),
                cause: "the same files are there already, and are run otherwise".to_owned(),
            });
        }
    }
    // Name and description are the title's; here they stay as they were first. Who holds it besides says so itself.
    let image = Image {
        digest,
        name: known.map_or_else(|| title.name.clone(), |known| known.name.clone()),
        blob_bytes: new.blob_bytes,
        spec: new.spec.clone(),
        owner: known.map_or(asker.id, |known| known.owner),
        description: known.map_or_else(|| title.description.clone(), |k| k.description.clone()),
        registered_at: known.map_or(ground.entry.at, |known| known.registered_at),
        holders: known.map_or_else(|| OrdSet::unit(new.held_by), |known| known.holders.clone()),
    };
    let owner = image.owner;
    let stored = (known != Some(&image)).then_some(ImageEvent::Stored { image });
    let run_set = (!same_run).then_some(ImageEvent::RunSet { run, owner });
    Ok(stored
        .into_iter()
        .chain(run_set)
        .map(Event::Image)
        .collect())
}

/// An admin may say how any image is run, its owner while nobody else calls it anything.
fn may_run_otherwise(ground: Ground<'_>, asker: &User, known: &Image) -> bool {
    let titles = ground.state.image_titles.values();
    let mut others = titles.filter(|title| title.owner != asker.id);
    let alone = known.owner == asker.id
        && !others.any(|title| title.has(known.digest))
        && !ground.state.is_kept_by_others(asker.id, known.digest);
    alone || asker.is_admin()
}

fn changed(ground: Ground<'_>, before: Option<&ImageTitle>, after: ImageTitle) -> Option<Event> {
    let audience = Audience::of(ground.state, before.into_iter().chain([&after]));
    let title = (before != Some(&after)).then_some(after)?;
    Some(Event::Image(ImageEvent::Titled { title, audience }))
}

/// Titles of the images that were registered before there were any.
pub(in super::super) fn name_old(ground: Ground<'_>) -> Decision {
    let named = ground.state.image_names.values();
    let images = named.filter_map(|(name, digest)| Some((name, ground.state.images.get(digest)?)));
    let titles = images.map(|(name, image)| ImageTitle {
        owner: image.owner,
        name: name.clone(),
        description: image.description.clone(),
        visibility: Visibility::Public,
        shared_with: OrdSet::new(),
        versions: vec![ImageVersion {
            digest: image.digest,
            label: String::new(),
            added_at: image.registered_at,
            by: image.owner,
        }],
        current: image.digest,
    });
    let events = titles.filter_map(|title| changed(ground, None, title));
    Decision::quiet(events.collect())
}

/// The title that the asker means, if it is theirs to change.
pub(in super::super) fn own<'e>(
    ground: Ground<'e>,
    text: &str,
    action: &str,
) -> Result<&'e ImageTitle, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let title = visible(ground, asker, text)?;
    if permit::owns(asker, title.owner) {
        return Ok(title);
    }
    Err(Refusal::NotPermitted {
        action: action.to_owned(),
        needed: "its owner".to_owned(),
    })
}

fn visible<'e>(ground: Ground<'e>, asker: &User, text: &str) -> Result<&'e ImageTitle, Refusal> {
    let found = catalog::find(ground.state, asker, text);
    found.ok_or_else(|| Refusal::not_found("image", shown(text)))
}

/// What may be repeated back to the asker.
fn shown(text: &str) -> String {
    text.chars()
        .take(100)
        .flat_map(char::escape_debug)
        .collect()
}

pub(super) fn change(
    ground: Ground<'_>,
    text: &str,
    action: &str,
    with: impl FnOnce(&mut ImageTitle) -> Result<(), Refusal>,
) -> Result<Decision, Refusal> {
    let before = own(ground, text, action)?;
    let mut after = before.clone();
    with(&mut after)?;
    let asker = permit::person(ground.state, ground.entry.actor)?;
    check_public(ground, asker, Some(before), &after)?;
    Ok(Decision::quiet(
        changed(ground, Some(before), after).into_iter().collect(),
    ))
}

pub(in super::super) fn describe(
    ground: Ground<'_>,
    image: &str,
    description: &str,
) -> Result<Decision, Refusal> {
    plain_text("description", description, DESCRIPTION_LEN_MAX)?;
    change(ground, image, "describe this image", |title| {
        description.clone_into(&mut title.description);
        Ok(())
    })
}

/// Sharing takes nothing from a public image: it holds when it is made private again.
pub(in super::super) fn share(
    ground: Ground<'_>,
    image: &str,
    with: &str,
    shared: bool,
) -> Result<Decision, Refusal> {
    let action = if shared {
        "share this image"
    } else {
        "unshare this image"
    };
    // Who it is matters only to those who may share it at all.
    own(ground, image, action)?;
    let name = Name::parse("user", with)?;
    let person = ground.state.user_named(&name);
    let person = person.ok_or_else(|| Refusal::not_found("user", &name))?.id;
    change(ground, image, action, |title| {
        if shared && person != title.owner {
            title.shared_with.insert(person);
        } else {
            title.shared_with.remove(&person);
        }
        in_range(
            "sharing",
            title.shared_with.len() as u64,
            0..=SHARED_MAX,
            "people",
        )
    })
}

pub(in super::super) fn set_visibility(
    ground: Ground<'_>,
    image: &str,
    visibility: Visibility,
) -> Result<Decision, Refusal> {
    let action = match visibility {
        Visibility::Public => "publish this image",
        Visibility::Private => "withdraw this image",
    };
    change(ground, image, action, |title| {
        title.visibility = visibility;
        Ok(())
    })
}

pub(in super::super) fn rename(
    ground: Ground<'_>,
    image: &str,
    to: &str,
) -> Result<Decision, Refusal> {
    let before = own(ground, image, "rename this image")?;
    let name = Name::parse("image", to)?;
    if name == before.name {
        return Ok(Decision::quiet(Vec::new()));
    }
    let after = ImageTitle {
        name,
        ..before.clone()
    };
    if ground.state.image_titles.contains_key(&after.key()) {
        return Err(Refusal::NameTaken {
            kind: "image".to_owned(),
            name: after.name.to_string(),
        });
    }
    let asker = permit::person(ground.state, ground.entry.actor)?;
    check_public(ground, asker, Some(before), &after)?;
    let mut events = vec![untitled(ground, before)];
    let groups = group::renamed(ground, before, &after.name);
    events.extend(changed(ground, Some(before), after));
    events.extend(groups);
    Ok(Decision::quiet(events))
}

fn untitled(ground: Ground<'_>, title: &ImageTitle) -> Event {
    Event::Image(ImageEvent::Untitled {
        owner: title.owner,
        name: title.name.clone(),
        audience: Audience::of(ground.state, [title]),
    })
}

pub(in super::super) fn roll_back(
    ground: Ground<'_>,
    image: &str,
    to: Option<Digest>,
) -> Result<Decision, Refusal> {
    change(ground, image, "roll this image back", |title| {
        let wanted = to.or_else(|| title.previous());
        let wanted = wanted.filter(|digest| title.has(*digest));
        title.current = wanted.ok_or_else(|| {
            Refusal::not_found(
                "version",
                match to {
                    Some(digest) => digest.to_string(),
                    None => "before the current one".to_owned(),
                },
            )
        })?;
        Ok(())
    })
}

/// Refused while vnodes are made of any of its versions that no other name means.
pub(in super::super) fn delete(ground: Ground<'_>, image: &str) -> Result<Decision, Refusal> {
    let state = ground.state;
    let title = own(ground, image, "delete this image")?;
    let asker = permit::person(state, ground.entry.actor)?;
    let elsewhere = |digest: Digest| {
        let mut others = state
            .image_titles
            .values()
            .filter(|t| t.key() != title.key());
        others.any(|other| other.has(digest))
    };
    let (mut known, mut others) = (Vec::new(), 0);
    for version in &title.versions {
        if !elsewhere(version.digest) {
            let (by, more) = catalog::users_of(state, asker, version.digest);
            known.extend(by);
            others += more;
        }
    }
    if known.is_empty() && others == 0 {
        return Ok(Decision::quiet(vec![untitled(ground, title)]));
    }
    Err(Refusal::ImageInUse {
        name: catalog::called(state, asker, title),
        by: in_use_by(&known, others),
    })
}

pub(super) fn in_use_by(known: &[String], others: usize) -> String {
    /// Named at most; the number of the rest is told.
    const NAMED_MAX: usize = 5;
    let mut named: Vec<String> = known.iter().take(NAMED_MAX).cloned().collect();
    let rest = known.len().saturating_sub(NAMED_MAX);
    if rest > 0 {
        named.push(format!("{rest} more of yours"));
    }
    if others > 0 {
        named.push(format!("{others} of other people"));
    }
    named.join(", ")
}
