//! What must hold of moves.

use crate::id::VnodeId;
use crate::model::{MoveStage, Placement};
use crate::state::State;

/// A vnode on its way is placed at the one of the two workers that its stage says, and its snapshots are with it.
pub(super) fn moves_are_sound(state: &State, broken: &mut Vec<String>) {
    for moving in state.moves.values() {
        let Some(vnode) = state.vnodes.get(&moving.vnode) else {
            broken.push(format!("vnode {} moves and is not there", moving.vnode));
            continue;
        };
        if !moving.is_open() {
            continue;
        }
        let placed = vnode.placement;
        let right = if moving.is_before_placing() {
            placed.is_some_and(|p| p.worker == moving.from && p.epoch == moving.epoch)
        } else {
            placed.is_some_and(|p| p.worker == moving.to && p.epoch > moving.epoch)
        };
        let epoch = placed.map(|placed| placed.epoch);
        let mut snapshots = state.snapshots_of(vnode.id);
        let together = snapshots.all(|snapshot| Some(snapshot.epoch) == epoch);
        if !right || !together || moving.from == moving.to {
            broken.push(format!("the move of vnode {} is not sound", vnode.id));
        }
    }
}

/// Whether a vnode goes from one placement to the next by its move, from a stage in which it does not run where it was.
pub(super) fn goes(before: &State, vnode: VnodeId, to: Placement) -> bool {
    let moving = before.open_move(vnode);
    moving.is_some_and(|moving| match moving.stage {
        MoveStage::Switching => to.worker == moving.to,
        MoveStage::Returning { .. } => to.worker == moving.from,
        MoveStage::Copying | MoveStage::Starting | MoveStage::Ended(_) => false,
    })
}
