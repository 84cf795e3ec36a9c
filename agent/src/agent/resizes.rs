//! The loop's part in limits of vnodes that run: what is under way, what waits, and what the masters were told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use docklet_control::amount::VnodeSize;
use docklet_control::assignment::Assignment;
use docklet_control::id::VnodeId;
use docklet_control::report::ResizeReport;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Agent, Done, perform};
use crate::host::{Act, Host, Observation};
use crate::plan::{self, Plan};

/// What could not be done is tried again after this time: memory may be free by then.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Longest cause that is told, in characters.
const CAUSE_MAX: usize = 200;

/// What the loop remembers between two looks.
#[derive(Default)]
pub(super) struct Resizes {
    busy: BTreeSet<VnodeId>,
    waiting: BTreeMap<VnodeId, Waiting>,
    told: BTreeMap<VnodeId, ResizeReport>,
}

/// An attempt that came to nothing.
struct Waiting {
    size: VnodeSize,
    retry_at: Instant,
    cause: String,
}

impl Resizes {
    /// Whether limits of a vnode are being changed.
    pub(super) fn is_busy(&self, id: VnodeId) -> bool {
        self.busy.contains(&id)
    }

    /// A new connection may be to a master that knows less.
    pub(super) fn tell_anew(&mut self) {
        self.told.clear();
    }

    pub(super) fn settle(&mut self, id: VnodeId, size: VnodeSize, cause: Option<String>) {
        self.busy.remove(&id);
        let waiting = cause.map(|cause| Waiting {
            size,
            retry_at: Instant::now() + RETRY_AFTER,
            cause,
        });
        match waiting {
            Some(waiting) => self.waiting.insert(id, waiting),
            None => self.waiting.remove(&id),
        };
    }

    /// What the masters do not know yet and were not told.
    pub(super) fn news(&mut self, wanted: &Assignment, seen: &Observation) -> Vec<ResizeReport> {
        let assigned = |id: &VnodeId| wanted.resizes.iter().any(|resize| resize.vnode == *id);
        self.told.retain(|id, _| assigned(id));
        let waiting = self.waiting.iter();
        let causes = waiting.map(|(id, waiting)| (*id, waiting.cause.clone()));
        let mut news = plan::resizes::reports(wanted, seen, &causes.collect());
        news.retain(|report| {
            let before = self.told.insert(report.vnode, report.clone());
            before.as_ref() != Some(report)
        });
        news
    }

    fn waits(&self, id: VnodeId, size: VnodeSize) -> bool {
        let waiting = self.waiting.get(&id);
        waiting.is_some_and(|waiting| waiting.size == size && Instant::now() < waiting.retry_at)
    }
}

impl<H: Host> Agent<H> {
    /// Begins what is to be done about limits of vnodes that are not in motion.
    pub(super) fn begin_resizes(&mut self, plan: &Plan, done: &mpsc::Sender<Done>) {
        self.resizes
            .waiting
            .retain(|id, _| plan.resizes.contains_key(id));
        for act in plan.resizes.values() {
            let Act::Resize(id, size) = *act else {
                continue;
            };
            let waits = self.busy.contains(&id) || self.resizes.waits(id, size);
            if waits || !self.resizes.busy.insert(id) {
                continue;
            }
            let (host, turns, done) = (self.host.clone(), self.turns.clone(), done.clone());
            tokio::spawn(async move {
                // The semaphore is never closed.
                let _turn = turns.acquire().await;
                let performed = perform(host, Act::Resize(id, size)).await;
                let cause = performed.err().map(|(step, cause)| {
                    tracing::warn!(step, cause, "act failed, it is tried again");
                    cause.chars().take(CAUSE_MAX).collect()
                });
                // The loop is gone only when the process ends.
                drop(done.send(Done::Resize(id, size, cause)).await);
            });
        }
    }
}
