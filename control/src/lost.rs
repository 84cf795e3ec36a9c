//! Workers that are lost: when a vnode of one may begin anew on another.
//!
//! A worker has a lease of what its vnodes that shall be restarted elsewhere need to run. The lease counts from when the
//! worker asked for it, by its own clock; the leader grants it only if it was sure of its quorum after it had heard the
//! worker, and the worker is up. It is over before the leader restarts anything, however the clocks drift: docs/adr/0024.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::duties::Soft;
use crate::id::{LogIndex, SteadyMs, VnodeId};
use crate::model::{Vnode, VnodeWanted, Worker, WorkerStatus};
use crate::place::{Batch, Board};
use crate::schedule::command::ScheduleCommand;
use crate::state::State;

/// Vnodes restarted by one entry at most; the rest follow in the next.
const RESTARTED_MAX: usize = 500;
/// A lease lasts so much longer than the silence after which a worker counts as down.
const LEASE_BEYOND_MS: u64 = 3_000;
/// Nothing is restarted for so much longer than that silence, and a fiftieth of it for clocks that drift.
const RESTART_BEYOND_MS: u64 = 6_000;

/// What a worker has to know of its lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fencing {
    /// How long a lease lasts from when it was asked for.
    pub lease_ms: u64,
    /// Vnodes that run only while it lasts, and the entries that ask for that.
    pub vnodes: Vec<(VnodeId, LogIndex)>,
}

/// Silence after which a worker is marked as down. One that hears nobody any more is heard once more after that began, and the
/// entry that says so takes its time, too.
#[must_use]
pub fn silence_ms(state: &State) -> u64 {
    silence_of(timeout_ms(state))
}

/// How long after a fault that makes it silent, of whatever kind, a worker is to be marked as down.
#[must_use]
pub fn down_ms(state: &State) -> u64 {
    down_of(timeout_ms(state))
}

/// Silence after which what a worker ran under its lease has certainly ended.
#[must_use]
pub fn restart_ms(state: &State) -> u64 {
    let timeout_ms = timeout_ms(state);
    timeout_ms.saturating_add(RESTART_BEYOND_MS + timeout_ms / 50)
}

fn silence_of(timeout_ms: u64) -> u64 {
    timeout_ms - timeout_ms / 5
}

fn down_of(timeout_ms: u64) -> u64 {
    timeout_ms - timeout_ms / 10
}

fn timeout_ms(state: &State) -> u64 {
    let settings = state.settings.as_ref();
    settings.map_or(u64::MAX / 2, |settings| settings.worker_timeout_ms)
}

/// What the worker of these vnodes has to know of its lease.
pub(crate) fn fencing(state: &State, vnodes: &[&Vnode]) -> Fencing {
    let fenced = vnodes
        .iter()
        .filter_map(|vnode| Some((vnode.id, state.fence_wanted(vnode)?)));
    let vnodes: Vec<_> = fenced.collect();
    let lease_ms = match vnodes.is_empty() {
        true => 0,
        false => timeout_ms(state).saturating_add(LEASE_BEYOND_MS),
    };
    Fencing { lease_ms, vnodes }
}

/// Whether a vnode begins anew elsewhere if its worker is lost. What its disk is being made of, or is being made of its
/// disk, is on that worker only: then it waits.
#[must_use]
pub fn is_restartable(state: &State, vnode: &Vnode) -> bool {
    let copies = state.snapshot_copies.contains_key(&vnode.id);
    let copied = state.copies_from(vnode.id).next().is_some();
    // What it was before it came is still where it came from.
    let moves = state.open_move(vnode.id).is_some();
    let bound = copies || copied || moves;
    vnode.wanted == VnodeWanted::Running && state.is_fenced(vnode) && !bound
}

/// Vnodes of lost workers that can be elsewhere.
pub(crate) fn due(state: &State, soft: &Soft, now: SteadyMs) -> Vec<Command> {
    let lost = state.workers.values().filter(|worker| {
        let down = worker.status == WorkerStatus::Down;
        down && soft.silent_ms(worker.id, now) > restart_ms(state)
    });
    lost.filter_map(|worker| restart(state, worker)).collect()
}

fn restart(state: &State, worker: &Worker) -> Option<Command> {
    let there = state.vnodes_on(worker.id);
    let there = there.filter(|vnode| is_restartable(state, vnode));
    let there: Vec<Vnode> = there.take(RESTARTED_MAX).cloned().collect();
    if there.is_empty() {
        return None;
    }
    let mut board = Board::of(state);
    for vnode in &there {
        board.take_off(vnode.id);
    }
    let Batch { placed, .. } = board.place_all(&there);
    (!placed.is_empty()).then(|| {
        Command::Schedule(ScheduleCommand::RestartLost {
            worker: worker.id,
            down_since: worker.status_since,
            placed,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent_wire::{HEARTBEAT_MS, MASTER_SILENCE_MS_MAX};

    /// A master that does not lead passes on what it heard this often.
    const PASSED_ON_MS: u64 = 1_000;

    #[test]
    fn who_hears_nobody_is_down_in_time_and_who_leaves_a_silent_master_is_not() {
        let timeout_ms = 5_000;
        let silence_ms = silence_of(timeout_ms);
        assert!(HEARTBEAT_MS + silence_ms <= down_of(timeout_ms));
        // What it dials next takes some of the rest.
        let heard_elsewhere_ms = MASTER_SILENCE_MS_MAX + PASSED_ON_MS;
        assert!(heard_elsewhere_ms + HEARTBEAT_MS <= silence_ms);
    }
}
