//! Images and who holds them.

use crate::id::{Digest, WorkerId};
use crate::model::Image;
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
