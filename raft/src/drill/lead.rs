//! The leader moves the drill on: it looks, asks [`course::next`] what to do, and does that.

use std::time::{Duration, Instant};

use docklet_control::drill::command::DrillCommand;
use docklet_control::drill::course::{self, Next, Seen};
use docklet_control::drill::loss;
use docklet_control::drill::refusal::DrillRefusal;
use docklet_control::id::{DrillId, LogIndex, MasterId};
use docklet_control::model::Drill;
use docklet_control::model::drill::{DrillAbort, DrillStage, MasterCheck, MasterFound};
use docklet_control::{Actor, Refusal};
use futures_util::future::join_all;

use super::answer;
use crate::fault::ProposeFault;
use crate::master::Master;
use crate::types::MasterAddress;
use crate::wire;

/// How often the leader looks.
const TICK: Duration = Duration::from_millis(50);
/// How often the other probers are asked for the gap that they see.
const GAP_EVERY: Duration = Duration::from_millis(250);
/// Another master may take this long to answer a question.
const ANSWER_DEADLINE: Duration = Duration::from_millis(500);
/// The master that ran the drill is asked so often before it counts as gone.
const QUESTIONS: usize = 3;
/// A master may take this long to look through what it has.
const CHECK_DEADLINE: Duration = Duration::from_secs(4);
/// States are compared at a later entry if a master does not have the first one any more.
const CHECKS_MAX: usize = 3;

/// What a leader remembers between two looks; nothing of it must survive.
struct Leading {
    master: Master,
    drill: DrillId,
    runner_follows: Option<bool>,
    checks: Option<Vec<MasterCheck>>,
    gap_ms: u64,
    gap_asked: Option<Instant>,
}

/// Runs until the drill has ended.
pub async fn run(master: Master, drill: DrillId) {
    let mut leading = Leading::new(master, drill);
    while let Some(drill) = leading.master.drill(leading.drill).filter(Drill::runs) {
        if leading.master.is_leader() {
            leading.look(&drill).await;
        } else {
            leading = Leading::new(leading.master, leading.drill);
        }
        tokio::time::sleep(TICK).await;
    }
}

impl Leading {
    fn new(master: Master, drill: DrillId) -> Self {
        Self {
            master,
            drill,
            runner_follows: None,
            checks: None,
            gap_ms: 0,
            gap_asked: None,
        }
    }

    async fn look(&mut self, drill: &Drill) {
        self.ask_for_gaps(drill).await;
        let frozen = self.master.local();
        let seen = Seen {
            me: self.master.id(),
            group: self.master.group_here(),
            policy: frozen.state.autopilot(),
            followed: self.master.inner.desk.follows(drill),
            runner_follows: self.runner_follows,
            gap_ms: self.gap_ms,
            checks: self.checks.clone(),
            loss_is_new: loss::noted(&frozen.state, drill).is_some(),
            loss_is_over: loss::is_over(&frozen.state, drill),
            service_is_missing: loss::is_service_missing(&frozen.state, drill),
        };
        match course::next(drill, &seen, self.master.now()) {
            Next::Wait => {}
            Next::AskRunner(runner) => {
                self.runner_follows = Some(self.follows(runner).await);
            }
            Next::AskForChecks => self.checks = Some(self.ask_for_checks(drill).await),
            Next::Propose(command) => self.propose(command).await,
        }
    }

    async fn propose(&self, command: DrillCommand) {
        let begins = matches!(command, DrillCommand::Begin { .. });
        let name = command.name();
        match self.master.propose_drill(Actor::Duty, command).await {
            Ok(_) => tracing::info!(drill = %self.drill, command = name, "the drill goes on"),
            // It was well when it was announced.
            Err(ProposeFault::Refused(Refusal::Drill(DrillRefusal::Unwell { cause })))
                if begins =>
            {
                let abort = DrillCommand::Abort {
                    drill: self.drill,
                    reason: DrillAbort::Unwell { cause },
                };
                drop(self.master.propose_drill(Actor::Duty, abort).await);
            }
            Err(fault) => tracing::warn!(%fault, command = name, "the drill does not go on yet"),
        }
    }

    /// The longest time without a write that a prober sees; its own, or another's.
    async fn ask_for_gaps(&mut self, drill: &Drill) {
        if drill.stage != DrillStage::Fault || drill.hurts(self.master.id()) {
            return;
        }
        if let Some(gap_ms) = self.master.inner.desk.worst_gap_ms(self.drill) {
            self.gap_ms = gap_ms;
        } else if self
            .gap_asked
            .is_none_or(|asked| asked.elapsed() > GAP_EVERY)
        {
            self.gap_asked = Some(Instant::now());
            let probers = drill.plan.probers.iter();
            let asked = join_all(probers.map(|prober| self.pulse(*prober))).await;
            let gaps = asked.iter().flatten().map(|pulse| pulse.worst_gap_ms);
            self.gap_ms = gaps.max().unwrap_or(self.gap_ms);
        }
    }

    async fn pulse(&self, of: MasterId) -> Option<wire::DrillPulse> {
        let about = wire::DrillAbout(self.drill);
        if of == self.master.id() {
            return Some(answer::pulse(&self.master, about));
        }
        let members = self.master.other_members();
        let lines = self.master.inner.links.to(of.0, members.get(&of.0)?);
        let asked = lines
            .calls
            .call(wire::DRILL_PULSE, &about, ANSWER_DEADLINE)
            .await;
        asked.ok()
    }

    /// Whether a master answers that it has followed the drill from the beginning.
    async fn follows(&self, runner: MasterId) -> bool {
        for _ in 0..QUESTIONS {
            if let Some(pulse) = self.pulse(runner).await {
                return pulse.follows;
            }
            tokio::time::sleep(TICK).await;
        }
        false
    }

    /// What every voter has of the probes that were acknowledged, and its state after one same entry.
    async fn ask_for_checks(&self, drill: &Drill) -> Vec<MasterCheck> {
        let mut checks = Vec::new();
        for _ in 0..CHECKS_MAX {
            let at = self.master.local().index;
            checks = self.check_at(drill, at).await;
            let compared = |check: &MasterCheck| check.found.is_some_and(|f| f.compared.is_some());
            if checks.iter().all(compared) {
                break;
            }
        }
        checks
    }

    async fn check_at(&self, drill: &Drill, at: LogIndex) -> Vec<MasterCheck> {
        let acked = drill.measured.iter();
        let ask = wire::DrillCheck {
            drill: drill.id,
            at,
            acked: acked
                .map(|report| (report.prober, report.acked.clone()))
                .collect(),
        };
        let members = self.master.other_members();
        let group = self.master.group_here();
        let asked = group.voters().map(|seat| {
            let (ask, address) = (&ask, members.get(&seat.master.0));
            async move {
                MasterCheck {
                    master: seat.master,
                    found: self.found(seat.master, address, ask).await,
                }
            }
        });
        join_all(asked).await
    }

    async fn found(
        &self,
        of: MasterId,
        address: Option<&MasterAddress>,
        ask: &wire::DrillCheck,
    ) -> Option<MasterFound> {
        let found = if of == self.master.id() {
            answer::check(&self.master, ask).await
        } else {
            let lines = self.master.inner.links.to(of.0, address?);
            let asked = lines
                .calls
                .call(wire::DRILL_CHECK, ask, CHECK_DEADLINE)
                .await;
            asked.map_err(|fault| fault.to_string())
        };
        if let Err(cause) = &found {
            tracing::warn!(master = %of, cause, "a master does not say what it has");
        }
        found.ok()
    }
}
