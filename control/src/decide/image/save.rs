//! Images of vnodes: asked for, cancelled, and what their worker says of it. Since version 3.

use super::super::{Decision, Ground, moves, plain_text};
use super::title;
use crate::event::Event;
use crate::id::{VnodeId, WorkerId};
use crate::image::command::AddImage;
use crate::image::event::ImageEvent;
use crate::image::quota;
use crate::model::{ImageSave, ImageSaveBound, ImageSpec, SaveSeen, User, Vnode, VnodeWanted};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;
use crate::report::{SaveReport, Saved};
use crate::state::State;

/// Longest text of a report that is kept, in bytes.
const TEXT_LEN_MAX: usize = 1_000;

pub(in super::super) fn ask(
    ground: Ground<'_>,
    id: VnodeId,
    name: &str,
    label: &str,
) -> Result<Decision, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let vnode = own_vnode(ground, asker, id)?;
    moves::refuse_moving(ground.state, vnode)?;
    let name = Name::parse("image", name)?;
    plain_text("version", label, title::LABEL_LEN_MAX)?;
    let placement = vnode
        .placement
        .filter(|_| vnode.wanted != VnodeWanted::Removed);
    let placement = placement.ok_or_else(|| Refusal::VnodeNotRunning {
        vnode: vnode.hostname(),
        phase: "on no worker".to_owned(),
    })?;
    if let Some(save) = ground.state.image_saves.get(&id)
        && !matches!(save.seen, SaveSeen::Failed { .. })
    {
        return Err(Refusal::NameTaken {
            kind: "save of this vnode".to_owned(),
            name: save.name.to_string(),
        });
    }
    let save = ImageSave {
        vnode: id,
        epoch: placement.epoch,
        number: ground.index,
        owner: asker.id,
        name,
        label: label.to_owned(),
        asked_at: ground.entry.at,
        seen: SaveSeen::Wanted,
    };
    let bound = bound(ground, asker, &save, vnode)?;
    let events = std::iter::once(seen(save, vnode)).chain(bound);
    Ok(Decision::quiet(events.collect()))
}

/// How large it may become. Where nothing fits no vnode need stand still for it.
fn bound(
    ground: Ground<'_>,
    asker: &User,
    save: &ImageSave,
    vnode: &Vnode,
) -> Result<Option<Event>, Refusal> {
    let Some(room) = quota::room(ground.state, asker, &save.name) else {
        return Ok(None);
    };
    if room == 0 {
        return Err(quota::refusal(ground.state, asker, 1));
    }
    let bound = ImageSaveBound {
        vnode: save.vnode,
        save: save.number,
        blob_bytes_max: room,
    };
    let of = vnode.owner;
    Ok(Some(Event::Image(ImageEvent::SaveBounded { bound, of })))
}

fn own_vnode<'e>(ground: Ground<'e>, asker: &User, id: VnodeId) -> Result<&'e Vnode, Refusal> {
    let vnode = ground.state.vnodes.get(&id);
    let vnode = vnode.filter(|vnode| permit::owns(asker, vnode.owner));
    let vnode = vnode.filter(|vnode| !ground.state.is_trashed(vnode.vcluster));
    vnode.ok_or_else(|| Refusal::not_found("vnode", id))
}

fn seen(save: ImageSave, vnode: &Vnode) -> Event {
    let of = vnode.owner;
    Event::Image(ImageEvent::SaveSeen { save, of })
}

fn ended(save: &ImageSave, vnode: &Vnode) -> Event {
    Event::Image(ImageEvent::SaveEnded {
        vnode: save.vnode,
        owner: save.owner,
        of: vnode.owner,
    })
}

pub(in super::super) fn cancel(ground: Ground<'_>, id: VnodeId) -> Result<Decision, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let vnode = own_vnode(ground, asker, id)?;
    let save = ground.state.image_saves.get(&id);
    Ok(Decision::quiet(
        save.map(|save| ended(save, vnode)).into_iter().collect(),
    ))
}

/// Says nothing about a save that was cancelled, asked for anew, or asked of another placement.
pub(in super::super) fn report(
    ground: Ground<'_>,
    worker: WorkerId,
    report: &SaveReport,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    let save = state.image_saves.get(&report.vnode);
    let Some(save) = save.filter(|save| save.number == report.number) else {
        return Ok(Decision::quiet(Vec::new()));
    };
    let vnode = state.vnodes.get(&report.vnode);
    let Some(vnode) = vnode.filter(|vnode| {
        let here = vnode.placement.filter(|placed| placed.worker == worker);
        here.is_some_and(|placed| placed.epoch == save.epoch)
    }) else {
        return Ok(Decision::quiet(Vec::new()));
    };
    let text = |text: &str| plain_text("a report's text", text, TEXT_LEN_MAX);
    let now = match &report.saved {
        Saved::Working { step } => {
            text(step)?;
            SaveSeen::Working { step: step.clone() }
        }
        Saved::Failed { cause } => {
            text(cause)?;
            SaveSeen::Failed {
                cause: cause.clone(),
            }
        }
        Saved::Done { digest, blob_bytes } => {
            let new = AddImage {
                digest: *digest,
                blob_bytes: *blob_bytes,
                held_by: worker,
                ..as_its_image(ground, save, vnode)
            };
            return Ok(done(ground, save, vnode, &new));
        }
    };
    let news = now != save.seen;
    let save = ImageSave {
        seen: now,
        ..save.clone()
    };
    Ok(Decision::quiet(
        news.then(|| seen(save, vnode)).into_iter().collect(),
    ))
}

/// A vnode has other files now than those of which an image was to be made.
pub(in super::super) fn lost(state: &State, vnode: &Vnode, cause: &str) -> Option<Event> {
    let save = state.image_saves.get(&vnode.id)?;
    if matches!(save.seen, SaveSeen::Failed { .. }) {
        return None;
    }
    let seen_now = SaveSeen::Failed {
        cause: cause.to_owned(),
    };
    let save = ImageSave {
        seen: seen_now,
        ..save.clone()
    };
    Some(seen(save, vnode))
}

/// An image of a vnode is run as the one that it was made of.
fn as_its_image(ground: Ground<'_>, save: &ImageSave, vnode: &Vnode) -> AddImage {
    let image = ground.state.images.get(&vnode.image);
    let run = ground.state.image_runs.get(&vnode.image);
    AddImage {
        name: save.name.to_string(),
        digest: vnode.image,
        blob_bytes: 1,
        spec: image.map_or_else(ImageSpec::default, |image| image.spec.clone()),
        environment: run.map(|run| run.environment.clone()).unwrap_or_default(),
        directory: run.map(|run| run.directory.clone()).unwrap_or_default(),
        description: None,
        label: save.label.clone(),
        visibility: None,
        held_by: WorkerId(0),
    }
}

/// The image is added in the name of whoever asked. What is refused now is told where they look for it.
fn done(ground: Ground<'_>, save: &ImageSave, vnode: &Vnode, new: &AddImage) -> Decision {
    let asker = ground
        .state
        .users
        .get(&save.owner)
        .ok_or(Refusal::NotLoggedIn);
    match asker.and_then(|asker| title::add_for(ground, asker, new)) {
        Ok(mut events) => {
            events.push(ended(save, vnode));
            Decision::quiet(events)
        }
        Err(refusal) => {
            let save = ImageSave {
                seen: SaveSeen::Failed {
                    cause: refusal.to_string(),
                },
                ..save.clone()
            };
            Decision::quiet(vec![seen(save, vnode)])
        }
    }
}
