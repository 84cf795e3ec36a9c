//! Single versions of what an image's name has meant. Since version 3.

use super::super::{Decision, Ground};
use super::title::{change, in_use_by, own};
use crate::id::Digest;
use crate::image::catalog;
use crate::permit;
use crate::refusal::Refusal;

/// Refused of the current one, and of one that vnodes are made of and no other name means.
pub(in super::super) fn delete(
    ground: Ground<'_>,
    image: &str,
    version: Digest,
) -> Result<Decision, Refusal> {
    const ACTION: &str = "delete a version of this image";
    let state = ground.state;
    let title = own(ground, image, ACTION)?;
    let asker = permit::person(state, ground.entry.actor)?;
    if !title.has(version) {
        return Err(Refusal::not_found("version", version));
    }
    if title.current == version {
        return Err(Refusal::VersionCurrent {
            name: catalog::called(state, asker, title),
        });
    }
    let titles = state.image_titles.values();
    let mut others = titles.filter(|other| other.key() != title.key());
    let (known, more) = catalog::users_of(state, asker, version);
    let in_use = !known.is_empty() || more > 0;
    if in_use && !others.any(|other| other.has(version)) {
        return Err(Refusal::ImageInUse {
            name: catalog::called(state, asker, title),
            by: in_use_by(&known, more),
        });
    }
    change(ground, image, ACTION, |title| {
        title.versions.retain(|known| known.digest != version);
        Ok(())
    })
}
