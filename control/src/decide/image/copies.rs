//! Who holds an image: the leader's choice, and admins' wishes. Since version 3. Both may speak of a state that has moved
//! on: what no longer fits is left out.

use std::collections::BTreeMap;

use imbl::OrdSet;

use super::super::{Decision, Ground};
use crate::event::Event;
use crate::id::{Digest, WorkerId};
use crate::image::event::ImageEvent;
use crate::image::{catalog, copies};
use crate::model::ImageCopies;
use crate::permit;
use crate::refusal::Refusal;

pub(in super::super) fn place(
    ground: Ground<'_>,
    added: &[(Digest, WorkerId)],
    dropped: &[(Digest, WorkerId)],
) -> Decision {
    let mut rows: BTreeMap<Digest, ImageCopies> = BTreeMap::new();
    for (digest, worker) in added {
        if ground.state.workers.contains_key(worker)
            && let Some(row) = row_of(ground, &mut rows, *digest)
        {
            row.copies.insert(*worker);
        }
    }
    for (digest, worker) in dropped {
        // The last one stays, whoever proposed that.
        if let Some(row) = row_of(ground, &mut rows, *digest).filter(|row| row.copies.len() > 1) {
            row.copies.remove(worker);
        }
    }
    Decision::quiet(
        rows.into_values()
            .filter_map(|row| placed(ground, row))
            .collect(),
    )
}

fn row_of<'r>(
    ground: Ground<'_>,
    rows: &'r mut BTreeMap<Digest, ImageCopies>,
    digest: Digest,
) -> Option<&'r mut ImageCopies> {
    ground.state.images.get(&digest)?;
    let known = || match ground.state.image_copies.get(&digest) {
        Some(known) => known.clone(),
        None => ImageCopies {
            digest,
            copies: copies::keepers(ground.state, digest),
            pulled: OrdSet::new(),
        },
    };
    Some(rows.entry(digest).or_insert_with(known))
}

fn placed(ground: Ground<'_>, copies: ImageCopies) -> Option<Event> {
    let news = ground.state.image_copies.get(&copies.digest) != Some(&copies);
    news.then_some(Event::Image(ImageEvent::CopiesPlaced { copies }))
}

pub(in super::super) fn pull(
    ground: Ground<'_>,
    image: &str,
    workers: &[WorkerId],
    held: bool,
) -> Result<Decision, Refusal> {
    let asker = permit::admin(ground.state, ground.entry.actor, "pull images")?;
    let found = catalog::find(ground.state, asker, image);
    let digest = found
        .ok_or_else(|| Refusal::not_found("image", image.escape_debug()))?
        .current;
    let mut rows = BTreeMap::new();
    let row = row_of(ground, &mut rows, digest);
    let row = row.ok_or_else(|| Refusal::not_found("image", image.escape_debug()))?;
    for worker in workers {
        super::check_holder(ground, *worker)?;
        if held {
            row.pulled.insert(*worker);
        } else {
            row.pulled.remove(worker);
        }
    }
    Ok(Decision::quiet(
        rows.into_values()
            .filter_map(|row| placed(ground, row))
            .collect(),
    ))
}

pub(in super::super) fn forget(ground: Ground<'_>, digests: &[Digest]) -> Decision {
    let known = digests
        .iter()
        .filter(|digest| ground.state.images.contains_key(digest));
    let unneeded = known.filter(|digest| copies::is_unneeded(ground.state, **digest));
    let mut digests: Vec<Digest> = unneeded.copied().collect();
    digests.sort_unstable();
    digests.dedup();
    let forgotten = digests
        .into_iter()
        .map(|digest| ImageEvent::Forgotten { digest });
    Decision::quiet(forgotten.map(Event::Image).collect())
}
