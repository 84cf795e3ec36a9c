//! Images and the workers that hold them.

pub(super) mod again;
mod copies;
mod group;
mod quota;
pub(super) mod save;
pub(super) mod title;
pub(super) mod version;

use imbl::OrdSet;

pub(super) use group::without as without_group;

use super::{Decision, Ground, in_range, plain_text};
use crate::event::Event;
use crate::id::{Digest, WorkerId};
use crate::image::command::{AddImage, ImageCommand};
use crate::image::copies::SINCE;
use crate::model::image::Visibility;
use crate::model::{Image, ImageSpec};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;

/// What is said of an image when it is registered.
pub(super) struct Registration<'e> {
    pub name: &'e str,
    pub digest: Digest,
    pub blob_bytes: u64,
    pub spec: &'e ImageSpec,
    pub description: &'e str,
    pub held_by: WorkerId,
}

/// What came with version 3.
pub(super) fn decide(ground: Ground<'_>, command: &ImageCommand) -> Result<Decision, Refusal> {
    match command {
        ImageCommand::Add(new) => title::add(ground, new),
        ImageCommand::Describe { image, description } => {
            title::describe(ground, image, description)
        }
        ImageCommand::Share { image, with } => title::share(ground, image, with, true),
        ImageCommand::Unshare { image, with } => title::share(ground, image, with, false),
        ImageCommand::SetVisibility { image, visibility } => {
            title::set_visibility(ground, image, *visibility)
        }
        ImageCommand::Rename { image, to } => title::rename(ground, image, to),
        ImageCommand::RollBack { image, to } => title::roll_back(ground, image, *to),
        ImageCommand::Delete { image } => title::delete(ground, image),
        ImageCommand::Pull {
            image,
            workers,
            held,
        } => copies::pull(ground, image, workers, *held),
        ImageCommand::PlaceCopies { added, dropped } => Ok(copies::place(ground, added, dropped)),
        ImageCommand::NameOld => Ok(title::name_old(ground)),
        ImageCommand::Save { vnode, name, label } => save::ask(ground, *vnode, name, label),
        ImageCommand::CancelSave { vnode } => save::cancel(ground, *vnode),
        ImageCommand::ReportSave { worker, report } => save::report(ground, *worker, report),
        ImageCommand::Forget { digests } => Ok(copies::forget(ground, digests)),
        ImageCommand::ShareWithGroup { image, group } => group::share(ground, image, group),
        ImageCommand::UnshareFromGroup { image, group } => group::unshare(ground, image, group),
        ImageCommand::DeleteVersion { image, version } => version::delete(ground, image, *version),
        ImageCommand::SetQuota { quota } => quota::set(ground, *quota),
        ImageCommand::SetQuotaOf { user, quota } => quota::set_of(ground, user, *quota),
    }
}

pub(super) fn register(ground: Ground<'_>, new: &Registration<'_>) -> Result<Decision, Refusal> {
    if ground.state.version() >= SINCE {
        return title::add(ground, &as_added(new));
    }
    let owner = permit::person(ground.state, ground.entry.actor)?.id;
    let name = Name::parse("image", new.name)?;
    plain_text("description", new.description, 500)?;
    in_range("blob size", new.blob_bytes, 1..=1 << 40, "bytes")?;
    check_spec(ground, new.spec)?;
    check_holder(ground, new.held_by)?;
    let known = ground.state.images.get(&new.digest);
    let holders = known.map_or_else(OrdSet::new, |image| image.holders.clone());
    let image = Image {
        digest: new.digest,
        name,
        blob_bytes: new.blob_bytes,
        spec: new.spec.clone(),
        owner,
        description: new.description.to_owned(),
        registered_at: known.map_or(ground.entry.at, |image| image.registered_at),
        holders: holders.update(new.held_by),
    };
    let meant = ground.state.image_named(&image.name).map(|now| now.digest);
    let changed = known != Some(&image) || meant != Some(new.digest);
    let events = changed.then_some(Event::ImageRegistered { image });
    Ok(Decision::quiet(events.into_iter().collect()))
}

/// What it comes to in a cluster that has names for images.
fn as_added(new: &Registration<'_>) -> AddImage {
    AddImage {
        name: new.name.to_owned(),
        digest: new.digest,
        blob_bytes: new.blob_bytes,
        spec: new.spec.clone(),
        environment: Vec::new(),
        directory: String::new(),
        description: Some(new.description.to_owned()),
        label: String::new(),
        visibility: Some(Visibility::Public),
        held_by: new.held_by,
    }
}

fn check_holder(ground: Ground<'_>, worker: WorkerId) -> Result<(), Refusal> {
    if ground.state.workers.contains_key(&worker) {
        return Ok(());
    }
    Err(Refusal::not_found("worker", worker))
}

fn check_spec(ground: Ground<'_>, spec: &ImageSpec) -> Result<(), Refusal> {
    in_range(
        "init arguments",
        spec.init.len() as u64,
        1..=32,
        "arguments",
    )?;
    for argument in &spec.init {
        plain_text("init argument", argument, 400)?;
        // Since version 3 arguments go to the first process one by one, and not as one line.
        let spaced = ground.state.version() < SINCE && argument.contains(char::is_whitespace);
        if argument.is_empty() || spaced {
            return Err(malformed_spec(
                "an init argument is empty or has a space in it",
            ));
        }
    }
    if !spec.init[0].starts_with('/') {
        return Err(malformed_spec(
            "the first init argument is no absolute path",
        ));
    }
    let signal_ok = spec
        .stop_signal
        .strip_prefix("SIG")
        .is_some_and(|rest| rest.len() <= 12 && rest.bytes().all(signal_byte));
    if !signal_ok {
        return Err(malformed_spec(
            "stop_signal is no signal name as SIGTERM or SIGRTMIN+3",
        ));
    }
    in_range(
        "stop_timeout_ms",
        u64::from(spec.stop_timeout_ms),
        0..=600_000,
        "ms",
    )
}

fn signal_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'+'
}

fn malformed_spec(cause: &str) -> Refusal {
    Refusal::Malformed {
        what: "image spec".to_owned(),
        cause: cause.to_owned(),
    }
}

pub(super) fn report(
    ground: Ground<'_>,
    worker: WorkerId,
    digest: Digest,
    held: bool,
) -> Result<Decision, Refusal> {
    let image = ground
        .state
        .images
        .get(&digest)
        .ok_or_else(|| Refusal::not_found("image", digest))?;
    check_holder(ground, worker)?;
    let events = match (held, image.holders.contains(&worker)) {
        (true, false) => vec![Event::ImageHeld { digest, worker }],
        (false, true) => vec![Event::ImageLost { digest, worker }],
        (true, true) | (false, false) => Vec::new(),
    };
    Ok(Decision::quiet(events))
}
