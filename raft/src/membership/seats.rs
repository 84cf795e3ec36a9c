//! What the leader observes of the members: who votes, who answers, who lacks what, and for how long that has been so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use docklet_control::Refusal;
use docklet_control::id::MasterId;
use docklet_control::model::Autopilot;
use docklet_control::quorum::Seat;
use openraft::{Instant as _, RaftMetrics};
use tokio::time::Instant;

use crate::master::Master;
use crate::types::Types;

/// Twice the time after which a silent master counts as out of reach.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the leader remembers of the members from one look to the next. It is soft state, gone with the leadership.
#[derive(Default)]
pub struct Watched(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    leading_since: Option<Instant>,
    /// Since when each has followed closely.
    steady_since: BTreeMap<u64, Instant>,
}

impl Master {
    /// The members as this master sees them at this moment; nobody if it does not lead.
    pub(crate) fn seats(&self) -> Vec<Seat> {
        let metrics = self.metrics();
        let mut memory = self
            .inner
            .watched
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !self.is_leader() {
            *memory = Memory::default();
            return Vec::new();
        }
        let policy = self.local().state.autopilot();
        memory.look(&metrics, policy)
    }

    /// What is seen when nothing is refused for it; or the refusal that remains. A master that seems to be out of
    /// reach is given a moment: the leader counts anew whenever members change.
    pub(super) async fn look_patiently(
        &self,
        refused: impl Fn(&[Seat]) -> Option<Refusal>,
    ) -> Result<Vec<Seat>, Refusal> {
        let give_up = Instant::now() + LOOK_AGAIN;
        loop {
            let seats = self.seats();
            match refused(&seats) {
                None => return Ok(seats),
                Some(Refusal::QuorumAtRisk { .. } | Refusal::CannotLead { .. })
                    if Instant::now() < give_up =>
                {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Some(refusal) => return Err(refusal),
            }
        }
    }
}

impl Memory {
    fn look(&mut self, metrics: &RaftMetrics<Types>, policy: Autopilot) -> Vec<Seat> {
        let now = Instant::now();
        let leading_since = *self.leading_since.get_or_insert(now);
        let leading_ms = millis(now - leading_since);
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let mut seats = Vec::new();
        for (id, _) in membership.nodes() {
            let leads = *id == metrics.id;
            let mut seat = Seat {
                master: MasterId(*id),
                voter: voters.contains(id),
                leads,
                silent_ms: if leads {
                    0
                } else {
                    silent_ms(metrics, *id, leading_ms, policy)
                },
                lag: if leads { 0 } else { lag(metrics, *id) },
                steady_ms: 0,
            };
            if seat.follows_closely(policy) {
                let since = *self.steady_since.entry(*id).or_insert(now);
                seat.steady_ms = millis(now - since);
            } else {
                self.steady_since.remove(id);
            }
            seats.push(seat);
        }
        seats
    }
}

/// Who has not answered this leader at all is out of reach, and silent for no longer than this leader has led.
fn silent_ms(metrics: &RaftMetrics<Types>, id: u64, leading_ms: u64, policy: Autopilot) -> u64 {
    let answered = metrics
        .heartbeat
        .as_ref()
        .and_then(|all| all.get(&id).copied().flatten());
    match answered {
        Some(at) => millis(at.elapsed()),
        None => leading_ms.max(policy.contact_ms + 1),
    }
}

fn lag(metrics: &RaftMetrics<Types>, id: u64) -> u64 {
    let matched = metrics
        .replication
        .as_ref()
        .and_then(|all| all.get(&id).copied().flatten());
    let matched = matched.map_or(0, |log_id| log_id.index());
    metrics.last_log_index.unwrap_or(0).saturating_sub(matched)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
