//! What the leader must propose of itself: a pure function of the state, the time and what it heard of workers.

use std::collections::BTreeMap;

use crate::command::Command;
use crate::id::{UnixMs, VnodeId, WorkerId};
use crate::image::copies;
use crate::model::{Vnode, VnodeWanted, Worker, WorkerStatus};
use crate::place::{Batch, Board, Obstacle};
use crate::snapshot::schedule;
use crate::state::State;
use crate::version;

/// Vnodes placed by one entry at most; the rest follow in the next.
const PLACED_MAX: usize = 500;

/// What the leader keeps in memory only. Heartbeats never reach the log; transitions do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Soft {
    /// When this master became leader: every worker gets one whole timeout from then on.
    pub leader_since: UnixMs,
    /// When each worker was last heard of, through whichever master.
    pub heard: BTreeMap<WorkerId, UnixMs>,
}

/// Everything that is due at `now`, each command independent of the others.
#[must_use]
pub fn due(state: &State, soft: &Soft, now: UnixMs) -> Vec<Command> {
    let mut commands = marks(state, soft, now);
    commands.extend(placements(state));
    commands.extend(expiry(state, now));
    commands.extend(version::due(state));
    commands.extend(copies::due(state, now));
    commands.extend(schedule::due(state, now));
    commands
}

/// Workers whose lease ended, and workers heard of again.
fn marks(state: &State, soft: &Soft, now: UnixMs) -> Vec<Command> {
    let timeout_ms = state
        .settings
        .as_ref()
        .map_or(u64::MAX, |settings| settings.worker_timeout_ms);
    let mark = |worker: &Worker| {
        let heard = soft.heard.get(&worker.id).copied().unwrap_or_default();
        let alive = now.since_ms(heard) <= timeout_ms;
        let since = heard.max(soft.leader_since).max(worker.status_since);
        let status = match worker.status {
            WorkerStatus::Up if now.since_ms(since) > timeout_ms => WorkerStatus::Down,
            WorkerStatus::Down if alive => WorkerStatus::Up,
            WorkerStatus::Up
            | WorkerStatus::Down
            | WorkerStatus::Joined
            | WorkerStatus::Unadmitted => return None,
        };
        Some(Command::MarkWorker {
            worker: worker.id,
            status,
        })
    };
    state.workers.values().filter_map(mark).collect()
}

/// Workers for vnodes that have none. Each choice sees the ones before it.
fn placements(state: &State) -> Option<Command> {
    let waiting = state.unplaced_vnodes();
    let waiting = waiting.filter(|vnode| vnode.wanted == VnodeWanted::Running);
    let waiting: Vec<Vnode> = waiting.take(PLACED_MAX).cloned().collect();
    if waiting.is_empty() {
        return None;
    }
    let Batch { placed, unplaced } = Board::of(state).place_all(&waiting);
    let known = |(id, obstacles): &(VnodeId, Vec<Obstacle>)| {
        state
            .vnodes
            .get(id)
            .is_some_and(|vnode| vnode.obstacles == *obstacles)
    };
    let unplaced: Vec<_> = unplaced.into_iter().filter(|told| !known(told)).collect();
    let any = !placed.is_empty() || !unplaced.is_empty();
    any.then_some(Command::PlaceVnodes { placed, unplaced })
}

fn expiry(state: &State, now: UnixMs) -> Option<Command> {
    let session = state.sessions.values().any(|s| s.expires_at <= now);
    let token = state.join_tokens.values().any(|t| t.expires_at <= now);
    (session || token).then_some(Command::ForgetExpired)
}
