//! Placements proposed by the leader's duty, and workers' reports. Both speak of a state that may have moved on
//! meanwhile: what no longer fits is left out, and comes again if it still matters.

use super::{Decision, Ground, moves, one_by_one, snapshot};
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::id::{Epoch, VnodeId, WorkerId};
use crate::model::{Placement, VclusterWanted, Vnode, VnodeSeen, VnodeWanted};
use crate::place::{self, Board, Obstacle};
use crate::refusal::Refusal;
use crate::report::{Reported, VnodeReport};
use crate::state::State;

pub(super) fn place(
    ground: Ground<'_>,
    placed: &[(VnodeId, WorkerId)],
    unplaced: &[(VnodeId, Vec<Obstacle>)],
) -> Decision {
    let named = placed
        .iter()
        .filter_map(|(_, id)| ground.state.workers.get(id));
    let mut board = Board::counted(ground.state, named);
    let mut events = Vec::new();
    for (id, worker) in placed {
        let placing = place_one(ground, &board, *id, *worker);
        if !placing.is_empty() {
            board.put(*id, *worker);
        }
        events.extend(placing);
    }
    events.extend(unplaced.iter().filter_map(|(id, obstacles)| {
        let vnode = board
            .state()
            .vnodes
            .get(id)
            .filter(|v| v.placement.is_none())?;
        (vnode.obstacles != *obstacles).then(|| Event::VnodeUnplaceable {
            about: VnodeRef::from(vnode),
            obstacles: obstacles.clone(),
        })
    }));
    Decision::quiet(events)
}

/// The placement, and the GPUs that come with it, if the vnode still needs one and the worker can still take it. The entry's index is the epoch:
/// it is higher than that of any earlier placement.
fn place_one(ground: Ground<'_>, board: &Board, id: VnodeId, worker: WorkerId) -> Vec<Event> {
    let state = board.state();
    let vnode = state.vnodes.get(&id).filter(|v| v.placement.is_none());
    match (vnode, state.workers.get(&worker)) {
        (Some(vnode), Some(worker)) if board.lacks(worker, vnode).is_empty() => {
            place::placing(state, worker, vnode, Epoch(ground.index.0))
        }
        (Some(_) | None, _) => Vec::new(),
    }
}

/// Longest text of a report that is kept, in bytes.
const REPORT_TEXT_MAX: usize = 4_000;

/// Takes what a worker saw. A text beyond all measure is refused with the whole report: it would be kept for ever.
pub(super) fn report(
    ground: Ground<'_>,
    worker: WorkerId,
    reports: &[VnodeReport],
) -> Result<Decision, Refusal> {
    for report in reports {
        let length = text_length(&report.seen);
        if length > REPORT_TEXT_MAX {
            return Err(Refusal::TooLong {
                what: "a report's text".to_owned(),
                given: length as u64,
                most: REPORT_TEXT_MAX as u64,
            });
        }
    }
    Ok(one_by_one(ground, reports, |state, report| {
        report_one(ground, state, worker, report)
    }))
}

fn text_length(seen: &Reported) -> usize {
    match seen {
        Reported::Present(VnodeSeen::Preparing { step }) => step.len(),
        Reported::Present(VnodeSeen::Failed { step, cause }) => step.len() + cause.len(),
        Reported::Present(VnodeSeen::Pending | VnodeSeen::Running | VnodeSeen::Stopped)
        | Reported::Gone => 0,
    }
}

/// What one report changes; nothing if it is about a placement that is no longer the vnode's.
fn report_one(
    ground: Ground<'_>,
    state: &State,
    worker: WorkerId,
    report: &VnodeReport,
) -> Vec<Event> {
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
        Reported::Gone => match moves::gone(ground, state, vnode) {
            Some(back) => vec![back],
            None => gone(state, vnode),
        },
        Reported::Present(seen) if *seen != vnode.seen => {
            let about = VnodeRef::from(vnode);
            let copied = snapshot::copied(state, vnode, seen);
            let moved = moves::seen(state, vnode, seen);
            let seen = seen.clone();
            [Event::VnodeSeen { about, seen }]
                .into_iter()
                .chain(copied)
                .chain(moved)
                .collect()
        }
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
