//! Images as everybody sees them.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, UnixMs};
use crate::model::ImageSpec;
use crate::state::State;

/// One image as it is shown, under the name that means it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageView {
    pub name: String,
    pub digest: Digest,
    pub blob_bytes: u64,
    pub spec: ImageSpec,
    pub description: String,
    pub registered_at: UnixMs,
    /// Names of workers that hold it.
    pub holders: Vec<String>,
}

/// All images that a name means, by name.
#[must_use]
pub fn list(state: &State) -> Vec<ImageView> {
    state
        .image_names
        .values()
        .filter_map(|(name, digest)| Some((name, state.images.get(digest)?)))
        .map(|(name, image)| ImageView {
            name: name.to_string(),
            digest: image.digest,
            blob_bytes: image.blob_bytes,
            spec: image.spec.clone(),
            description: image.description.clone(),
            registered_at: image.registered_at,
            holders: image
                .holders
                .iter()
                .filter_map(|holder| state.workers.get(holder))
                .map(|worker| worker.name.to_string())
                .collect(),
        })
        .collect()
}
