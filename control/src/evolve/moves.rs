//! Vnodes on their way between workers.

use super::{rebalance, vnode, wishes};
use crate::id::{LogIndex, UnixMs, VnodeId};
use crate::model::{Move, MoveEnd, MoveStage, Placement, VnodeSeen};
use crate::moves::event::MoveEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, at: UnixMs, event: MoveEvent) {
    match event {
        MoveEvent::Begun { began, .. } => {
            if state.vnodes.contains_key(&began.vnode) {
                rebalance::move_begun(state, at, &began);
                state.put_move(*began);
            }
        }
        MoveEvent::Copied {
            about,
            number,
            copied,
        } => change(state, at, about.vnode, number, |moving| {
            moving.copied = copied;
        }),
        MoveEvent::Switching { about, number, ran } => {
            change(state, at, about.vnode, number, |moving| {
                moving.stage = MoveStage::Switching;
                moving.times.switched_at = Some(at);
                moving.ran = ran;
            });
        }
        MoveEvent::WayChanged {
            about,
            number,
            way,
            cause,
        } => change(state, at, about.vnode, number, |moving| {
            moving.way = way;
            moving.not_live = Some(cause);
        }),
        MoveEvent::Placed {
            about,
            number,
            placement,
        } => {
            change(state, at, about.vnode, number, |moving| {
                moving.stage = MoveStage::Starting;
                moving.times.placed_at = Some(at);
            });
            placed(state, at, about.vnode, placement);
        }
        MoveEvent::Returning {
            about,
            number,
            cause,
        } => change(state, at, about.vnode, number, |moving| {
            moving.stage = MoveStage::Returning { cause };
        }),
        MoveEvent::PlacedBack {
            about,
            number,
            placement,
            cause,
        } => {
            placed(state, at, about.vnode, placement);
            ended(state, at, about.vnode, number, MoveEnd::Failed { cause });
        }
        MoveEvent::Ended { about, number, end } => {
            ended(state, at, about.vnode, number, end);
        }
        MoveEvent::CheckpointingReported { able } => state.put_checkpointing(able),
    }
}

fn change(
    state: &mut State,
    at: UnixMs,
    id: VnodeId,
    number: LogIndex,
    with: impl FnOnce(&mut Move),
) {
    let moving = state.open_move(id).filter(|m| m.number == number);
    if let Some(mut moving) = moving.cloned() {
        with(&mut moving);
        moving.heard_at = at;
        state.put_move(moving);
    }
}

fn ended(state: &mut State, at: UnixMs, id: VnodeId, number: LogIndex, end: MoveEnd) {
    let moving = state.open_move(id).filter(|m| m.number == number);
    if let Some(moving) = moving.cloned() {
        state.drained_by(at, &moving, &end);
    }
    change(state, at, id, number, |moving| {
        moving.stage = MoveStage::Ended(end);
        moving.times.ended_at = Some(at);
        moving.gpus.clear();
    });
}

/// Snapshots are where the disk is. The GPUs that were kept there are its own now, and those that it had are kept.
fn placed(state: &mut State, at: UnixMs, id: VnodeId, placement: Placement) {
    let had = state.gpus_of(id).to_vec();
    if let Some(mut moving) = state.open_move(id).cloned() {
        let kept = std::mem::replace(&mut moving.gpus, had);
        if kept != moving.gpus {
            wishes::gpus_given(state, id, kept);
        }
        state.put_move(moving);
    }
    vnode::placed(state, at, id, placement);
    let step = "coming from another worker".to_owned();
    vnode::seen(state, at, id, VnodeSeen::Preparing { step });
    state.snapshots_follow(id, placement.epoch);
}

/// No move outlives its vnode.
pub(super) fn vnode_removed(state: &mut State, id: VnodeId) {
    state.remove_move(&id);
    state.undrain(id);
}
