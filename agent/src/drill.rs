//! A drill in which this worker looks lost: it shuts its gate, and opens it when the time is over, when a master says that
//! the drill is to end, or when no master answers. Its fence goes on beside it, as it would if the worker was cut off.

use std::time::{Duration, Instant};

use docklet_control::agent_wire::{FromAgent, ToAgent};
use docklet_control::id::DrillId;
use docklet_control::model::drill::FaultEnd;
use docklet_control::model::{DrillOrder, WorkerFault};
use docklet_link::dial::Dialled;
use docklet_link::gate::Barred;
use docklet_link::identity::PeerRole;
use docklet_link::tls::Expect;
use docklet_link::{Dialer, Gate, LinkFault, Purpose};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Masters are asked this often whether the worker may go on.
const EVERY: Duration = Duration::from_millis(100);
/// One may take this long to answer.
const ANSWER_DEADLINE: Duration = Duration::from_millis(500);
/// Without any answer for so long the worker opens its gate.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// What the worker has to do with drills.
#[derive(Default)]
pub(crate) struct Drills {
    /// The last one that it was told of.
    last: Option<DrillId>,
    /// Whether this connection has brought an assignment: an order that was there when it began may be old.
    followed: bool,
    under_way: Option<JoinHandle<WorkerFault>>,
    /// What came of it, until the masters have that.
    fault: Option<WorkerFault>,
    /// Whether this connection was told that.
    told: bool,
}

impl Drills {
    /// A new connection.
    pub(crate) fn connected(&mut self) {
        self.followed = false;
        self.told = false;
    }

    /// Takes what an assignment says of a drill. `dialer` reaches masters around the gate.
    pub(crate) fn take(
        &mut self,
        order: Option<DrillOrder>,
        gate: &Gate,
        dialer: &Dialer,
        masters: Vec<String>,
    ) {
        let followed = std::mem::replace(&mut self.followed, true);
        let Some(order) = order else {
            // The masters know what came of it.
            self.fault = None;
            return;
        };
        if self.last == Some(order.drill) {
            return;
        }
        self.last = Some(order.drill);
        (self.fault, self.told) = (None, false);
        let (gate, dialer) = (gate.clone(), dialer.clone());
        self.under_way = Some(tokio::spawn(async move {
            if order.over {
                return not_done("it was over before this agent heard of it");
            }
            if followed {
                return look_lost(order, &gate, &dialer, &masters).await;
            }
            not_done("the order was there before this agent heard of it")
        }));
    }

    /// Waits until there is something to tell on this connection. Safe to cancel.
    pub(crate) async fn done(&mut self) -> (DrillId, WorkerFault) {
        if let Some(task) = self.under_way.as_mut() {
            self.fault = Some(task.await.unwrap_or_else(|_| not_done("it panicked")));
            self.under_way = None;
        }
        match (self.last, &self.fault) {
            (Some(drill), Some(fault)) if !self.told => {
                self.told = true;
                (drill, fault.clone())
            }
            _ => std::future::pending().await,
        }
    }
}

fn not_done(cause: &str) -> WorkerFault {
    let cause = cause.to_owned();
    WorkerFault {
        held_ms: None,
        end: FaultEnd::NotDone { cause },
    }
}

async fn look_lost(
    order: DrillOrder,
    gate: &Gate,
    dialer: &Dialer,
    masters: &[String],
) -> WorkerFault {
    let DrillOrder {
        drill, fault_ms, ..
    } = order;
    let mut lifeline = match Lifeline::tie(drill, dialer, masters).await {
        Ok(lifeline) => lifeline,
        Err(cause) => return not_done(&cause),
    };
    tracing::warn!(%drill, fault_ms, "this worker looks lost from now on");
    let began = Instant::now();
    let shut = gate.shut(Barred::BOTH);
    let end = tokio::select! {
        () = sleep(Duration::from_millis(fault_ms)) => FaultEnd::Time,
        end = lifeline.gives_way(dialer, masters) => end,
    };
    drop(shut);
    let held_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(%drill, held_ms, ?end, "this worker can be reached again");
    WorkerFault {
        held_ms: Some(held_ms),
        end,
    }
}

/// Asks one master after the other, around the gate, whether the worker may go on.
struct Lifeline {
    drill: DrillId,
    channel: Option<Dialled>,
    /// Which of the masters is asked next if this one does not answer.
    next: usize,
}

impl Lifeline {
    /// It must hold before the gate is shut.
    async fn tie(drill: DrillId, dialer: &Dialer, masters: &[String]) -> Result<Self, String> {
        let mut lifeline = Self {
            drill,
            channel: None,
            next: 0,
        };
        for _ in 0..=masters.len() {
            match lifeline.ask(dialer, masters).await {
                Ok(None) => return Ok(lifeline),
                Ok(Some(cause)) => return Err(cause),
                Err(fault) => tracing::info!(%fault, "a master does not answer the lifeline"),
            }
        }
        Err("no master answers its lifeline".to_owned())
    }

    /// Why the worker must not go on; none if it may.
    async fn ask(
        &mut self,
        dialer: &Dialer,
        masters: &[String],
    ) -> Result<Option<String>, LinkFault> {
        let late = |_| LinkFault::Deadline(500);
        let ask = async {
            let mut channel = match self.channel.take() {
                Some(channel) => channel,
                None => {
                    let addr = masters.get(self.next % masters.len().max(1));
                    self.next += 1;
                    let addr =
                        addr.ok_or_else(|| LinkFault::Remote("no master is known".into()))?;
                    let expect = Expect::Role(PeerRole::Master);
                    dialer.dial(addr, expect, Purpose::Agent).await?
                }
            };
            let drill = self.drill;
            channel.send(&FromAgent::DrillPulse { drill }).await?;
            let answer = channel.recv().await?;
            let ToAgent::DrillPulse { stop } = answer else {
                return Err(LinkFault::Remote("it was asked about a drill".to_owned()));
            };
            self.channel = Some(channel);
            Ok(stop)
        };
        timeout(ANSWER_DEADLINE, ask).await.map_err(late)?
    }

    /// Waits until the worker must not go on.
    async fn gives_way(&mut self, dialer: &Dialer, masters: &[String]) -> FaultEnd {
        let mut answered = Instant::now();
        loop {
            sleep(EVERY).await;
            match self.ask(dialer, masters).await {
                Ok(None) => answered = Instant::now(),
                Ok(Some(cause)) => return FaultEnd::Told { cause },
                Err(_) if answered.elapsed() > SILENCE_MAX => return FaultEnd::Silence,
                Err(_) => {}
            }
        }
    }
}
