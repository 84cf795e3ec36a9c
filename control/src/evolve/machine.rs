//! Machines: join tokens and workers.

use crate::id::{SecretHash, UnixMs, WorkerId};
use crate::model::{Worker, WorkerFacts, WorkerStatus};
use crate::state::State;

pub(super) fn token_spent(state: &mut State, id: SecretHash, uses_left: u32) {
    if uses_left == 0 {
        state.join_tokens.remove(&id);
    } else if let Some(token) = state.join_tokens.get_mut(&id) {
        token.uses_left = uses_left;
    }
}

pub(super) fn described(state: &mut State, worker: WorkerId, facts: WorkerFacts) {
    if let Some(worker) = state.workers.get_mut(&worker) {
        worker.facts = facts;
    }
}

pub(super) fn marked(state: &mut State, at: UnixMs, worker: WorkerId, status: WorkerStatus) {
    if let Some(worker) = state.workers.get_mut(&worker) {
        let changed = Worker {
            status,
            status_since: at,
            ..worker.clone()
        };
        *worker = changed;
    }
}
