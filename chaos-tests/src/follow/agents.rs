//! Workers without containers: they join as workers do, dial masters' cluster listeners over mutual TLS, say what they
//! have, send heartbeats, and get their assignments.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use docklet_control::agent_wire::{FromAgent, HEARTBEAT_MS, MASTER_SILENCE_MS_MAX, ToAgent};
use docklet_control::assignment::Assignment;
use docklet_control::id::{Digest, LogIndex, MasterId, SecretHash, WorkerId};
use docklet_control::model::receipt::Subject;
use docklet_control::model::{JoinRole, WorkerCapacity, WorkerFacts};
use docklet_control::{Actor, Command};
use docklet_link::authority::SigningRequest;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use docklet_link::{Authority, Credentials, Dialer, LinkFault, Purpose, frame};
use docklet_raft::StoreClient;
use futures_util::{StreamExt as _, TryStreamExt as _};
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::arrivals::Arrivals;
use super::{Print, print_of};
use crate::cluster::{ADMIN, PATIENCE};

/// The image that every worker says it holds.
pub const IMAGE: Digest = Digest([7; 32]);

/// As real agents do.
pub const HEARTBEAT: Duration = Duration::from_millis(HEARTBEAT_MS);
/// As real agents do too.
const SILENCE_MAX: Duration = Duration::from_millis(MASTER_SILENCE_MS_MAX);
/// Machines that one token admits.
const USES_MAX: u32 = 1_000;
/// Workers that join at once.
const JOINING: usize = 64;
/// Between leaving one master and dialling the next.
const CHANGE_MS: std::ops::Range<u64> = 5..200;
/// Assignments after which a worker goes to another master by itself.
const STAY: std::ops::Range<u32> = 2..8;

/// Makes workers of a cluster.
pub struct Workers<'c> {
    pub client: &'c StoreClient,
    pub authority: &'c Authority,
    pub cluster: [u8; 16],
    /// Of each.
    pub capacity: WorkerCapacity,
    /// Each says this often that it is there.
    pub heartbeat: Duration,
}

/// One worker.
pub struct Worker {
    pub id: WorkerId,
    dialer: Dialer,
    facts: WorkerFacts,
    heartbeat: Duration,
}

impl Workers<'_> {
    /// Lets so many join.
    pub async fn join(&self, count: u32) -> anyhow::Result<Vec<Worker>> {
        // One key serves them all: each has a certificate in its own name.
        let signing = SigningRequest::new()?;
        let mut workers = Vec::new();
        for first in (0..count).step_by(USES_MAX as usize) {
            let uses = USES_MAX.min(count - first);
            let secret_hash = self.token(uses).await?;
            let numbers = first..first + uses;
            let joining = numbers.map(|number| self.join_one(secret_hash, number, &signing));
            let joined = futures_util::stream::iter(joining).buffer_unordered(JOINING);
            workers.extend(joined.try_collect::<Vec<Worker>>().await?);
        }
        Ok(workers)
    }

    async fn token(&self, uses: u32) -> anyhow::Result<SecretHash> {
        let secret_hash = SecretHash(rand::random());
        let token = Command::CreateJoinToken {
            secret_hash,
            role: JoinRole::Agent,
            ttl_ms: 3_600_000,
            uses,
        };
        self.propose(ADMIN, token).await?;
        Ok(secret_hash)
    }

    async fn join_one(
        &self,
        secret_hash: SecretHash,
        number: u32,
        signing: &SigningRequest,
    ) -> anyhow::Result<Worker> {
        let join = Command::JoinWorker {
            secret_hash,
            name: format!("follower-{number}"),
            data_addr: "127.0.0.1:7".to_owned(),
            underlay: IpAddr::from([127, 0, 0, 1]),
            capacity: self.capacity.clone(),
        };
        let Subject::Worker(worker) = self.propose(Actor::Door(MasterId(1)), join).await? else {
            bail!("joining made no worker");
        };
        let identity = Identity {
            role: PeerRole::Agent,
            id: worker.id.0,
            cluster: self.cluster,
        };
        let own = self.authority.sign(&signing.csr_pem, identity)?;
        let ca = self.authority.certificate_pem();
        let credentials = Credentials::of_pem(ca, &own, &signing.key_pem)?;
        Ok(Worker {
            id: worker.id,
            dialer: Dialer::new(credentials),
            heartbeat: self.heartbeat,
            facts: WorkerFacts {
                capacity: self.capacity.clone(),
                kernel: "6".to_owned(),
                liblxc: "5".to_owned(),
                agent: "test".to_owned(),
            },
        })
    }

    async fn propose(&self, actor: Actor, command: Command) -> anyhow::Result<Subject> {
        let (request, name) = (self.client.new_request().await?, command.name());
        let proposed = self.client.propose(actor, request, command, PATIENCE).await;
        let receipt = proposed.context(name)?;
        Ok(receipt
            .accepted()
            .map_err(Clone::clone)
            .context(name)?
            .clone())
    }
}

