//! Runs the leader's duties: whenever the state changes, and when a worker has been silent for too long, what is due is
//! proposed. A master that does not lead passes on the heartbeats that it heard.

use std::sync::PoisonError;
use std::time::Duration;

use docklet_control::Actor;
use docklet_control::duties::{Soft, due, next_ms};
use docklet_control::id::{RequestId, SteadyMs};

use crate::master::Master;
use crate::wire;

/// Looks for what time alone makes due.
const TICK: Duration = Duration::from_secs(1);
/// A duty's proposal is given up after this; it is proposed anew if still due.
const PROPOSAL_DEADLINE: Duration = Duration::from_secs(5);

/// Runs until aborted.
pub async fn run(master: Master) {
    let mut states = master.watch();
    loop {
        let leads = master.is_leader();
        if leads {
            propose_due(&master).await;
        }
        let pause = pause(&master, leads);
        let changed = states.changed();
        if let Ok(Err(_)) = tokio::time::timeout(pause, changed).await {
            return;
        }
    }
}

fn soft<T>(master: &Master, with: impl FnOnce(&mut Soft) -> T) -> T {
    let mut soft = master
        .inner
        .soft
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    with(&mut soft)
}

/// Until when nothing is due unless the state changes.
fn pause(master: &Master, leads: bool) -> Duration {
    if !leads {
        return TICK;
    }
    let (frozen, now) = (master.local(), master.steady());
    let next_ms = soft(master, |soft| next_ms(&frozen.state, soft, now));
    next_ms.map_or(TICK, |ms| Duration::from_millis(ms).min(TICK))
}

/// Proposes one after the other. Each is decided anew against the state of its moment.
async fn propose_due(master: &Master) {
    let (term, frozen, now) = (master.term(), master.local(), master.steady());
    let heard = soft(master, |soft| {
        soft.lead(term, now);
        soft.observe(&frozen.state, now);
        soft.clone()
    });
    for command in due(&frozen.state, &heard, master.now(), now) {
        if !master.is_leader() {
            return;
        }
        let (name, request) = (
            command.name(),
            RequestId::issued(frozen.index, rand::random()),
        );
        let proposed = master
            .propose(Actor::Duty, request, command, PROPOSAL_DEADLINE)
            .await;
        if let Err(fault) = proposed {
            tracing::warn!(command = name, %fault, "a duty's proposal had no effect");
        }
    }
}

/// Passes heartbeats on to the leader, once a second, until aborted.
pub async fn forward_heard(master: Master) {
    let mut reported = SteadyMs(0);
    loop {
        tokio::time::sleep(TICK).await;
        let at = master.steady();
        let heard: Vec<_> = soft(&master, |soft| {
            soft.wake(at);
            let fresh = soft.heard.iter().filter(|(_, heard)| **heard > reported);
            fresh
                .map(|(worker, heard)| (*worker, at.since_ms(*heard)))
                .collect()
        });
        if master.is_leader() || heard.is_empty() {
            continue;
        }
        match tell_leader(&master, wire::Heard(heard)).await {
            Ok(()) => reported = at,
            Err(fault) => tracing::debug!(%fault, "heartbeats not passed on yet"),
        }
    }
}

async fn tell_leader(master: &Master, heard: wire::Heard) -> Result<(), crate::RaftFault> {
    master.call_leader(wire::HEARD, &heard, TICK).await
}

/// Takes in heartbeats that another master heard.
pub fn take_heard(master: &Master, wire::Heard(heard): wire::Heard) {
    let at = master.steady();
    soft(master, |soft| {
        for (worker, ms_ago) in heard {
            let when = SteadyMs(at.0.saturating_sub(ms_ago));
            let known = soft.heard.entry(worker).or_default();
            *known = when.max(*known);
        }
    });
}
