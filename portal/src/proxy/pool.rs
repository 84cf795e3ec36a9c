//! Connections to services that wait for the next request. They are one person's to one service: what somebody's request
//! left in one can never come to somebody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::id::{Epoch, ServiceId, UserId};

use super::line::Line;

/// Whose connections to what: a placement's are none of the next one.
pub(crate) type Key = (UserId, ServiceId, Epoch);

/// One that waits longer is closed.
const IDLE_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// So many wait for one person and service: as many as a busy program has open, so that none of its requests has to begin one.
const IDLE_PER_KEY_MAX: usize = 256;
/// And so many of all; each is a connection to a worker, and one from there into a vnode.
const IDLE_MAX_OF_ALL: usize = 4_096;

struct Idle {
    line: Line,
    since: Instant,
}

#[derive(Default)]
struct Waiting {
    of: HashMap<Key, Vec<Idle>>,
    all: usize,
}

/// All of them; clones are the same pool.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Waiting>>);

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last.
    pub(super) fn take(&self, key: Key) -> Option<Line> {
        let mut pool = self.lock();
        let idle = pool.of.get_mut(&key)?.pop()?;
        pool.all -= 1;
        // Those before it have waited longer: they go with the next sweep.
        (idle.since.elapsed() < IDLE_MAX).then_some(idle.line)
    }

    pub(super) fn give(&self, key: Key, line: Line) {
        let mut pool = self.lock();
        if pool.all >= IDLE_MAX_OF_ALL {
            return;
        }
        let waiting = pool.of.entry(key).or_default();
        if waiting.len() < IDLE_PER_KEY_MAX {
            let since = Instant::now();
            waiting.push(Idle { line, since });
            pool.all += 1;
        }
    }

    /// Closes what waits too long, until dropped.
    pub(crate) async fn sweep(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let mut closed = Vec::new();
            let mut pool = self.lock();
            pool.of.retain(|_, waiting| {
                let late = waiting.partition_point(|idle| idle.since.elapsed() >= IDLE_MAX);
                closed.extend(waiting.drain(..late));
                !waiting.is_empty()
            });
            pool.all -= closed.len();
            // Closing them takes a while, in which others take and give.
            drop(pool);
            drop(closed);
        }
    }
}
