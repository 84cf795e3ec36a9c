//! The agents' door on the cluster listener: an agent follows its assignment here, and reports.
//!
//! What an agent follows is what its worker must make true, not how that came about: it is sent the assignment of the
//! moment whenever it is another, with the entry that it is as of. So a slow agent misses steps in between and nothing
//! else, and nothing is kept for it meanwhile.

mod certificates;
mod leases;
mod reports;

use std::time::Duration;

use docklet_control::agent_wire::{FromAgent, ToAgent};
use docklet_control::assignment::{Assignment, VclusterSecret, assignment};
use docklet_control::bean::command::BeanCommand;
use docklet_control::drill::command::DrillCommand;
use docklet_control::id::{Digest, DrillId, LogIndex, WorkerId};
use docklet_control::idle::{self, command::IdleCommand};
use docklet_control::image::command::ImageCommand;
use docklet_control::limit::command::LimitCommand;
use docklet_control::model::{Checkpointing, Move, WorkerFacts, WorkerStatus};
use docklet_control::moves::command::MoveCommand;
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::snapshot::command::SnapshotCommand;
use docklet_control::{Command, State};
use docklet_link::LinkFault;
use docklet_link::Proof;
use docklet_link::authority::{Authority, Deriver};
use docklet_link::listener::{Accepted, Handler, handler};
use docklet_raft::Master;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout, timeout_at};

use crate::dispatch::{Dispatcher, Waking};
use certificates::Certificates;
use leases::{Leases, Renewal};
use reports::Reports;

/// An agent that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// An agent that does not take in a message for so long is too slow: it is told so and cut off.
const SEND_MAX: Duration = Duration::from_secs(5);
/// What it still has to take in to learn why may take so long.
const REASON_MAX: Duration = Duration::from_secs(30);

/// The door's handler.
#[must_use]
pub fn door(
    master: Master,
    dispatcher: Dispatcher,
    secrets: Deriver,
    authority: Authority,
) -> Handler {
    handler(move |_, channel: Accepted| {
        let (master, dispatcher) = (master.clone(), dispatcher.clone());
        let keys = (secrets.clone(), authority.clone());
        async move {
            let Some(proof) = channel.proof() else { return };
            let worker = proof.identity.id;
            if let Err(fault) = serve(master, &dispatcher, keys, proof, channel).await {
                tracing::info!(worker, %fault, "link to agent ended");
            }
        }
    })
}

async fn serve(
    master: Master,
    dispatcher: &Dispatcher,
    (secrets, authority): (Deriver, Authority),
    proof: Proof,
    mut channel: Accepted,
) -> Result<(), LinkFault> {
    let first = timeout(SILENCE_MAX, channel.recv()).await;
    let first = first.map_err(|_| silent())??;
    if let FromAgent::DrillPulse { drill } = first {
        return pulse(&master, channel, drill).await;
    }
    let FromAgent::Hello {
        worker,
        facts,
        assignment,
        images,
    } = first
    else {
        return Err(remote("it did not say hello"));
    };
    if worker.0 != proof.identity.id {
        return Err(remote("it calls itself another worker"));
    }
    let mut certificates = Certificates::new(master.clone(), proof, authority);
    if let Some(refusal) = certificates.refused() {
        return last_word(&mut channel, &refusal.to_string()).await;
    }
    let applied = master.local().index;
    if assignment > applied {
        return channel.send(&ToAgent::Behind { applied }).await;
    }
    master.heard(worker);
    let leases = Leases::new(master.clone(), worker);
    let mut reports = Reports::new(master.clone(), worker);
    let first = first_reports(&master.local().state, worker, facts, &images);
    for command in certificates.report().into_iter().chain(first) {
        // There are fewer than may wait.
        drop(reports.push(0, command));
    }
    let agent = Agent {
        // From here on: what changes between this and the first look wakes it once more.
        touched: dispatcher.worker(worker),
        master,
        worker,
        channel,
        sent: None,
        leases,
        reports,
        secrets,
        certificates,
    };
    agent.talk().await
}

