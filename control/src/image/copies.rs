//! How many workers hold an image, and which: enough that none of them is missed, no more than that. A pure function of
//! the state and the time.

use std::collections::{BTreeMap, BTreeSet};

use imbl::OrdSet;

use super::catalog;
use super::command::ImageCommand;
use crate::command::Command;
use crate::id::{Digest, UnixMs, WorkerId};
use crate::model::{ClusterVersion, Image, Worker, WorkerStatus};
use crate::state::State;

/// Workers that hold an image, where there are so many.
pub const COPIES: usize = 3;
/// A worker that is down for so long is not counted on: before, it may just be restarting.
const GIVEN_UP_MS: u64 = 60_000;
/// Copies placed by one entry at most; the rest follow in the next.
const PLACED_MAX: usize = 500;

/// Since when the leader looks after copies.
pub const SINCE: ClusterVersion = ClusterVersion(3);

/// Workers that shall hold an image beside those that use it. Where nobody has chosen yet, those that do.
#[must_use]
pub fn keepers(state: &State, digest: Digest) -> OrdSet<WorkerId> {
    match (state.image_copies.get(&digest), state.images.get(&digest)) {
        (Some(chosen), _) => chosen.copies.clone().union(chosen.pulled.clone()),
        (None, Some(image)) => image.holders.clone(),
        (None, None) => OrdSet::new(),
    }
}

/// Whether `worker` is one of them.
#[must_use]
pub fn keeps(state: &State, digest: Digest, worker: WorkerId) -> bool {
    match (state.image_copies.get(&digest), state.images.get(&digest)) {
        (Some(chosen), _) => chosen.copies.contains(&worker) || chosen.pulled.contains(&worker),
        (None, Some(image)) => image.holders.contains(&worker),
        (None, None) => false,
    }
}

/// What is due: images that nothing means or uses are forgotten, the others get the copies that they lack, and none that
/// they do not need.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Vec<Command> {
    if state.version() < SINCE {
        return Vec::new();
    }
    if !state.image_names.is_empty() {
        // The rest is seen clearer when that is done.
        return vec![Command::Image(ImageCommand::NameOld)];
    }
    let (needed, forgotten) = needed(state);
    let mut commands = Vec::new();
    if !forgotten.is_empty() {
        let forget = ImageCommand::Forget { digests: forgotten };
        commands.push(Command::Image(forget));
    }
    let mut choice = Choice::new(state, now);
    for image in needed {
        choice.look_at(image);
    }
    if !choice.added.is_empty() || !choice.dropped.is_empty() {
        let place = ImageCommand::PlaceCopies {
            added: choice.added,
            dropped: choice.dropped,
        };
        commands.push(Command::Image(place));
    }
    commands
}

/// Images that a name, something in the trash or a vnode means, and the digests of the others.
fn needed(state: &State) -> (Vec<&Image>, Vec<Digest>) {
    let titles = state.image_titles.values();
    let titled: BTreeSet<Digest> = titles
        .flat_map(|title| title.versions.iter().map(|version| version.digest))
        .chain(state.kept_digests())
        .collect();
    let used: BTreeSet<Digest> = state.vnodes.values().map(|vnode| vnode.image).collect();
    let is_needed = |image: &&Image| titled.contains(&image.digest) || used.contains(&image.digest);
    let (needed, others): (Vec<&Image>, Vec<&Image>) = state.images.values().partition(is_needed);
    (
        needed,
        others.into_iter().map(|image| image.digest).collect(),
    )
}

/// Whether nothing means or uses an image any more.
pub(crate) fn is_unneeded(state: &State, digest: Digest) -> bool {
    let used = state.vnodes.values().any(|vnode| vnode.image == digest);
    !used && !catalog::is_titled(state, digest)
}

/// The choice in the making.
struct Choice<'s> {
    state: &'s State,
    now: UnixMs,
    up: BTreeSet<WorkerId>,
    /// Bytes that each worker keeps as copies: the next goes to who keeps least.
    kept_bytes: BTreeMap<WorkerId, u64>,
    added: Vec<(Digest, WorkerId)>,
    dropped: Vec<(Digest, WorkerId)>,
}

