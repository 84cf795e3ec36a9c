//! The link to the masters: dials one, follows the assignment, sends reports and heartbeats; when it breaks, tries
//! the next. The agent never goes back: a master that knows less than the agent has seen is left again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use docklet_control::agent_wire::{FromAgent, HEARTBEAT_MS, MASTER_SILENCE_MS_MAX, ToAgent};
use docklet_control::assignment::Assignment;
use docklet_control::id::{Digest, LogIndex, WorkerId};
use docklet_control::idle::command::IdleReport;
use docklet_control::model::{VnodeFence, WorkerFacts};
use docklet_control::report::{
    MoveReport, Reading, ResizeReport, SaveReport, SnapshotReport, VnodeReport,
};
use docklet_link::dial::Dialled;
use docklet_link::identity::PeerRole;
use docklet_link::tls::Expect;
use docklet_link::{Dialer, LinkFault, Purpose};
use rand::seq::SliceRandom;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::certificate::Renewal;
use crate::config::AgentConfig;
use crate::drill::Drills;
use crate::fault::AgentFault;
use crate::lease::Lease;
use crate::lease::renewals::Renewals;
use crate::members::Members;

/// With a certificate that has ended, masters are dialled this often.
const ENDED_PAUSE_MS: u64 = 10_000;

/// What the loop tells the link.
#[derive(Clone, Debug)]
pub enum Tell {
    /// Transitions of vnodes.
    Reports(Vec<VnodeReport>),
    /// An image is here now, or no longer.
    Image(Digest, bool),
    /// What became of a save.
    Save(SaveReport),
    /// What became of snapshots and restores.
    Snapshots(Vec<SnapshotReport>),
    /// What became of new limits.
    Resizes(Vec<ResizeReport>),
    /// Whether processes can be taken along when a vnode moves.
    Checkpointing(Result<String, String>),
    /// What became of moves.
    Moves(Vec<MoveReport>),
    /// Vnodes that are ended when the lease is.
    Fences(Vec<VnodeFence>),
    /// What vnodes have used.
    Readings(Vec<Reading>),
    /// Vnodes that do nothing.
    Idle(Vec<IdleReport>),
}

/// What the link tells the loop.
#[derive(Debug)]
pub enum Told {
    /// A new connection: everything must be reported anew.
    Connected,
    /// A newer assignment.
    Assignment(Box<Assignment>),
    /// A lease that was asked for anew at this time is granted: for the assignment that was told before this.
    Lease { sent_ms: u64 },
}

/// The link's own state.
pub struct MasterLink {
    pub config: AgentConfig,
    pub members: Members,
    pub lease: Arc<Lease>,
    /// What this worker is and has, as of now.
    pub facts: watch::Receiver<WorkerFacts>,
    /// Digests of images here, as of now.
    pub images: watch::Receiver<Vec<Digest>>,
    pub told: mpsc::Sender<Told>,
    pub tell: mpsc::Receiver<Tell>,
    /// The newest assignment, also from before a restart.
    pub known: Option<Assignment>,
    /// What it has to do with drills.
    pub(crate) drills: Drills,
    /// Its own certificate.
    pub(crate) renewal: Renewal,
}