impl Worker {
    /// Follows at one master until `take` has enough or the link ends; `known` is the entry of the last assignment.
    ///
    /// # Errors
    /// Why the link ended.
    pub async fn follow(
        &self,
        addr: &str,
        known: LogIndex,
        mut take: impl FnMut(Box<Assignment>) -> ControlFlow<()>,
    ) -> Result<(), LinkFault> {
        let expect = Expect::Role(PeerRole::Master);
        let mut channel = self.dialer.dial(addr, expect, Purpose::Agent).await?;
        let hello = FromAgent::Hello {
            worker: self.id,
            facts: self.facts.clone(),
            assignment: known,
            images: vec![IMAGE],
        };
        channel.send(&hello).await?;
        let mut heartbeat = tokio::time::interval(self.heartbeat);
        let mut silent_at = Instant::now() + SILENCE_MAX;
        loop {
            tokio::select! {
                message = timeout_at(silent_at, channel.recv::<ToAgent>()) => {
                    silent_at = Instant::now() + SILENCE_MAX;
                    match message.map_err(|_| LinkFault::Deadline(MASTER_SILENCE_MS_MAX))?? {
                        ToAgent::Assignment(assignment) => {
                            if take(assignment).is_break() {
                                return Ok(());
                            }
                        }
                        ToAgent::Alive
                        | ToAgent::Recorded { .. }
                        | ToAgent::Lease { .. }
                        | ToAgent::DrillPulse { .. }
                        | ToAgent::Certificate(_) => {}
                        ToAgent::Behind { applied } => {
                            return Err(LinkFault::Remote(format!("behind: {applied}")));
                        }
                        ToAgent::Resync { reason } => return Err(LinkFault::Remote(reason)),
                    }
                }
                _ = heartbeat.tick() => channel.send(&FromAgent::Heartbeat).await?,
            }
        }
    }
}

/// All assignments that a worker was sent.
#[derive(Clone, Debug)]
pub struct AgentRecord {
    pub worker: WorkerId,
    /// In the order in which they came: the entry, and the whole in short.
    pub assignments: Vec<(LogIndex, Print)>,
    pub connections: u32,
}

/// Follows through whichever of the masters at these listeners, going from one to another, until it is told to stop.
pub async fn follow_about(
    worker: Worker,
    addrs: Vec<String>,
    arrivals: Arc<Arrivals>,
    mut stop: watch::Receiver<Option<LogIndex>>,
) -> anyhow::Result<AgentRecord> {
    let mut record = AgentRecord {
        worker: worker.id,
        assignments: Vec::new(),
        connections: 0,
    };
    loop {
        let (master, mut stay, pause) = {
            let mut random = rand::rng();
            (
                random.random_range(0..addrs.len()),
                random.random_range(STAY),
                random.random_range(CHANGE_MS),
            )
        };
        let known = record.assignments.last().map_or(LogIndex(0), |last| last.0);
        let following = worker.follow(&addrs[master], known, |mut assignment| {
            // The door adds what no state has.
            for vnode in &mut assignment.vnodes {
                vnode.secret = None;
            }
            let bytes = frame::encode(&assignment).expect("it came as such bytes");
            record
                .assignments
                .push((assignment.index, print_of(&bytes)));
            arrivals.note(&assignment);
            stay -= 1;
            if stay == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        tokio::select! {
            // A master may be down, go down, or know less than this worker: another will do.
            _ = following => record.connections += 1,
            _ = stop.wait_for(Option::is_some) => return Ok(record),
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}
