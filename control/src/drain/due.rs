//! What the leader must do about workers that are emptied or filled again: the same scheduler as for new vnodes says where
//! to, each choice with those before it under way.

use crate::command::Command;
use crate::drain::command::DrainCommand;
use crate::id::{UnixMs, VnodeId, WorkerId};
use crate::model::{Drain, DrainStage, MoveWhy, Vnode, VnodeWanted};
use crate::moves::command::MoveCommand;
use crate::place::Board;
use crate::state::State;

/// What is due at `now`.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Vec<Command> {
    let mut commands = Vec::new();
    let open = state.drains.values().filter(|drain| drain.stage.is_open());
    for drain in open {
        let moves = wanted_moves(state, drain, now);
        if !moves.is_empty() {
            let why = if brings_back(drain) {
                MoveWhy::Restore
            } else {
                MoveWhy::Drain
            };
            commands.push(Command::Move(MoveCommand::BeginAll { moves, why }));
        }
    }
    let over = state
        .drains
        .values()
        .any(|drain| outcome(state, drain, now).is_some());
    commands.extend(over.then_some(Command::Drain(DrainCommand::Settle)));
    commands
}

fn brings_back(drain: &Drain) -> bool {
    drain.stage == DrainStage::Restoring
}

/// To what an open drain comes now; nothing while something is left to be done.
pub(crate) fn outcome(state: &State, drain: &Drain, now: UnixMs) -> Option<DrainStage> {
    let rests = state.moves_at(drain.worker).next().is_none();
    match drain.stage {
        DrainStage::Draining if rests && left(state, drain).next().is_none() => {
            Some(DrainStage::Drained)
        }
        DrainStage::Draining => {
            let late = drain.deadline_at.is_some_and(|deadline| now >= deadline);
            late.then_some(DrainStage::Late)
        }
        DrainStage::Restoring if rests && away(state, drain).next().is_none() => {
            Some(DrainStage::Restored)
        }
        DrainStage::Restoring
        | DrainStage::Drained
        | DrainStage::Late
        | DrainStage::Aborted
        | DrainStage::Restored => None,
    }
}

/// Vnodes that are still on the worker, and there to stay.
pub fn left<'s>(state: &'s State, drain: &Drain) -> impl Iterator<Item = &'s Vnode> + use<'s> {
    let there = state.vnodes_on(drain.worker);
    there.filter(|vnode| vnode.wanted != VnodeWanted::Removed)
}

/// Vnodes that were moved away and can be brought back: some worker has them, and the attempts are not used up.
fn away<'s>(state: &'s State, drain: &'s Drain) -> impl Iterator<Item = &'s Vnode> {
    let moved = drain.moved.iter().filter_map(|id| state.vnodes.get(id));
    moved.filter(|vnode| {
        let elsewhere = vnode.placement.is_some() && !vnode.is_on(drain.worker);
        elsewhere && vnode.wanted != VnodeWanted::Removed && !gave_up(drain, vnode.id)
    })
}

/// Whether a vnode's moves came to nothing too often.
#[must_use]
pub fn gave_up(drain: &Drain, vnode: VnodeId) -> bool {
    let failed = drain.failed.get(&vnode);
    failed.is_some_and(|failed| failed.attempts >= Drain::ATTEMPTS_MAX)
}

fn may_be_tried(drain: &Drain, vnode: VnodeId, now: UnixMs) -> bool {
    drain.failed.get(&vnode).is_none_or(|failed| {
        failed.attempts < Drain::ATTEMPTS_MAX && now.since_ms(failed.at) >= Drain::RETRY_AFTER_MS
    })
}

/// As many as may be on their way at once, and find a worker.
fn wanted_moves(state: &State, drain: &Drain, now: UnixMs) -> Vec<(VnodeId, WorkerId)> {
    let under_way = state.moves_at(drain.worker).count();
    let room = (drain.at_once as usize).saturating_sub(under_way);
    if room == 0 {
        return Vec::new();
    }
    let waits =
        |vnode: &&Vnode| state.open_move(vnode.id).is_none() && may_be_tried(drain, vnode.id, now);
    let waiting: Vec<&Vnode> = if brings_back(drain) {
        away(state, drain).filter(waits).collect()
    } else {
        left(state, drain).filter(waits).collect()
    };
    if waiting.is_empty() {
        return Vec::new();
    }
    let mut board = Board::of(state);
    let mut moves = Vec::new();
    for vnode in waiting {
        if moves.len() == room {
            break;
        }
        let to = if brings_back(drain) {
            fits(&board, vnode, drain.worker).then_some(drain.worker)
        } else {
            board.best_other(vnode)
        };
        if let Some(to) = to {
            board.reserve(vnode.id, to);
            moves.push((vnode.id, to));
        }
    }
    moves
}

fn fits(board: &Board, vnode: &Vnode, worker: WorkerId) -> bool {
    let worker = board.state().workers.get(&worker);
    worker.is_some_and(|worker| board.lacks(worker, vnode).is_empty())
}
