//! Images and who holds them.

use crate::id::{Digest, WorkerId};
use crate::image::event::ImageEvent;
use crate::model::{Image, UserImageQuota, Visibility};
use crate::state::State;

pub(super) fn registered(state: &mut State, image: Image) {
    state.put_image_name((image.name.clone(), image.digest));
    state.put_image(image);
}

pub(super) fn held(state: &mut State, digest: Digest, worker: WorkerId) {
    if let Some(image) = state.images.get_mut(&digest) {
        image.holders.insert(worker);
    }
}

pub(super) fn lost(state: &mut State, digest: Digest, worker: WorkerId) {
    if let Some(image) = state.images.get_mut(&digest) {
        image.holders.remove(&worker);
    }
}

pub(super) fn evolve(state: &mut State, event: ImageEvent) {
    match event {
        ImageEvent::Stored { image } => state.put_image(image),
        ImageEvent::RunSet { run, .. } => state.put_image_run(run),
        ImageEvent::Titled { title, .. } => {
            if title.visibility == Visibility::Public {
                // What the name meant before there were titles, the title says now.
                state.remove_image_name(&title.name);
            }
            state.put_image_title(title);
        }
        ImageEvent::Untitled { owner, name, .. } => {
            let key = (owner, name);
            state.remove_image_groups(&key);
            state.remove_image_title(&key);
        }
        ImageEvent::CopiesPlaced { copies } => state.put_image_copies(copies),
        ImageEvent::SaveSeen { save, .. } => state.put_image_save(save),
        ImageEvent::SaveEnded { vnode, .. } => {
            state.remove_image_save(&vnode);
            state.remove_image_save_bound(&vnode);
            state.remove_snapshot_save(&vnode);
        }
        ImageEvent::GroupsSet { shared, .. } if shared.groups.is_empty() => {
            state.remove_image_groups(&shared.key());
        }
        ImageEvent::GroupsSet { shared, .. } => state.put_image_groups(shared),
        ImageEvent::QuotaSet { quota } => state.image_quota = Some(quota),
        ImageEvent::QuotaOfSet {
            user,
            quota: Some(quota),
        } => {
            if state.users.contains_key(&user) {
                state.put_image_quota_of(UserImageQuota { user, quota });
            }
        }
        ImageEvent::QuotaOfSet { user, quota: None } => state.remove_image_quota_of(&user),
        ImageEvent::SaveBounded { bound, .. } => {
            if state.vnodes.contains_key(&bound.vnode) {
                state.put_image_save_bound(bound);
            }
        }
        ImageEvent::Forgotten { digest } => {
            state.remove_image(&digest);
            state.remove_image_run(&digest);
            state.remove_image_copies(&digest);
        }
    }
}
