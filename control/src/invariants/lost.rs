//! What must hold of vnodes whose workers are lost.

use super::moves;
use crate::id::VnodeId;
use crate::model::{VnodeWanted, WorkerStatus};
use crate::state::State;

/// A vnode that has a worker gets another only by a move, or if that is down, was to end it by itself, and knew so; and its
/// epoch rises.
pub(super) fn vnodes_stay_where_they_run(before: &State, after: &State, broken: &mut Vec<String>) {
    for old in before.vnodes.values() {
        let new = after.vnodes.get(&old.id).and_then(|new| new.placement);
        let Some((was, is)) = old.placement.zip(new).filter(|(was, is)| was != is) else {
            continue;
        };
        let worker = before.workers.get(&was.worker);
        let down = worker.is_some_and(|worker| worker.status == WorkerStatus::Down);
        let fenced = before.is_fenced(old) && old.wanted == VnodeWanted::Running;
        let may = down && fenced || moves::goes(before, old.id, is);
        if !may || is.epoch <= was.epoch || is.worker == was.worker {
            broken.push(format!("vnode {} was taken from its worker", old.id));
        }
    }
}

/// GPUs that a vnode had and keeps: those of a worker that is lost stay there.
pub(super) fn gpus_kept<'s>(before: &'s State, after: &State, vnode: VnodeId) -> &'s [String] {
    let epoch = |state: &State| {
        state
            .vnodes
            .get(&vnode)?
            .placement
            .map(|placed| placed.epoch)
    };
    let was = epoch(before);
    if was.is_some() && was != epoch(after) {
        return &[];
    }
    before.gpus_of(vnode)
}

/// Each is of a vnode that is there; a fence is of the placement that it has.
pub(super) fn rows_are_of_somebody(state: &State, broken: &mut Vec<String>) {
    for fence in state.vnode_fences.values() {
        let vnode = state.vnodes.get(&fence.vnode);
        let placed = vnode.and_then(|vnode| vnode.placement);
        if placed.is_none_or(|placed| placed.epoch != fence.epoch) {
            broken.push(format!("vnode {} is fenced by nobody", fence.vnode));
        }
    }
    for loss in state.vnode_losses.values() {
        if !state.vnodes.contains_key(&loss.vnode) {
            broken.push(format!("vnode {} was lost and is not there", loss.vnode));
        }
    }
}