/// Answers whether a worker that looks lost for a drill may go on. Nothing of this counts as having heard of the worker.
async fn pulse(master: &Master, mut channel: Accepted, first: DrillId) -> Result<(), LinkFault> {
    let mut drill = first;
    loop {
        let stop = master.why_drill_stops(drill);
        let answer = ToAgent::DrillPulse { stop };
        let sent = timeout(SEND_MAX, channel.send(&answer)).await;
        sent.map_err(|_| silent())??;
        let next = timeout(SILENCE_MAX, channel.recv()).await;
        let FromAgent::DrillPulse { drill: next } = next.map_err(|_| silent())?? else {
            return Err(remote("it asked about no drill"));
        };
        drill = next;
    }
}

fn remote(text: &str) -> LinkFault {
    LinkFault::Remote(text.to_owned())
}

fn silent() -> LinkFault {
    LinkFault::Deadline(5_000)
}

/// What the log does not know yet of what a worker says it is and has.
fn first_reports(
    state: &State,
    worker: WorkerId,
    facts: WorkerFacts,
    held: &[Digest],
) -> Vec<Command> {
    let known = state.workers.get(&worker);
    let as_known = known.is_some_and(|w| w.facts == facts && w.status != WorkerStatus::Joined);
    let description = Command::DescribeWorker { worker, facts };
    let description = (!as_known).then_some(description);
    let images = state.images.values().filter_map(|image| {
        let digest = image.digest;
        let (held, known) = (held.contains(&digest), image.holders.contains(&worker));
        (held != known).then_some(Command::ReportImage {
            worker,
            digest,
            held,
        })
    });
    let commands = description.into_iter().chain(images);
    // One more is of its certificate.
    commands.take(reports::WAITING_MAX - 1).collect()
}

/// One agent's connection.
struct Agent {
    master: Master,
    worker: WorkerId,
    channel: Accepted,
    touched: Waking,
    /// What the last assignment sent said.
    sent: Option<[u8; 32]>,
    leases: Leases,
    reports: Reports,
    secrets: Deriver,
    certificates: Certificates,
}

impl Agent {
    async fn talk(mut self) -> Result<(), LinkFault> {
        self.send_assignment().await?;
        let mut silent_at = Instant::now() + SILENCE_MAX;
        loop {
            tokio::select! {
                () = self.touched.woken() => {
                    if let Some(refusal) = self.certificates.refused() {
                        return self.resync(&refusal.to_string()).await;
                    }
                    if let Some(report) = self.certificates.report() {
                        // Where too many wait, it is told by the next connection.
                        drop(self.reports.push(0, report));
                    }
                    self.send_assignment().await?;
                }
                certificate = self.certificates.done() => {
                    self.send(&ToAgent::Certificate(certificate)).await?;
                }
                recorded = self.reports.recorded() => {
                    let number = recorded.map_err(|fault| LinkFault::Remote(fault.to_string()))?;
                    self.send(&ToAgent::Recorded { number }).await?;
                }
                granted = self.leases.granted() => self.grant(granted).await?,
                message = timeout_at(silent_at, self.channel.recv()) => {
                    self.take(message.map_err(|_| silent())??).await?;
                    silent_at = Instant::now() + SILENCE_MAX;
                }
            }
        }
    }

