//! Which vnodes leave this worker, and to whom: the agent's loop says it, and the data port gives their files to nobody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use docklet_control::id::{LogIndex, VnodeId, WorkerId};
use tokio::sync::watch;

use super::MEMORY_ROUNDS_MAX;

/// Rounds of memory that are begun for one move, in all its conversations: the vnode stands still a moment for each, whoever
/// asks for them and whatever becomes of them.
const ROUNDS_BEGUN_MAX: u32 = 4 * MEMORY_ROUNDS_MAX;

/// A vnode that is on its way to another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// By which the move is known.
    pub number: LogIndex,
    /// The worker to which it moves.
    pub to: WorkerId,
    /// Its container is stopped and its disk unmounted: nothing writes to its files any more. It is taken back before anything writes again.
    pub still: bool,
}

/// All of them. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Departures {
    known: watch::Sender<BTreeMap<VnodeId, Departure>>,
    /// How many rounds of memory were begun for each.
    begun: Arc<Mutex<BTreeMap<Leave, u32>>>,
}

impl Departures {
    /// These leave from now on, and no others.
    pub fn learn(&self, departures: BTreeMap<VnodeId, Departure>) {
        self.known.send_if_modified(|known| {
            let changed = *known != departures;
            *known = departures;
            changed
        });
    }

    /// This vnode leaves so from now on.
    pub fn set(&self, vnode: VnodeId, departure: Departure) {
        self.known
            .send_if_modified(|known| known.insert(vnode, departure) != Some(departure));
    }

    /// This vnode does not leave any more: whoever is being given its files gets nothing further.
    pub fn end(&self, vnode: VnodeId) {
        self.known
            .send_if_modified(|known| known.remove(&vnode).is_some());
    }

    /// All that leave.
    #[must_use]
    pub fn all(&self) -> BTreeMap<VnodeId, Departure> {
        self.known.borrow().clone()
    }

    /// Whether a vnode leaves by this move to this worker.
    #[must_use]
    pub fn leads(&self, leave: Leave) -> bool {
        self.find(leave).is_some()
    }

    /// Whether it does, and its files stand still.
    pub(crate) fn is_still(&self, leave: Leave) -> bool {
        self.find(leave).is_some_and(|departure| departure.still)
    }

    fn find(&self, leave: Leave) -> Option<Departure> {
        leave.among(&self.known.borrow())
    }

    /// Counts that a round of memory is begun for a move; answers whether there may be one more.
    pub(crate) fn begins_round(&self, leave: Leave) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|one, _| self.leads(*one));
        let count = begun.entry(leave).or_default();
        *count += 1;
        *count <= ROUNDS_BEGUN_MAX
    }

    /// Waits until its files stand still.
    pub(crate) async fn stillness_of(&self, leave: Leave) {
        self.wait(|known| leave.among(known).is_some_and(|departure| departure.still))
            .await;
    }

    /// Waits until its files do not stand still any more.
    pub(crate) async fn motion_of(&self, leave: Leave) {
        self.wait(|known| leave.among(known).is_none_or(|departure| !departure.still))
            .await;
    }

    /// Waits until it does not leave so any more.
    pub(crate) async fn end_of(&self, leave: Leave) {
        self.wait(|known| leave.among(known).is_none()).await;
    }

    async fn wait(&self, holds: impl Fn(&BTreeMap<VnodeId, Departure>) -> bool) {
        let mut known = self.known.subscribe();
        if known.wait_for(|known| holds(known)).await.is_err() {
            std::future::pending().await
        }
    }
}

/// A vnode, a move of it, and the worker to which that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leave {
    pub vnode: VnodeId,
    pub number: LogIndex,
    pub to: WorkerId,
}

impl Leave {
    fn among(self, known: &BTreeMap<VnodeId, Departure>) -> Option<Departure> {
        let found = known.get(&self.vnode).copied();
        found.filter(|departure| departure.number == self.number && departure.to == self.to)
    }
}
