//! Placements proposed by the leader's duty, and workers' reports. Both speak of a state that may have moved on
//! meanwhile: what no longer fits is left out, and comes again if it still matters.

use super::{Decision, Ground};
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::evolve::evolve;
use crate::id::{Epoch, VnodeId, WorkerId};
use crate::model::{Placement, VclusterWanted, Vnode, VnodeWanted};
use crate::place::{self, Obstacle};
use crate::report::{Reported, VnodeReport};
use crate::state::State;

pub(super) fn place(
    ground: Ground<'_>,
    placed: &[(VnodeId, WorkerId)],
    unplaced: &[(VnodeId, Vec<Obstacle>)],
) -> Decision {
    let mut state = ground.state.clone();
    let mut events = Vec::new();
    for (id, worker) in placed {
        if let Some(event) = place_one(ground, &state, *id, *worker) {
            state = evolve(state, ground.entry.at, &event);
            events.push(event);
        }
    }
    events.extend(unplaced.iter().filter_map(|(id, obstacles)| {
        let vnode = state.vnodes.get(id).filter(|v| v.placement.is_none())?;
        (vnode.obstacles != *obstacles).then(|| Event::VnodeUnplaceable {
            about: VnodeRef::from(vnode),
            obstacles: obstacles.clone(),
        })
    }));
    Decision::quiet(events)
}

/// The placement, if the vnode still needs one and the worker can still take it. The entry's index is the epoch:
/// it is higher than that of any earlier placement.
fn place_one(ground: Ground<'_>, state: &State, id: VnodeId, worker: WorkerId) -> Option<Event> {
    let vnode = state.vnodes.get(&id).filter(|v| v.placement.is_none())?;
    let row = state.workers.get(&worker)?;
    place::lacks(state, row, vnode)
        .is_empty()
        .then(|| Event::VnodePlaced {
            about: VnodeRef::from(vnode),
            placement: Placement {
                worker,
                epoch: Epoch(ground.index.0),
            },
        })
}

pub(super) fn report(ground: Ground<'_>, worker: WorkerId, reports: &[VnodeReport]) -> Decision {
    let mut state = ground.state.clone();
    let mut events = Vec::new();
    for report in reports {
        for event in report_one(&state, worker, report) {
            state = evolve(state, ground.entry.at, &event);
            events.push(event);
        }
    }
    Decision::quiet(events)
}

/// What one report changes; nothing if it is about a placement that is no longer the vnode's.
fn report_one(state: &State, worker: WorkerId, report: &VnodeReport) -> Vec<Event> {
    let placement = Some(Placement {
        worker,
        epoch: report.epoch,
    });
    let Some(vnode) = state
        .vnodes
        .get(&report.vnode)
        .filter(|vnode| vnode.placement == placement)
    else {
        return Vec::new();
    };
    match &report.seen {
        Reported::Gone => gone(state, vnode),
        Reported::Present(seen) if *seen != vnode.seen => vec![Event::VnodeSeen {
            about: VnodeRef::from(vnode),
            seen: seen.clone(),
        }],
        Reported::Present(_) => Vec::new(),
    }
}

/// A vnode that was to be removed is gone, and its vcluster with it if it was the last.
fn gone(state: &State, vnode: &Vnode) -> Vec<Event> {
    if vnode.wanted != VnodeWanted::Removed {
        return Vec::new();
    }
    let mut events = vec![Event::VnodeRemoved {
        about: VnodeRef::from(vnode),
    }];
    let last = state.vnodes_of(vnode.vcluster).all(|v| v.id == vnode.id);
    let deleted = state
        .vclusters
        .get(&vnode.vcluster)
        .filter(|vcluster| last && vcluster.wanted == VclusterWanted::Deleted);
    events.extend(deleted.map(|vcluster| Event::VclusterDeleted {
        about: VclusterRef::from(vcluster),
    }));
    events
}
