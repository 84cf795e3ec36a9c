//! How many bytes of images a person may have, and has. What counts is what their names mean or have meant, packed and
//! each once; and what they brought first and have vnodes of, named or not: else each vnode would keep one for nothing.

use std::collections::BTreeSet;

use crate::id::{Digest, UserId};
use crate::model::image::{ImageQuota, ImageTitle};
use crate::model::{QuotaItem, User, VnodeWanted};
use crate::name::Name;
use crate::quota;
use crate::refusal::Refusal;
use crate::state::State;

/// Images named in a refusal at most.
const NAMED_MAX: usize = 3;

/// What holds of a person, as of all else that has a quota.
#[must_use]
pub fn of(state: &State, person: &User) -> ImageQuota {
    let limit = quota::limit(state, person, QuotaItem::ImageBytes);
    ImageQuota {
        bytes: limit.bound.number(),
    }
}

/// What a person has.
#[must_use]
pub fn used(state: &State, owner: UserId) -> u64 {
    bytes(state, owner, None, None)
}

/// How many bytes a version may have that is added under this name; none if as many as it likes. One that is there
/// already may be larger.
#[must_use]
pub fn room(state: &State, person: &User, name: &Name) -> Option<u64> {
    let limit = of(state, person).bytes?;
    let title = state.image_titles.get(&(person.id, name.clone()));
    let full = title.filter(|title| title.versions.len() >= ImageTitle::VERSIONS_MAX);
    // The oldest version makes place for it.
    let shorter = full.map(|title| ImageTitle {
        versions: title.versions[1..].to_vec(),
        ..title.clone()
    });
    Some(limit.saturating_sub(bytes(state, person.id, shorter.as_ref(), None)))
}

/// Refuses what would take more than the person may have. Who has more than that already may still change what takes no
/// more.
///
/// # Errors
/// `ImagesTooLarge`.
pub(crate) fn check(
    state: &State,
    person: &User,
    after: &ImageTitle,
    new: (Digest, u64),
) -> Result<(), Refusal> {
    let Some(limit) = of(state, person).bytes else {
        return Ok(());
    };
    let (before, with) = (
        used(state, person.id),
        bytes(state, person.id, Some(after), Some(new)),
    );
    if with <= limit || with <= before {
        return Ok(());
    }
    Err(refusal(state, person, with - before))
}

/// Why there is no room for so many bytes more.
#[must_use]
pub fn refusal(state: &State, person: &User, wanted: u64) -> Refusal {
    Refusal::ImagesTooLarge {
        used: used(state, person.id),
        wanted,
        limit: of(state, person).bytes.unwrap_or(u64::MAX),
        largest: largest(state, person.id),
    }
}

/// The names that mean most, as a person reads them.
fn largest(state: &State, owner: UserId) -> String {
    let own = state.image_titles_of(owner);
    let mut sized: Vec<(u64, &Name)> = own
        .map(|title| {
            let versions = title.versions.iter().map(|version| version.digest);
            (sum(state, &versions.collect(), None), &title.name)
        })
        .collect();
    sized.sort_by_key(|(bytes, name)| (std::cmp::Reverse(*bytes), *name));
    let named = sized.iter().take(NAMED_MAX);
    let named = named.map(|(bytes, name)| format!("{name} ({})", crate::refusal::size(*bytes)));
    named.collect::<Vec<_>>().join(", ")
}

/// What a person has if `instead` stands in the place of the title of its name, and `new` is there.
fn bytes(
    state: &State,
    owner: UserId,
    instead: Option<&ImageTitle>,
    new: Option<(Digest, u64)>,
) -> u64 {
    let replaced = instead.map(ImageTitle::key);
    let titles = state.image_titles_of(owner);
    let rest = titles.filter(|title| replaced.as_ref() != Some(&title.key()));
    let own = rest.chain(instead).filter(|title| title.owner == owner);
    let versions = own.flat_map(|title| &title.versions);
    let named = versions.map(|version| version.digest);
    let vnodes = state.vnodes_of_person(owner);
    let vnodes = vnodes.filter(|vnode| vnode.wanted != VnodeWanted::Removed);
    let brought = |digest: &Digest| {
        let image = state.images.get(digest);
        image.is_some_and(|image| image.owner == owner)
    };
    let used = vnodes.map(|vnode| vnode.image).filter(brought);
    sum(state, &named.chain(used).collect(), new)
}

fn sum(state: &State, digests: &BTreeSet<Digest>, new: Option<(Digest, u64)>) -> u64 {
    let size = |digest: &Digest| match new {
        Some((new, bytes)) if new == *digest => bytes,
        Some(_) | None => state.images.get(digest).map_or(0, |image| image.blob_bytes),
    };
    digests.iter().map(size).fold(0, u64::saturating_add)
}
