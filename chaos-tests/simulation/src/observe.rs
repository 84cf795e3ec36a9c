//! What is seen of masters from outside: the changes that each tells its followers, in its order.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docklet_control::Change;
use docklet_control::id::LogIndex;
use docklet_raft::{FollowEnd, Followed, Frozen, Master, OnGap};
use futures_util::StreamExt;

use crate::network::Place;
use crate::trace::Trace;

/// A follower asks again after this when its master is behind.
const BEHIND_WAIT: Duration = Duration::from_millis(20);

/// One step of a follower of a machine's master.
pub struct Observation {
    pub place: Place,
    pub what: Seen,
}

/// What a follower was given.
pub enum Seen {
    /// The next change after an entry.
    Change { after: u64, change: Arc<Change> },
    /// A state, instead of changes that are no longer kept.
    Snapshot(Frozen),
}

/// Where followers stand, and what they saw since somebody looked.
#[derive(Clone, Default)]
pub struct Observations {
    seen: Arc<Mutex<Vec<Observation>>>,
    reached: Arc<Mutex<BTreeMap<Place, u64>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observations {
    /// What is new.
    pub fn take(&self) -> Vec<Observation> {
        std::mem::take(&mut *lock(&self.seen))
    }

    /// A machine that was wiped has told nothing.
    pub fn forget(&self, place: Place) {
        lock(&self.reached).remove(&place);
    }

    /// Up to where the follower of this machine has come.
    pub fn reached(&self, place: Place) -> u64 {
        lock(&self.reached).get(&place).copied().unwrap_or(0)
    }

    /// A follower at `after` was given this; answers where it stands now.
    fn see(&self, place: Place, after: u64, followed: Followed, trace: &Trace) -> u64 {
        let (next, what) = match followed {
            Followed::Change(change) => (change.index.0, Some(Seen::Change { after, change })),
            Followed::Snapshot(frozen) => {
                trace.count("follower: given a state over a gap");
                (frozen.index.0, Some(Seen::Snapshot(frozen)))
            }
            Followed::Skipped(to) => {
                trace.count("follower: told of a gap");
                (to.0, None)
            }
        };
        lock(&self.seen).extend(what.map(|what| Observation { place, what }));
        self.reach(place, next);
        next
    }

    fn reach(&self, place: Place, index: u64) {
        lock(&self.reached).insert(place, index);
    }
}

/// Follows a master from where the last follower of its machine stood, for ever.
pub async fn follow(master: Master, place: Place, observations: Observations, trace: Trace) {
    let on_gap = if place.is_multiple_of(2) {
        OnGap::Snapshot
    } else {
        OnGap::Skip
    };
    loop {
        let mut after = observations.reached(place);
        let mut followed = pin!(master.follow(LogIndex(after), on_gap));
        while let Some(item) = followed.next().await {
            match item {
                Ok(followed) => {
                    after = observations.see(place, after, followed, &trace);
                }
                Err(FollowEnd::Behind { .. }) => {
                    trace.count("follower: asked a master that lags");
                    tokio::time::sleep(BEHIND_WAIT).await;
                }
                // The master stops, or its disk failed; whether everybody gets to the end is seen at the end.
                Err(FollowEnd::Fault(_)) => return,
            }
        }
    }
}

/// A fault with its causes.
pub fn with_causes(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
