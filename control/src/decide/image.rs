//! Images and the workers that hold them.

use imbl::OrdSet;

use super::{Decision, Ground, in_range, plain_text};
use crate::event::Event;
use crate::id::{Digest, WorkerId};
use crate::model::{Image, ImageSpec};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;

pub(super) fn register(
    ground: Ground<'_>,
    name: &str,
    digest: Digest,
    blob_bytes: u64,
    spec: &ImageSpec,
    description: &str,
) -> Result<Decision, Refusal> {
    let owner = permit::person(ground.state, ground.entry.actor)?.id;
    let name = Name::parse("image", name)?;
    plain_text("description", description, 500)?;
    in_range("blob size", blob_bytes, 1..=1 << 40, "bytes")?;
    check_spec(spec)?;
    let known = ground.state.images.get(&digest);
    let image = Image {
        digest,
        name,
        blob_bytes,
        spec: spec.clone(),
        owner,
        description: description.to_owned(),
        registered_at: known.map_or(ground.entry.at, |image| image.registered_at),
        holders: known.map_or_else(OrdSet::new, |image| image.holders.clone()),
    };
    let changed = known != Some(&image)
        || ground.state.image_named(&image.name).map(|now| now.digest) != Some(digest);
    let events = changed.then_some(Event::ImageRegistered { image });
    Ok(Decision::quiet(events.into_iter().collect()))
}

fn check_spec(spec: &ImageSpec) -> Result<(), Refusal> {
    in_range("init arguments", spec.init.len() as u64, 1..=32, "arguments")?;
    for argument in &spec.init {
        plain_text("init argument", argument, 400)?;
        if argument.is_empty() || argument.contains(char::is_whitespace) {
            return Err(malformed_spec("an init argument is empty or has a space in it"));
        }
    }
    if !spec.init[0].starts_with('/') {
        return Err(malformed_spec("the first init argument is no absolute path"));
    }
    let signal_ok = spec
        .stop_signal
        .strip_prefix("SIG")
        .is_some_and(|rest| rest.len() <= 12 && rest.bytes().all(signal_byte));
    if !signal_ok {
        return Err(malformed_spec("stop_signal is no signal name as SIGTERM or SIGRTMIN+3"));
    }
    in_range("stop_timeout_ms", u64::from(spec.stop_timeout_ms), 0..=600_000, "ms")
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
    let events = match (held, image.holders.contains(&worker)) {
        (true, false) => vec![Event::ImageHeld { digest, worker }],
        (false, true) => vec![Event::ImageLost { digest, worker }],
        (true, true) | (false, false) => Vec::new(),
    };
    Ok(Decision::quiet(events))
}
