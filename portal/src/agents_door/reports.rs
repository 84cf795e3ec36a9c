//! What one agent reports, on its way to the log: one after the other, not too many at once.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use docklet_control::id::{RequestId, WorkerId};
use docklet_control::{Actor, Command};
use docklet_raft::{Master, ProposeFault};

/// A report that finds no quorum for so long ends the connection; the agent reports anew on the next.
const DEADLINE: Duration = Duration::from_secs(15);
/// Reports that wait, of one agent.
pub(super) const WAITING_MAX: usize = 32;

type Recording = Pin<Box<dyn Future<Output = Result<(), ProposeFault>> + Send>>;

/// The queue. It takes no memory while nothing waits.
pub(super) struct Reports {
    master: Master,
    worker: WorkerId,
    waiting: VecDeque<(u64, Box<Command>)>,
    /// The number of the report that is being recorded.
    recording: Option<(u64, Recording)>,
}

/// Too many wait.
pub(super) struct Full;

impl Reports {
    pub(super) fn new(master: Master, worker: WorkerId) -> Self {
        Self {
            master,
            worker,
            waiting: VecDeque::new(),
            recording: None,
        }
    }

    /// Adds one; `number` is what the agent calls it.
    pub(super) fn push(&mut self, number: u64, command: Command) -> Result<(), Full> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(Full);
        }
        self.waiting.push_back((number, Box::new(command)));
        Ok(())
    }

    /// The number of the next report that is part of the log, or was refused; waits for ever if none is under way. Safe
    /// to cancel.
    ///
    /// # Errors
    /// It found no quorum in time.
    pub(super) async fn recorded(&mut self) -> Result<u64, ProposeFault> {
        if self.recording.is_none() {
            let Some((number, command)) = self.waiting.pop_front() else {
                return std::future::pending().await;
            };
            if self.waiting.is_empty() {
                self.waiting = VecDeque::new();
            }
            let recording = record(self.master.clone(), self.worker, command);
            self.recording = Some((number, Box::pin(recording)));
        }
        let (number, recording) = self.recording.as_mut().expect("one was just put there");
        let (number, recorded) = (*number, recording.await);
        self.recording = None;
        recorded.map(|()| number)
    }
}

async fn record(
    master: Master,
    worker: WorkerId,
    command: Box<Command>,
) -> Result<(), ProposeFault> {
    let request = RequestId::issued(master.local().index, rand::random());
    let actor = Actor::Worker(worker);
    match master.propose(actor, request, *command, DEADLINE).await {
        Ok(_) => Ok(()),
        // What the log refuses once it refuses always: the agent learns what is wanted by its assignment.
        Err(ProposeFault::Refused(refusal)) => {
            tracing::info!(%worker, %refusal, "report refused");
            Ok(())
        }
        Err(fault @ ProposeFault::Unknown(_)) => Err(fault),
    }
}
