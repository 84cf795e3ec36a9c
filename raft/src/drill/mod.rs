//! This master's part in a drill: it follows the record and does what its role asks for. A target does the fault to
//! itself ([`target`]), one that does not lead tries a backup out ([`restore`]), a prober measures from outside
//! ([`probe`]), the leader moves the drill on ([`lead`]), and everybody answers the others' questions ([`answer`]).

mod answer;
mod lead;
mod lifeline;
mod probe;
mod restore;
mod stop;
mod target;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use docklet_control::decide::{Decision, decide};
use docklet_control::drill::command::{DrillCommand, GroupView};
use docklet_control::drill::gauge::Gauge;
use docklet_control::id::{DrillId, LogIndex, RequestId, UnixMs};
use docklet_control::model::Drill;
use docklet_control::model::Receipt;
use docklet_control::model::drill::DrillStage;
use docklet_control::{Actor, Command, Entry, Refusal};
use docklet_link::Gate;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use answer::answer;
pub use restore::remove_leftovers;
pub use stop::dispatch as drill_helper;

use crate::fault::{ProposeFault, RaftFault};
use crate::master::Master;
use crate::store::Frozen;
use crate::wire;
use crate::world::Dial;

/// A step of a drill is given up after this, and taken anew if it is still due.
const STEP_DEADLINE: Duration = Duration::from_secs(5);

/// What it takes to do a fault to oneself.
pub struct Means {
    /// All of this process's connections on the cluster network go through it.
    pub gate: Gate,
    /// Reaches other masters around the gate.
    pub around: Arc<dyn Dial>,
    /// Where the credentials are, for the helper.
    pub dir: PathBuf,
}

/// What a master keeps of drills in memory.
pub struct Desk {
    /// None where nothing real could be cut off.
    means: Option<Means>,
    /// The program that holds the lifeline while this process is stopped. Without it this process may not be stopped,
    /// as there are other masters in it.
    helper: OnceLock<PathBuf>,
    started_at: UnixMs,
    /// What gauges measure by.
    clock: Instant,
    at_hand: Mutex<AtHand>,
    /// Held while a backup is tried out.
    rehearsing: Arc<tokio::sync::Mutex<()>>,
}

/// What this master has at hand of the drill that is under way.
#[derive(Default)]
struct AtHand {
    drill: Option<DrillId>,
    gauge: Option<Arc<Mutex<Gauge>>>,
    /// Somebody asked this master that it stop.
    unwanted: bool,
}

/// What is seen of a drill at this moment, beside its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrillNow {
    /// How long no write has been acknowledged.
    pub gap_ms: u64,
    /// The longest such time since the fault.
    pub worst_gap_ms: u64,
    pub sent: u32,
    pub acked: u64,
}

impl Desk {
    /// A desk for a master that starts now.
    pub fn new(means: Option<Means>, now: UnixMs) -> Self {
        Self {
            means,
            helper: OnceLock::new(),
            started_at: now,
            clock: Instant::now(),
            at_hand: Mutex::default(),
            rehearsing: Arc::default(),
        }
    }

    fn at_hand(&self) -> MutexGuard<'_, AtHand> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds by which gauges measure.
    fn ms(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether this process has followed the drill since before its fault.
    fn follows(&self, drill: &Drill) -> bool {
        let before = |begun: UnixMs| begun > self.started_at;
        let begun = drill.begun.as_ref().map(|begun| begun.at);
        self.at_hand().drill == Some(drill.id) && begun.is_none_or(before)
    }

    fn is_unwanted(&self, drill: DrillId) -> bool {
        let at_hand = self.at_hand();
        at_hand.drill == Some(drill) && at_hand.unwanted
    }

    fn gauge(&self, drill: DrillId) -> Option<Arc<Mutex<Gauge>>> {
        let at_hand = self.at_hand();
        let gauge = at_hand.gauge.clone();
        gauge.filter(|_| at_hand.drill == Some(drill))
    }

    /// The longest time without a write since the fault, if this master measures.
    fn worst_gap_ms(&self, drill: DrillId) -> Option<u64> {
        let now_ms = self.ms();
        let gauge = self.gauge(drill)?;
        Some(lock(&gauge).worst_gap_ms(now_ms))
    }
}

fn lock(gauge: &Mutex<Gauge>) -> MutexGuard<'_, Gauge> {
    gauge.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Master {
    /// The gate that the cluster listener must go through too.
    #[must_use]
    pub fn gate(&self) -> Gate {
        let means = self.inner.desk.means.as_ref();
        means.map(|means| means.gate.clone()).unwrap_or_default()
    }

    /// Allows drills to stop this whole process for a while. `program` is run as the helper that lets it go on early
    /// if need be: see [`drill_helper`].
    pub fn may_be_stopped(&self, program: PathBuf) {
        // Said once, by whoever wires the process.
        let _ = self.inner.desk.helper.set(program);
    }

    /// What this master sees of a drill, if it measures one.
    #[must_use]
    pub fn drill_now(&self, drill: DrillId) -> Option<DrillNow> {
        let now_ms = self.inner.desk.ms();
        let gauge = self.inner.desk.gauge(drill)?;
        let gauge = lock(&gauge);
        let (sent, acked) = gauge.counts();
        Some(DrillNow {
            gap_ms: gauge.gap_ms(now_ms),
            worst_gap_ms: gauge.worst_gap_ms(now_ms),
            sent,
            acked,
        })
    }

    /// Tells every target that asks this master that the drill is to stop. It needs no quorum; the record learns of
    /// it by a command.
    pub fn drill_is_unwanted(&self, drill: DrillId) {
        let mut at_hand = self.inner.desk.at_hand();
        if at_hand.drill == Some(drill) {
            at_hand.unwanted = true;
        }
    }

    /// Why a fault that somebody does to itself must end, as far as this master knows; none if it may go on.
    #[must_use]
    pub fn why_drill_stops(&self, drill: DrillId) -> Option<String> {
        answer::pulse(self, wire::DrillAbout(drill)).stop
    }

    /// What a command would do to this state, if it were more than a question.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn what_if(
        &self,
        frozen: &Frozen,
        actor: Actor,
        command: Command,
    ) -> Result<Decision, Refusal> {
        let entry = Entry {
            version: frozen.state.version().0,
            request: RequestId::default(),
            at: self.now(),
            actor,
            command,
        };
        decide(&frozen.state, LogIndex(frozen.index.0 + 1), &entry)
    }

