//! The trash, and vclusters that stand still.

use crate::id::{UnixMs, VclusterId};
use crate::model::VclusterWanted;
use crate::model::trash::Rest;
use crate::state::State;
use crate::trash::SINCE;
use crate::trash::event::TrashEvent;

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

pub(super) fn vcluster_deleted(state: &mut State, vcluster: VclusterId) {
    state.remove_trashed(&vcluster);
    state.remove_rest(&vcluster);
}
