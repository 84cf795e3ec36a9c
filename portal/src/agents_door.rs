//! The agents' door on the cluster listener: an agent follows its assignment here, and reports.

use std::time::Duration;

use docklet_control::agent_wire::{FromAgent, ToAgent};
use docklet_control::assignment::{Assignment, assignment};
use docklet_control::id::{Digest, LogIndex, RequestId, WorkerId};
use docklet_control::{Actor, Command};
use docklet_link::LinkFault;
use docklet_link::identity::Identity;
use docklet_link::listener::{Accepted, Handler, handler};
use docklet_raft::{Master, ProposeFault};
use tokio::sync::mpsc;

/// A report that finds no quorum for so long ends the connection; the agent reports anew on the next.
const REPORT_DEADLINE: Duration = Duration::from_secs(15);
/// An agent that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Reports on their way to the log, of one agent.
const REPORTS_MAX: usize = 32;

/// The door's handler.
#[must_use]
pub fn door(master: Master) -> Handler {
    handler(move |peer, channel| {
        let master = master.clone();
        async move {
            let Some(peer) = peer else { return };
            if let Err(fault) = serve(&master, peer, channel).await {
                tracing::info!(worker = peer.id, %fault, "link to agent ended");
            }
        }
    })
}

/// One agent's connection.
struct Agent<'m> {
    master: &'m Master,
    worker: WorkerId,
    channel: Accepted,
    sent: Option<Assignment>,
}

async fn serve(master: &Master, peer: Identity, mut channel: Accepted) -> Result<(), LinkFault> {
    let FromAgent::Hello {
        worker,
        facts,
        assignment,
        images,
    } = recv_in_time(&mut channel).await?
    else {
        return Err(LinkFault::Remote("it did not say hello".to_owned()));
    };
    if worker.0 != peer.id {
        return Err(LinkFault::Remote(
            "it calls itself another worker".to_owned(),
        ));
    }
    let applied = master.local().index;
    if assignment > applied {
        return channel.send(&ToAgent::Behind { applied }).await;
    }
    master.heard(worker);
    let mut agent = Agent {
        master,
        worker,
        channel,
        sent: None,
    };
    agent.send_assignment().await?;
    let (reporter, reports) = mpsc::channel(REPORTS_MAX);
    let (recorded, mut acknowledged) = mpsc::channel(REPORTS_MAX);
    let recording = record(master.clone(), worker, reports, recorded);
    drop(reporter.try_send((0, Command::DescribeWorker { worker, facts })));
    for command in image_reports(master, worker, &images) {
        drop(reporter.try_send((0, command)));
    }
    tokio::select! {
        ended = agent.talk(reporter, &mut acknowledged) => ended,
        fault = recording => Err(LinkFault::Remote(fault.to_string())),
    }
}

/// What the log does not know yet of the images that a worker says it has.
fn image_reports(master: &Master, worker: WorkerId, held: &[Digest]) -> Vec<Command> {
    let state = master.local().state;
    let report = |digest: Digest, held: bool| Command::ReportImage {
        worker,
        digest,
        held,
    };
    let changed = state.images.values().filter_map(|image| {
        let (has, known) = (
            held.contains(&image.digest),
            image.holders.contains(&worker),
        );
        (has != known).then(|| report(image.digest, has))
    });
    changed.take(REPORTS_MAX - 1).collect()
}

impl Agent<'_> {
    async fn talk(
        &mut self,
        reporter: mpsc::Sender<(u64, Command)>,
        acknowledged: &mut mpsc::Receiver<u64>,
    ) -> Result<(), LinkFault> {
        let mut states = self.master.watch();
        let stopped = |_| LinkFault::Remote("this master stops".to_owned());
        loop {
            tokio::select! {
                changed = states.changed() => {
                    changed.map_err(stopped)?;
                    states.borrow_and_update();
                    self.send_assignment().await?;
                }
                Some(number) = acknowledged.recv() => {
                    self.channel.send(&ToAgent::Recorded { number }).await?;
                }
                message = recv_in_time(&mut self.channel) => {
                    self.take(message?, &reporter).await?;
                }
            }
        }
    }

    async fn take(
        &mut self,
        message: FromAgent,
        reporter: &mpsc::Sender<(u64, Command)>,
    ) -> Result<(), LinkFault> {
        let worker = self.worker;
        let command = match message {
            FromAgent::Heartbeat => {
                self.master.heard(worker);
                return self.channel.send(&ToAgent::Alive).await;
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
            FromAgent::Hello { .. } => {
                return Err(LinkFault::Remote("it said hello twice".to_owned()));
            }
        };
        let full = |_| LinkFault::Remote("it reports faster than a quorum records".to_owned());
        reporter.try_send(command).map_err(full)
    }

    /// Sends the assignment if it is another than the last one sent.
    async fn send_assignment(&mut self) -> Result<(), LinkFault> {
        let frozen = self.master.local();
        let now = assignment(&frozen.state, self.worker, frozen.index);
        let same = self.sent.as_ref().is_some_and(|sent| {
            let at_that_index = Assignment {
                index: sent.index,
                ..now.clone()
            };
            at_that_index == *sent
        });
        if same || frozen.index == LogIndex(0) {
            return Ok(());
        }
        self.sent = Some(now.clone());
        self.channel.send(&ToAgent::Assignment(Box::new(now))).await
    }
}

async fn recv_in_time(channel: &mut Accepted) -> Result<FromAgent, LinkFault> {
    tokio::time::timeout(SILENCE_MAX, channel.recv())
        .await
        .map_err(|_| LinkFault::Deadline(5_000))?
}

/// Puts reports into the log one after the other; ends with the first that finds no quorum in time.
async fn record(
    master: Master,
    worker: WorkerId,
    mut reports: mpsc::Receiver<(u64, Command)>,
    recorded: mpsc::Sender<u64>,
) -> ProposeFault {
    loop {
        let Some((number, command)) = reports.recv().await else {
            return std::future::pending().await;
        };
        let request = RequestId::issued(master.local().index, rand::random());
        let actor = Actor::Worker(worker);
        match master
            .propose(actor, request, command, REPORT_DEADLINE)
            .await
        {
            Ok(_) => {}
            // What the log refuses once it refuses always: the agent learns what is wanted by its assignment.
            Err(ProposeFault::Refused(refusal)) => {
                tracing::info!(%worker, %refusal, "report refused")
            }
            Err(fault @ ProposeFault::Unknown(_)) => return fault,
        }
        // The connection is going down if nobody listens.
        let _ = recorded.send(number).await;
    }
}
