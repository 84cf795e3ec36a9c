//! What the leader must propose of itself: a pure function of the state, the time and what it heard of workers.

use std::collections::BTreeMap;

use crate::account;
use crate::bean;
use crate::command::Command;
use crate::drain;
use crate::id::{SteadyMs, UnixMs, VnodeId, WorkerId};
use crate::idle;
use crate::image::copies;
use crate::lost;
use crate::model::{Vnode, VnodeWanted, Worker, WorkerStatus};
use crate::moves;
use crate::notice;
use crate::place::{Batch, Board, Obstacle};
use crate::rebalance;
use crate::snapshot::schedule;
use crate::state::State;
use crate::terminal;
use crate::trash;
use crate::version;

/// Vnodes placed by one entry at most; the rest follow in the next.
const PLACED_MAX: usize = 500;

/// A master that finds itself not to have looked at its clock for so long was stopped: it heard nobody meanwhile.
const ASLEEP_MS: u64 = 2_500;

/// What the leader keeps in memory only. Heartbeats never reach the log; transitions do. Its times are by a clock that
/// nobody sets: how long a worker has been silent must not depend on what time it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Soft {
    /// When this master became leader, or could hear again: every worker gets one whole timeout from then on.
    pub leader_since: SteadyMs,
    /// When each worker was last heard of, through whichever master.
    pub heard: BTreeMap<WorkerId, SteadyMs>,
    /// When each worker was first seen to be up, with the stamp that says since when it is.
    up: BTreeMap<WorkerId, (UnixMs, SteadyMs)>,
    /// When this master last looked at its clock.
    awake: SteadyMs,
    /// When this master last looked at how evenly workers are loaded, and whether it does now.
    balance_at: Option<SteadyMs>,
    looks_at_balance: bool,
    /// The term in which it leads: in one between two of its own another may have heard what it has not.
    term: u64,
}

impl Soft {
    /// Of a master that leads since then, and has heard of nobody.
    #[must_use]
    pub fn leading(since: SteadyMs) -> Self {
        Self {
            leader_since: since,
            awake: since,
            ..Self::default()
        }
    }

    /// This master leads in that term.
    pub fn lead(&mut self, term: u64, now: SteadyMs) {
        if self.term != term {
            self.leader_since = now;
            self.term = term;
        }
    }

    /// Looks at the clock; to be called more often than every other second.
    pub fn wake(&mut self, now: SteadyMs) {
        if now.since_ms(self.awake) > ASLEEP_MS {
            self.leader_since = now;
        }
        self.awake = now;
    }

    /// Looks at who is up, before anything is found to be due: somebody who has just come up may not have been heard of.
    pub fn observe(&mut self, state: &State, now: SteadyMs) {
        self.wake(now);
        self.look_at_balance(state, now);
        for worker in state.workers.values() {
            if worker.status == WorkerStatus::Up {
                let known = self.up.entry(worker.id);
                let known = known.or_insert((worker.status_since, now));
                if known.0 != worker.status_since {
                    *known = (worker.status_since, now);
                }
            } else {
                self.up.remove(&worker.id);
            }
        }
    }

    /// Not with every state: all promises of the cluster are counted for it.
    fn look_at_balance(&mut self, state: &State, now: SteadyMs) {
        let row = state.rebalance.as_ref();
        let wanted = row.is_some_and(|row| row.policy.enabled);
        let ago_ms = self.balance_at.map(|at| now.since_ms(at));
        let long_ago = ago_ms.is_none_or(|ms| ms >= rebalance::due::LOOK_EVERY_MS);
        self.looks_at_balance = wanted && long_ago;
        if self.looks_at_balance {
            self.balance_at = Some(now);
        }
    }

    /// For how long nothing was heard of a worker that should have been.
    #[must_use]
    pub fn silent_ms(&self, worker: WorkerId, now: SteadyMs) -> u64 {
        let heard = self.heard.get(&worker).copied().unwrap_or_default();
        let up = self.up.get(&worker).map(|(_, at)| *at).unwrap_or_default();
        now.since_ms(heard.max(up).max(self.leader_since))
    }
}

/// Everything that is due at `now`, each command independent of the others. `steady` is the same moment by the clock of
/// `soft`.
#[must_use]
pub fn due(state: &State, soft: &Soft, now: UnixMs, steady: SteadyMs) -> Vec<Command> {
    let mut commands = marks(state, soft, steady);
    commands.extend(lost::due(state, soft, steady));
    commands.extend(placements(state));
    commands.extend(expiry(state, now));
    commands.extend(version::due(state));
    commands.extend(copies::due(state, now));
    commands.extend(schedule::due(state, now));
    commands.extend(moves::due::due(state, now));
    commands.extend(drain::due::due(state, now));
    commands.extend(account::due::due(state, now));
    commands.extend(trash::due::due(state, now));
    commands.extend(idle::due::due(state, now));
    commands.extend(notice::due::due(state, now));
    commands.extend(bean::due::due(state, now));
    commands.extend(terminal::due::due(state, now));
    if soft.looks_at_balance {
        commands.extend(rebalance::due::due(state, now));
    }
    commands
}

/// In how many milliseconds something may be due of a worker that stays silent; none if nothing will.
#[must_use]
pub fn next_ms(state: &State, soft: &Soft, now: SteadyMs) -> Option<u64> {
    let of = |worker: &Worker| {
        let bound_ms = match worker.status {
            WorkerStatus::Up => lost::silence_ms(state),
            WorkerStatus::Down => lost::restart_ms(state),
            WorkerStatus::Joined | WorkerStatus::Unadmitted => return None,
        };
        let left_ms = bound_ms.checked_sub(soft.silent_ms(worker.id, now));
        left_ms.map(|left_ms| left_ms + 1)
    };
    state.workers.values().filter_map(of).min()
}

/// Workers that are lost, and workers heard of again.
fn marks(state: &State, soft: &Soft, now: SteadyMs) -> Vec<Command> {
    let bound_ms = lost::silence_ms(state);
    let mark = |worker: &Worker| {
        let heard = soft.heard.get(&worker.id);
        let alive = heard.is_some_and(|heard| now.since_ms(*heard) <= bound_ms);
        let status = match worker.status {
            WorkerStatus::Up if soft.silent_ms(worker.id, now) > bound_ms => WorkerStatus::Down,
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
