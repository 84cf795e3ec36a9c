//! Vnodes that begin anew on another worker because theirs is lost, and what workers say of it.

use super::{Decision, Ground, image, snapshot};
use crate::event::{Event, VnodeRef};
use crate::id::{Epoch, UnixMs, VnodeId, WorkerId};
use crate::lost;
use crate::model::{VnodeFence, WorkerStatus};
use crate::notice::news;
use crate::place::{self, Board};
use crate::schedule::event::ScheduleEvent;
use crate::state::State;

/// Says nothing of another placement, nor of what is asked for otherwise now.
pub(super) fn fenced(state: &State, worker: WorkerId, fences: &[VnodeFence]) -> Decision {
    let events = fences.iter().filter_map(|fence| {
        let vnode = state.vnodes.get(&fence.vnode)?;
        let placed = vnode.placement.filter(|placed| placed.worker == worker);
        let here = placed.is_some_and(|placed| placed.epoch == fence.epoch);
        let asked = state.fence_wanted(vnode) == Some(fence.number);
        let news = here && asked && !state.is_fenced(vnode);
        news.then(|| {
            Event::Schedule(ScheduleEvent::VnodeFenced {
                about: VnodeRef::from(vnode),
                fence: *fence,
            })
        })
    });
    Decision::quiet(events.collect())
}

/// Nothing if the worker is not down, or was not all the while: the leader that proposed it saw another state.
pub(super) fn restart(
    ground: Ground<'_>,
    worker: WorkerId,
    down_since: UnixMs,
    placed: &[(VnodeId, WorkerId)],
) -> Decision {
    let lost = ground.state.workers.get(&worker);
    let down = (WorkerStatus::Down, down_since);
    if lost.is_none_or(|lost| (lost.status, lost.status_since) != down) {
        return Decision::quiet(Vec::new());
    }
    let named = placed.iter();
    let named = named.filter_map(|(_, id)| ground.state.workers.get(id));
    let mut board = Board::counted(ground.state, named);
    let (mut events, mut begun) = (Vec::new(), Vec::new());
    for (id, to) in placed {
        let restarted = restart_one(ground, &board, worker, *id, *to);
        if !restarted.is_empty() {
            board.take_off(*id);
            board.put(*id, *to);
            begun.push(*id);
        }
        events.extend(restarted);
    }
    events.extend(news::restarted(ground.moment(), worker, &begun));
    Decision::quiet(events)
}

fn restart_one(
    ground: Ground<'_>,
    board: &Board,
    lost: WorkerId,
    id: VnodeId,
    to: WorkerId,
) -> Vec<Event> {
    let state = board.state();
    let vnode = state.vnodes.get(&id);
    let vnode = vnode.filter(|vnode| vnode.is_on(lost) && lost::is_restartable(state, vnode));
    let Some((vnode, to)) = vnode.zip(state.workers.get(&to)) else {
        return Vec::new();
    };
    let Some(placement) = vnode
        .placement
        .filter(|_| board.lacks(to, vnode).is_empty())
    else {
        return Vec::new();
    };
    let begun = ScheduleEvent::VnodeLost {
        about: VnodeRef::from(vnode),
        lost: placement,
    };
    let cause = format!("it was on {}, which is lost", state.worker_called(lost));
    let mut events = vec![Event::Schedule(begun)];
    events.extend(snapshot::lost(state, vnode, &cause));
    events.extend(image::save::lost(state, vnode, &cause));
    events.extend(place::placing(state, to, vnode, Epoch(ground.index.0)));
    events
}
