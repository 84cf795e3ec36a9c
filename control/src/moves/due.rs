//! What the leader must do about moves.

use crate::command::Command;
use crate::id::UnixMs;
use crate::model::{Move, WorkerStatus};
use crate::moves::command::MoveCommand;
use crate::state::State;

/// What is due at `now`.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Option<Command> {
    let mut open = state.open_moves();
    let over = open.any(|moving| cause_to_end(state, moving, now).is_some());
    over.then_some(Command::Move(MoveCommand::Expire))
}

/// Why a move cannot go on; nothing while it can, or must. Once a vnode is placed at the other worker only that can say
/// whether it runs there.
pub(crate) fn cause_to_end(state: &State, moving: &Move, now: UnixMs) -> Option<String> {
    if !moving.is_before_placing() {
        return None;
    }
    let lost = |id| {
        let worker = state.workers.get(&id);
        worker.is_none_or(|worker| worker.status != WorkerStatus::Up)
    };
    let lost = [moving.from, moving.to].into_iter().find(|id| lost(*id));
    if let Some(worker) = lost {
        return Some(format!("{} is out of touch", state.worker_called(worker)));
    }
    let silent_ms = now.since_ms(moving.heard_at);
    (silent_ms > Move::SILENCE_MS_MAX).then(|| {
        format!(
            "nothing was heard of it for {} s",
            Move::SILENCE_MS_MAX / 1_000
        )
    })
}
