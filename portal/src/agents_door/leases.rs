//! The lease that one agent asks for, on its way to the leader and back.

use std::future::Future;
use std::pin::Pin;

use docklet_control::id::{LogIndex, WorkerId};
use docklet_raft::Master;

type Asking = Pin<Box<dyn Future<Output = Option<LogIndex>> + Send>>;

/// One question of the agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Renewal {
    pub(super) number: u64,
    /// Whether it has no lease at the moment.
    pub(super) anew: bool,
}

/// The question that is under way, and the last that came meanwhile: those between are of no use any more.
pub(super) struct Leases {
    master: Master,
    worker: WorkerId,
    asking: Option<(Renewal, Asking)>,
    next: Option<Renewal>,
}

impl Leases {
    pub(super) fn new(master: Master, worker: WorkerId) -> Self {
        Self {
            master,
            worker,
            asking: None,
            next: None,
        }
    }

    pub(super) fn ask(&mut self, renewal: Renewal) {
        self.next = Some(renewal);
    }

    /// The next question whose lease is granted; waits for ever if none is. Safe to cancel.
    pub(super) async fn granted(&mut self) -> Renewal {
        loop {
            if self.asking.is_none() {
                let Some(renewal) = self.next.take() else {
                    return std::future::pending().await;
                };
                let (master, worker) = (self.master.clone(), self.worker);
                let asking = async move { master.lease(worker).await };
                self.asking = Some((renewal, Box::pin(asking)));
            }
            let (renewal, asking) = self.asking.as_mut().expect("one was just put there");
            let (renewal, granted) = (*renewal, asking.await);
            self.asking = None;
            if granted.is_some() {
                return renewal;
            }
        }
    }
}
