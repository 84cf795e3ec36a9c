//! Workers' leases: a master that hears a worker asks the leader, which answers once it is sure of its quorum.
//!
//! The leader notes that it heard the worker, and asks for a quorum after that. So whoever leads later began to lead
//! later than the worker asked, and gives it a whole timeout from then on: docs/adr/0024. Many workers are asked for at
//! once, and nothing is remembered: a lease that is not granted in time is asked for anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use docklet_control::id::{LogIndex, WorkerId};
use docklet_control::model::WorkerStatus;
use tokio::sync::{Notify, oneshot};

use crate::fault::RaftFault;
use crate::master::Master;
use crate::wire;

/// The next question goes out no sooner than this after the one before.
const GATHER: Duration = Duration::from_millis(20);
/// An answer that takes longer is worth nothing any more.
const DEADLINE: Duration = Duration::from_secs(2);

/// Workers that are to be asked for.
#[derive(Default)]
pub(crate) struct Leases {
    waiting: Mutex<BTreeMap<WorkerId, Vec<oneshot::Sender<LogIndex>>>>,
    news: Notify,
}

impl Leases {
    fn take(&self) -> BTreeMap<WorkerId, Vec<oneshot::Sender<LogIndex>>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut waiting)
    }
}

impl Master {
    /// A worker that this master hears asks for its lease. Answers the entry after which it has it, once this master has
    /// applied that: an assignment that is computed then is one that it may act upon. None if nobody grants it.
    pub async fn lease(&self, worker: WorkerId) -> Option<LogIndex> {
        let (granted, answer) = oneshot::channel();
        {
            let waiting = self.inner.leases.waiting.lock();
            let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            waiting.entry(worker).or_default().push(granted);
        }
        self.inner.leases.news.notify_one();
        let index = answer.await.ok()?;
        self.wait_applied(index, DEADLINE).await.ok()?;
        Some(index)
    }

    /// On the leader: which of these workers have a lease, and the entry after which that is so.
    pub(crate) async fn grant(&self, workers: &[WorkerId]) -> Result<wire::Granted, RaftFault> {
        for worker in workers {
            self.heard(*worker);
        }
        // Only now: what was heard before a leader is sure of its quorum is known to no later one.
        let index = self.read_index_here().await?;
        let frozen = self.wait_applied(index, DEADLINE).await?;
        let up = |id: &&WorkerId| {
            let worker = frozen.state.workers.get(id);
            worker.is_some_and(|worker| worker.status == WorkerStatus::Up)
        };
        Ok(wire::Granted {
            index: frozen.index,
            workers: workers.iter().filter(up).copied().collect(),
        })
    }
}

/// Asks for whoever waits, until aborted.
pub(crate) async fn run(master: Master) {
    loop {
        master.inner.leases.news.notified().await;
        tokio::time::sleep(GATHER).await;
        let waiting = master.inner.leases.take();
        let workers: Vec<WorkerId> = waiting.keys().copied().collect();
        let asked = tokio::time::timeout(DEADLINE, ask(&master, workers)).await;
        match asked {
            Ok(Ok(granted)) => tell(waiting, &granted),
            Ok(Err(fault)) => tracing::debug!(%fault, "leases not granted"),
            Err(_) => tracing::debug!("leases not granted in time"),
        }
    }
}

async fn ask(master: &Master, workers: Vec<WorkerId>) -> Result<wire::Granted, RaftFault> {
    if master.is_leader() {
        return master.grant(&workers).await;
    }
    let ask = wire::Grant(workers);
    master.call_leader(wire::GRANT, &ask, DEADLINE).await
}

fn tell(waiting: BTreeMap<WorkerId, Vec<oneshot::Sender<LogIndex>>>, granted: &wire::Granted) {
    let have: BTreeSet<WorkerId> = granted.workers.iter().copied().collect();
    for (worker, askers) in waiting {
        for asker in askers.into_iter().filter(|_| have.contains(&worker)) {
            // Whoever asked may be gone.
            let _ = asker.send(granted.index);
        }
    }
}