    async fn take(&mut self, message: FromAgent) -> Result<(), LinkFault> {
        let worker = self.worker;
        let (number, command) = match message {
            FromAgent::Heartbeat => {
                self.master.heard(worker);
                return self.send(&ToAgent::Alive).await;
            }
            FromAgent::Renew { number, anew } => {
                self.master.heard(worker);
                self.leases.ask(Renewal { number, anew });
                return self.send(&ToAgent::Alive).await;
            }
            FromAgent::Fences(fences) => {
                let command = ScheduleCommand::ReportFences { worker, fences };
                (0, Command::Schedule(command))
            }
            FromAgent::Report { number, reports } => {
                (number, Command::ReportVnodes { worker, reports })
            }
            FromAgent::Image { digest, held } => {
                let command = Command::ReportImage {
                    worker,
                    digest,
                    held,
                };
                (0, command)
            }
            FromAgent::Save(report) => {
                let command = ImageCommand::ReportSave { worker, report };
                (0, Command::Image(command))
            }
            FromAgent::Facts(facts) => (0, Command::DescribeWorker { worker, facts }),
            FromAgent::Snapshots(reports) => {
                let command = SnapshotCommand::Report { worker, reports };
                (0, Command::Snapshot(command))
            }
            FromAgent::Resizes(reports) => {
                let command = LimitCommand::Report { worker, reports };
                (0, Command::Limit(command))
            }
            FromAgent::Moves(reports) => {
                let command = MoveCommand::Report { worker, reports };
                (0, Command::Move(command))
            }
            FromAgent::Checkpointing(_) if !self.knows_moves() => return Ok(()),
            FromAgent::Checkpointing(able) => {
                let able = Checkpointing { worker, able };
                let command = MoveCommand::ReportCheckpointing { able };
                (0, Command::Move(command))
            }
            FromAgent::Readings(readings) => {
                let command = BeanCommand::Meter { worker, readings };
                (0, Command::Bean(command))
            }
            FromAgent::Idle(idle) => {
                let state = self.master.local().state;
                if !idle::due::is_news(&state, worker, &idle) {
                    return Ok(());
                }
                (0, Command::Idle(IdleCommand::Report { worker, idle }))
            }
            FromAgent::DrillDone { drill, fault } => {
                let command = DrillCommand::ReportLoss {
                    drill,
                    worker,
                    fault,
                };
                (0, Command::Drill(command))
            }
            FromAgent::Certify { csr_pem } => {
                self.certificates.ask(&csr_pem);
                return Ok(());
            }
            FromAgent::Hello { .. } => return Err(remote("it said hello twice")),
            FromAgent::DrillPulse { .. } => return Err(remote("it said hello, and is not lost")),
        };
        if self.reports.push(number, command).is_ok() {
            return Ok(());
        }
        let reason = "it reports faster than a quorum records";
        self.resync(reason).await
    }

    /// Whether all masters know of moves.
    fn knows_moves(&self) -> bool {
        self.master.local().state.version() >= Move::SINCE
    }

    /// Whoever asks anew hears first what it is assigned now: that is as of an entry at which the worker was up, so nothing
    /// of it begins elsewhere while the lease lasts.
    async fn grant(&mut self, renewal: Renewal) -> Result<(), LinkFault> {
        if renewal.anew {
            self.send_assignment().await?;
        }
        let number = renewal.number;
        self.send(&ToAgent::Lease { number }).await
    }

    /// Sends the assignment of this moment if it says anything else than the last one sent.
    async fn send_assignment(&mut self) -> Result<(), LinkFault> {
        let frozen = self.master.local();
        if frozen.index == LogIndex(0) {
            return Ok(());
        }
        let mut now = assignment(&frozen.state, self.worker, LogIndex(0));
        tell_secrets(&mut now, &self.secrets);
        let says = fingerprint(&now)?;
        if self.sent == Some(says) {
            return Ok(());
        }
        self.sent = Some(says);
        let now = Assignment {
            index: frozen.index,
            ..now
        };
        self.send(&ToAgent::Assignment(Box::new(now))).await
    }

    async fn send(&mut self, message: &ToAgent) -> Result<(), LinkFault> {
        match timeout(SEND_MAX, self.channel.send(message)).await {
            Ok(sent) => sent,
            Err(_) => self.resync("it does not take in what it is sent").await,
        }
    }

    /// Ends the connection, and says why if the agent takes that in: it is to come back and begin anew.
    async fn resync(&mut self, reason: &str) -> Result<(), LinkFault> {
        last_word(&mut self.channel, reason).await
    }
}

/// Says why the connection ends, if the agent takes that in.
async fn last_word(channel: &mut Accepted, reason: &str) -> Result<(), LinkFault> {
    let last = ToAgent::Resync {
        reason: reason.to_owned(),
    };
    // The connection ends in any case.
    drop(timeout(REASON_MAX, channel.send(&last)).await);
    Err(remote(reason))
}

/// Adds what is in no state: the secrets of the vclusters that the worker has vnodes of.
fn tell_secrets(assignment: &mut Assignment, secrets: &Deriver) {
    for vnode in &mut assignment.vnodes {
        let subject = vnode.vcluster.0.to_be_bytes();
        vnode.secret = Some(VclusterSecret(secrets.derive("vcluster", &subject)));
    }
}

/// Tells assignments apart.
fn fingerprint(assignment: &Assignment) -> Result<[u8; 32], LinkFault> {
    let bytes = docklet_link::frame::encode(assignment)?;
    Ok(Sha256::digest(bytes).into())
}
