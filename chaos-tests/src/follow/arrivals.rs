//! When followers came to know of changes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use docklet_control::assignment::Assignment;
use docklet_control::id::{LogIndex, VclusterId};
use tokio::sync::watch;

/// The newest assignment with a vnode of a vcluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub index: LogIndex,
    pub at: Instant,
}

/// The arrivals of all vclusters whose vnodes each have one worker.
#[derive(Default)]
pub struct Arrivals(Mutex<HashMap<VclusterId, watch::Sender<Arrival>>>);

impl Arrivals {
    fn lock(&self) -> MutexGuard<'_, HashMap<VclusterId, watch::Sender<Arrival>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a worker was told this just now.
    pub fn note(&self, assignment: &Assignment) {
        let arrival = Arrival {
            index: assignment.index,
            at: Instant::now(),
        };
        let mut all = self.lock();
        for vnode in &assignment.vnodes {
            let newest = all.entry(vnode.vcluster);
            let newest = newest.or_insert_with(|| watch::Sender::new(arrival));
            newest.send_if_modified(|newest| {
                let newer = arrival.index > newest.index;
                if newer {
                    *newest = arrival;
                }
                newer
            });
        }
    }

    /// The vclusters that some worker knows of.
    #[must_use]
    pub fn vclusters(&self) -> Vec<VclusterId> {
        self.lock().keys().copied().collect()
    }

    /// Waits until the worker of a vcluster that some worker knows of was told of this entry.
    ///
    /// # Panics
    /// No worker knows of it.
    pub async fn of(&self, vcluster: VclusterId, index: LogIndex) -> Arrival {
        let known = self.lock().get(&vcluster).map(watch::Sender::subscribe);
        let mut known = known.expect("it was taken from those that are known");
        let arrived = known.wait_for(|arrival| arrival.index >= index).await;
        *arrived.expect("the map keeps its sender")
    }
}
