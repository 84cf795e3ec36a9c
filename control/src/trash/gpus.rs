//! GPUs of what is in the trash. A vcluster keeps those that it has, so that it comes back as it was; but nobody waits for
//! them: what has some goes for good, the oldest first, as soon as a vnode lacks nothing else on a worker.

use crate::gpus::count;
use crate::id::WorkerId;
use crate::model::trash::Trashed;
use crate::model::{GpuWish, Vnode, VnodeWanted, Worker};
use crate::place::{Dimension, Obstacle};
use crate::state::State;

/// What must go for good so that a vnode that waits gets its GPUs: for one of them at a time, as much as it takes.
pub(crate) fn in_the_way(state: &State) -> impl Iterator<Item = &Trashed> {
    let waiting = state.unplaced_vnodes();
    let mut waiting = waiting.filter(|vnode| state.wishes_of(vnode.id).gpus.count > 0);
    let mut holding: Option<Vec<&Trashed>> = None;
    let first = waiting.find_map(|vnode| {
        let holding = holding.get_or_insert_with(|| holding_gpus(state));
        for_vnode(state, vnode, holding)
    });
    first.unwrap_or_default().into_iter()
}

/// The oldest first.
fn holding_gpus(state: &State) -> Vec<&Trashed> {
    let trashed = state.trashed.values();
    let mut holding: Vec<&Trashed> = trashed
        .filter(|trashed| state.has_gpus(trashed.vcluster) && !state.is_going(trashed.vcluster))
        .collect();
    holding.sort_by_key(|trashed| (trashed.at, trashed.vcluster));
    holding
}

fn for_vnode<'s>(
    state: &'s State,
    vnode: &Vnode,
    holding: &[&'s Trashed],
) -> Option<Vec<&'s Trashed>> {
    let wish = &state.wishes_of(vnode.id).gpus;
    let mut workers = vnode.obstacles.iter().filter(|at| lacks_gpus_only(at));
    workers.find_map(|at| on_worker(state, state.workers.get(&at.worker)?, wish, holding))
}

fn lacks_gpus_only(obstacle: &Obstacle) -> bool {
    matches!(obstacle.lacks.as_slice(), [Dimension::Gpus { .. }])
}

/// The oldest whose GPUs are enough with those that are free; none if all of them are not, or if what goes already is.
fn on_worker<'s>(
    state: &'s State,
    worker: &Worker,
    wish: &GpuWish,
    holding: &[&'s Trashed],
) -> Option<Vec<&'s Trashed>> {
    let (_, free) = count(state, worker, wish);
    let going = state.vnodes_on(worker.id);
    let going = going.filter(|vnode| vnode.wanted == VnodeWanted::Removed);
    let mut there = free
        + going
            .map(|vnode| fitting(state, vnode, worker, wish))
            .sum::<u32>();
    if there >= wish.count {
        return None;
    }
    let mut out = Vec::new();
    for trashed in holding {
        let gives = gives(state, trashed, worker.id, wish);
        if gives > 0 {
            out.push(*trashed);
            there += gives;
        }
        if there >= wish.count {
            return Some(out);
        }
    }
    None
}

fn gives(state: &State, trashed: &Trashed, on: WorkerId, wish: &GpuWish) -> u32 {
    let vnodes = state.vnodes_of(trashed.vcluster);
    let there = vnodes.filter(|vnode| vnode.placement.is_some_and(|at| at.worker == on));
    let Some(worker) = state.workers.get(&on) else {
        return 0;
    };
    there.map(|vnode| fitting(state, vnode, worker, wish)).sum()
}

/// How many of a vnode's GPUs are of the wanted kind.
fn fitting(state: &State, vnode: &Vnode, worker: &Worker, wish: &GpuWish) -> u32 {
    let own = state.gpus_of(vnode.id);
    let listed = worker.facts.capacity.gpus.iter();
    let fits = listed.filter(|gpu| own.contains(&gpu.uuid) && wish.fits(gpu));
    u32::try_from(fits.count()).unwrap_or(u32::MAX)
}
