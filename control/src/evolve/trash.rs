//! The trash, and vclusters that stand still.

use crate::id::{LogIndex, UnixMs, UserId, VclusterId, VnodeId};
use crate::model::kept::KeptThing;
use crate::model::trash::Rest;
use crate::model::{SnapshotWhy, VclusterWanted};
use crate::name::Name;
use crate::state::State;
use crate::trash::SINCE;
use crate::trash::event::TrashEvent;
use crate::trash::kept::goes_with;

pub(super) fn evolve(state: &mut State, at: UnixMs, event: TrashEvent) {
    match event {
        TrashEvent::PolicySet { policy } => {
            state.trash_policy = Some(policy);
            // Who was told of a policy that is none any more is told anew of the next.
            if policy.release.is_none() {
                let rests: Vec<Rest> = state.rests.values().copied().collect();
                for rest in rests.into_iter().filter(|rest| rest.release_at.is_some()) {
                    let release_at = None;
                    state.put_rest(Rest { release_at, ..rest });
                }
            }
        }
        TrashEvent::Discarded { trashed } => {
            state.remove_rest(&trashed.vcluster);
            state.put_trashed(trashed);
        }
        TrashEvent::Kept { kept } => state.put_kept(*kept),
        TrashEvent::Recovered { about, name } => recovered(state, about.number, &name),
        TrashEvent::Dropped { about } => state.remove_kept(&about.number),
        TrashEvent::Restored { about, name } => {
            if let Some(row) = state.vclusters.get(&about.vcluster).cloned() {
                let stands = row.wanted == VclusterWanted::Stopped;
                state.remove_vcluster(&about.vcluster);
                state.put_vcluster(crate::model::Vcluster { name, ..row });
                state.remove_trashed(&about.vcluster);
                if stands {
                    rests(state, at, about.vcluster);
                }
            }
        }
        TrashEvent::Warned { about, release_at } => {
            if let Some(rest) = state.rests.get(&about.vcluster).copied() {
                let release_at = Some(release_at);
                state.put_rest(Rest { release_at, ..rest });
            }
        }
    }
}

/// Since when a vcluster stands still is kept from version 3 on.
pub(super) fn wanted_changed(
    state: &mut State,
    at: UnixMs,
    vcluster: VclusterId,
    wanted: VclusterWanted,
) {
    match wanted {
        VclusterWanted::Stopped => rests(state, at, vcluster),
        VclusterWanted::Running | VclusterWanted::Deleted => state.remove_rest(&vcluster),
    }
}

fn rests(state: &mut State, since: UnixMs, vcluster: VclusterId) {
    if state.version() >= SINCE && !state.is_trashed(vcluster) {
        let release_at = None;
        state.put_rest(Rest {
            vcluster,
            since,
            release_at,
        });
    }
}

/// All but snapshots is put back by the events of what it is.
fn recovered(state: &mut State, number: LogIndex, name: &Name) {
    let Some(kept) = state.kept.get(&number).cloned() else {
        return;
    };
    state.remove_kept(&number);
    for key in kept.snapshots() {
        if let Some(mut snapshot) = state.snapshots.get(key).cloned() {
            snapshot.name = name.clone();
            snapshot.why = SnapshotWhy::Asked;
            state.put_snapshot(snapshot);
        }
    }
}

/// A snapshot is gone, so it cannot be had back.
pub(super) fn snapshot_gone(state: &mut State, snapshot: (VnodeId, LogIndex)) {
    let number = state.kept_as(snapshot);
    let Some(mut kept) = number.and_then(|number| state.kept.get(&number).cloned()) else {
        return;
    };
    if let KeptThing::Snapshots { of, .. } = &mut kept.thing {
        of.retain(|key| *key != snapshot);
    }
    state.remove_kept(&kept.number);
    if !kept.snapshots().is_empty() {
        state.put_kept(kept);
    }
}

pub(super) fn person_left(state: &mut State, user: UserId) {
    let theirs = state.kept_of(user).filter(|kept| goes_with(kept, user));
    let numbers: Vec<LogIndex> = theirs.map(|kept| kept.number).collect();
    numbers.iter().for_each(|number| state.remove_kept(number));
}

pub(super) fn vcluster_deleted(state: &mut State, vcluster: VclusterId) {
    state.remove_trashed(&vcluster);
    state.remove_rest(&vcluster);
}