    /// The group as its leader sees it.
    ///
    /// # Errors
    /// Nobody leads, or the leader does not answer in time.
    pub async fn group(&self, deadline: Duration) -> Result<GroupView, RaftFault> {
        let ask = || async {
            if self.is_leader() {
                return Ok(self.group_here());
            }
            let wire::DrillGroup(group) =
                self.call_leader(wire::DRILL_GROUP, &(), deadline).await?;
            Ok(group)
        };
        self.until(deadline, ask).await
    }

    /// The group as this master sees it: nobody if it does not lead.
    fn group_here(&self) -> GroupView {
        GroupView {
            term: self.metrics().current_term,
            election_ms: self.inner.election_ms,
            seats: self.seats(),
        }
    }

    async fn propose_drill(
        &self,
        actor: Actor,
        command: DrillCommand,
    ) -> Result<Receipt, ProposeFault> {
        let request = RequestId::issued(self.local().index, rand::random());
        let command = Command::Drill(command);
        self.propose(actor, request, command, STEP_DEADLINE).await
    }

    /// Says something of itself in a drill, again and again until the log has it or will not have it.
    async fn report_drill(&self, command: DrillCommand) {
        loop {
            let actor = Actor::Door(self.id());
            match self.propose_drill(actor, command.clone()).await {
                Ok(_) => return,
                Err(ProposeFault::Refused(refusal)) => {
                    return tracing::warn!(%refusal, "a report about a drill was refused");
                }
                Err(fault @ ProposeFault::Unknown(_)) => {
                    tracing::info!(%fault, "a report about a drill waits for a quorum");
                }
            }
        }
    }

    /// The drill as this master knows it.
    fn drill(&self, id: DrillId) -> Option<Drill> {
        self.local().state.drills.get(&id).cloned()
    }

    /// Waits until the drill is beyond these stages on this master, or forgotten.
    async fn drill_leaves(&self, id: DrillId, stages: &[DrillStage]) {
        let left = |frozen: &Frozen| {
            let drill = frozen.state.drills.get(&id);
            drill.is_none_or(|drill| !stages.contains(&drill.stage))
        };
        // Without a sender this master has stopped.
        let _ = self.watch().wait_for(left).await;
    }
}

/// What this master does in one drill. Everything ends when it is dropped.
struct Part {
    drill: DrillId,
    ordered: bool,
    tasks: JoinSet<()>,
}

impl Part {
    fn begin(master: &Master, drill: &Drill) -> Self {
        let desk = &master.inner.desk;
        let gauge = drill.plan.probers.contains(&master.id()).then(|| {
            let gauge = Gauge::new(desk.ms());
            Arc::new(Mutex::new(gauge))
        });
        *desk.at_hand() = AtHand {
            drill: Some(drill.id),
            gauge: gauge.clone(),
            unwanted: false,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(lead::run(master.clone(), drill.id));
        if let Some(gauge) = gauge {
            tasks.spawn(probe::run(master.clone(), drill.clone(), gauge));
        }
        Self {
            drill: drill.id,
            ordered: false,
            tasks,
        }
    }

    fn go_on(&mut self, master: &Master, drill: &Drill) {
        if drill.stage != DrillStage::Fault || self.ordered {
            return;
        }
        let (master, drill) = (master.clone(), drill.clone());
        if drill.targets(master.id()) {
            self.ordered = true;
            self.tasks.spawn(target::run(master, drill));
        } else if drill.restorer() == Some(master.id()) {
            self.ordered = true;
            self.tasks.spawn(restore::run(master, drill));
        }
    }
}

/// Follows the record until aborted.
pub async fn run(master: Master) {
    let mut states = master.watch();
    let mut part: Option<Part> = None;
    loop {
        let frozen = states.borrow_and_update().clone();
        let drill = frozen.state.running_drill();
        if part.as_ref().map(|part| part.drill) != drill.map(|drill| drill.id) {
            part = drill.map(|drill| Part::begin(&master, drill));
            if part.is_none() {
                *master.inner.desk.at_hand() = AtHand::default();
            }
        }
        if let (Some(part), Some(drill)) = (&mut part, drill) {
            part.go_on(&master, drill);
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}