impl<'s> Choice<'s> {
    fn new(state: &'s State, now: UnixMs) -> Self {
        let up = state
            .workers
            .values()
            .filter(|w| w.status == WorkerStatus::Up);
        let up: BTreeSet<WorkerId> = up.map(|worker| worker.id).collect();
        let mut kept_bytes: BTreeMap<WorkerId, u64> = up.iter().map(|id| (*id, 0)).collect();
        for image in state.images.values() {
            for keeper in keepers(state, image.digest) {
                if let Some(bytes) = kept_bytes.get_mut(&keeper) {
                    *bytes += image.blob_bytes;
                }
            }
        }
        Self {
            state,
            now,
            up,
            kept_bytes,
            added: Vec::new(),
            dropped: Vec::new(),
        }
    }

    fn look_at(&mut self, image: &Image) {
        let chosen = self.state.image_copies.get(&image.digest);
        let copies = chosen.map_or_else(|| image.holders.clone(), |chosen| chosen.copies.clone());
        let counted: Vec<WorkerId> = copies
            .iter()
            .copied()
            .filter(|id| self.counts(*id))
            .collect();
        let wanted = COPIES.min(self.up.len());
        if chosen.is_none() {
            // From now on the choice stands in the state.
            for keeper in copies
                .iter()
                .filter(|id| self.state.workers.contains_key(id))
            {
                self.add(image, *keeper);
            }
        }
        if counted.len() < wanted {
            for keeper in self.best(image, &copies, wanted - counted.len()) {
                self.add(image, keeper);
            }
        } else if counted.len() > COPIES {
            self.drop_surplus(image, &copies, counted);
        }
    }

    /// Whether a worker is counted on: it is in touch, or was a moment ago.
    fn counts(&self, id: WorkerId) -> bool {
        let worker = self.state.workers.get(&id);
        worker.is_some_and(|worker| self.up.contains(&id) || self.may_be_back(worker))
    }

    fn may_be_back(&self, worker: &Worker) -> bool {
        let down_ms = self.now.since_ms(worker.status_since);
        worker.status == WorkerStatus::Down && down_ms < GIVEN_UP_MS
    }

    /// Who takes a copy: whoever holds it already, then whoever keeps least.
    fn best(&self, image: &Image, copies: &OrdSet<WorkerId>, count: usize) -> Vec<WorkerId> {
        let free = self.up.iter().filter(|id| !copies.contains(*id));
        let mut free: Vec<WorkerId> = free.copied().collect();
        free.sort_by_key(|id| {
            let kept = self.kept_bytes.get(id).copied().unwrap_or_default();
            (!image.holders.contains(id), kept, *id)
        });
        free.truncate(count);
        free
    }

    /// Too many keep it since one that was given up is back. None goes before enough others hold it for certain.
    fn drop_surplus(&mut self, image: &Image, copies: &OrdSet<WorkerId>, counted: Vec<WorkerId>) {
        let holds = |id: &WorkerId| self.up.contains(id) && image.holders.contains(id);
        let certain = counted.iter().filter(|id| holds(id)).count();
        let mut surplus = counted.len() - COPIES;
        let mut spare = certain.saturating_sub(COPIES);
        let mut dropped: Vec<WorkerId> = Vec::new();
        for id in counted.into_iter().rev() {
            if surplus == 0 {
                break;
            }
            let held = holds(&id);
            if held && spare == 0 {
                continue;
            }
            spare -= usize::from(held);
            surplus -= 1;
            dropped.push(id);
        }
        // Who is down and given up is dropped with them: it is told when it is back.
        let gone = copies.iter().filter(|id| !self.counts(**id));
        dropped.extend(gone);
        for id in dropped {
            if self.dropped.len() < PLACED_MAX {
                self.dropped.push((image.digest, id));
            }
        }
    }

    fn add(&mut self, image: &Image, keeper: WorkerId) {
        if self.added.len() < PLACED_MAX {
            self.added.push((image.digest, keeper));
            *self.kept_bytes.entry(keeper).or_default() += image.blob_bytes;
        }
    }
}