impl MasterLink {
    /// Keeps a connection to some master until the loop is gone.
    pub async fn run(mut self) {
        let dialer = self.config.dialer();
        let mut left = String::new();
        while !self.told.is_closed() {
            for addr in self.addresses(&left) {
                match self.follow(&dialer, &addr).await {
                    Ok(()) => return,
                    Err(fault) => tracing::info!(%addr, %fault, "link to master ended"),
                }
                left = addr;
            }
            let ended = self.renewal.tell();
            // Masters that refuse it are asked now and then: it may be their clocks that are wrong.
            let longest_ms = if ended { ENDED_PAUSE_MS } else { 600 };
            let pause_ms = rand::random_range(longest_ms / 6..longest_ms);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }

    /// All masters that are known, in an order of its own, so that agents spread over them; the one that was left is the last.
    fn addresses(&self, left: &str) -> Vec<String> {
        let known = self.known.iter().flat_map(|known| known.masters.clone());
        let mut addresses: Vec<String> = known.chain(self.config.masters.clone()).collect();
        addresses.sort();
        addresses.dedup();
        addresses.shuffle(&mut rand::rng());
        addresses.sort_by_key(|addr| addr == left);
        addresses
    }

    fn index(&self) -> LogIndex {
        self.known.as_ref().map_or(LogIndex(0), |known| known.index)
    }

    /// Follows one master until the link breaks; ends well only when the loop is gone.
    async fn follow(&mut self, dialer: &Dialer, addr: &str) -> Result<(), LinkFault> {
        let expect = Expect::Role(PeerRole::Master);
        let (peer, mut channel) = dialer.dial_known(addr, expect, Purpose::Agent).await?;
        if self.members.was_removed(&peer) {
            let text = format!("master {} was removed from the cluster", peer.id);
            return Err(LinkFault::Remote(text));
        }
        let facts = self.facts.borrow_and_update().clone();
        let hello = FromAgent::Hello {
            worker: WorkerId(self.config.credentials.identity.id),
            facts,
            assignment: self.index(),
            images: self.images.borrow_and_update().clone(),
        };
        channel.send(&hello).await?;
        self.drills.connected();
        if self.told.send(Told::Connected).await.is_err() {
            return Ok(());
        }
        let mut heartbeats = tokio::time::interval(Duration::from_millis(HEARTBEAT_MS));
        let mut given_up_at = give_up_at();
        let mut number = 0;
        let mut renewals = Renewals::new(self.lease.clone());
        let lease = self.lease.clone();
        loop {
            tokio::select! {
                message = recv_by(given_up_at, &mut channel) => {
                    let message = message?;
                    given_up_at = give_up_at();
                    if message == ToAgent::Alive
                        && let Some(late) = renewals.heard()?
                    {
                        channel.send(&late).await?;
                    }
                    if let ToAgent::Lease { number } = message
                        && !renewals.granted(number, &self.told).await
                    {
                        return Ok(());
                    }
                    if !self.take(message).await? {
                        return Ok(());
                    }
                }
                () = lease.comes_to_be_needed() => channel.send(&renewals.heartbeat()?).await?,
                Ok(()) = self.facts.changed() => {
                    // A master that is too old to know this ends the connection, and is told by the next hello.
                    let facts = self.facts.borrow_and_update().clone();
                    channel.send(&FromAgent::Facts(facts)).await?;
                }
                (drill, fault) = self.drills.done() => {
                    channel.send(&FromAgent::DrillDone { drill, fault }).await?;
                }
                () = self.renewal.due() => channel.send(&self.renewal.ask()?).await?,
                _ = heartbeats.tick() => {
                    if let Some(heartbeat) = renewals.due()? {
                        channel.send(&heartbeat).await?;
                    }
                }
                tell = self.tell.recv() => match tell {
                    None => return Ok(()),
                    Some(Tell::Reports(reports)) => {
                        number += 1;
                        channel.send(&FromAgent::Report { number, reports }).await?;
                    }
                    Some(Tell::Image(digest, held)) => {
                        channel.send(&FromAgent::Image { digest, held }).await?;
                    }
                    Some(Tell::Save(report)) => channel.send(&FromAgent::Save(report)).await?,
                    Some(Tell::Snapshots(reports)) => {
                        channel.send(&FromAgent::Snapshots(reports)).await?;
                    }
                    Some(Tell::Resizes(reports)) => {
                        channel.send(&FromAgent::Resizes(reports)).await?;
                    }
                    Some(Tell::Checkpointing(able)) => {
                        channel.send(&FromAgent::Checkpointing(able)).await?;
                    }
                    Some(Tell::Moves(reports)) => {
                        channel.send(&FromAgent::Moves(reports)).await?;
                    }
                    Some(Tell::Readings(readings)) => {
                        channel.send(&FromAgent::Readings(readings)).await?;
                    }
                    Some(Tell::Idle(idle)) => {
                        channel.send(&FromAgent::Idle(idle)).await?;
                    }
                    Some(Tell::Fences(fences)) => {
                        channel.send(&FromAgent::Fences(fences)).await?;
                    }
                },
            }
        }
    }

    /// Takes one message; answers whether the loop still listens.
    async fn take(&mut self, message: ToAgent) -> Result<bool, LinkFault> {
        match message {
            ToAgent::Assignment(assignment) if assignment.index >= self.index() => {
                self.members.learn(&assignment);
                let around = Dialer::new(self.config.credentials.clone());
                let masters = assignment.masters.clone();
                self.drills
                    .take(assignment.drill, &self.config.gate, &around, masters);
                self.known = Some((*assignment).clone());
                Ok(self.told.send(Told::Assignment(assignment)).await.is_ok())
            }
            ToAgent::Certificate(answer) => {
                self.renewal.take(answer).await;
                Ok(true)
            }
            ToAgent::Assignment(_)
            | ToAgent::Recorded { .. }
            | ToAgent::Alive
            | ToAgent::DrillPulse { .. }
            | ToAgent::Lease { .. } => Ok(true),
            ToAgent::Resync { reason } => Err(LinkFault::Remote(reason)),
            ToAgent::Behind { applied } => Err(LinkFault::Remote(format!(
                "it has applied entry {applied}, this agent has seen {}",
                self.index()
            ))),
        }
    }
}

/// When a master that was just heard is given up.
fn give_up_at() -> Instant {
    Instant::now() + Duration::from_millis(MASTER_SILENCE_MS_MAX)
}

async fn recv_by(given_up_at: Instant, channel: &mut Dialled) -> Result<ToAgent, LinkFault> {
    tokio::time::timeout_at(given_up_at, channel.recv())
        .await
        .map_err(|_| LinkFault::Deadline(MASTER_SILENCE_MS_MAX))?
}

/// Keeps an assignment for a start without masters.
///
/// # Errors
/// The file cannot be written.
pub fn store(path: &Path, assignment: &Assignment) -> Result<(), AgentFault> {
    docklet_link::credentials::write_private(path, &serde_json::to_vec(assignment)?)?;
    Ok(())
}

/// The assignment from before; none on a worker that never had one.
///
/// # Errors
/// The file is there and cannot be read.
pub fn load(path: &Path) -> Result<Option<Assignment>, AgentFault> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AgentFault::file("read", path)(error)),
    }
}
