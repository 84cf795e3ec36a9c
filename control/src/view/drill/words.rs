//! What is known of a drill, in words.

use super::{FaultView, StepView};
use crate::id::{MasterId, UserId, VnodeId};
use crate::model::Drill;
use crate::model::drill::{
    DrillAbort, DrillCut, DrillKind, DrillMark, DrillReason, DrillStage, DrillStep, FaultEnd,
    FaultReport, Prober,
};
use crate::state::State;

/// A time as people read it: `812 ms`, `5 s`, `1.25 s`.
#[must_use]
pub fn duration(ms: u64) -> String {
    let (seconds, hundredths) = (ms / 1_000, ms % 1_000 / 10);
    match (seconds, hundredths) {
        (0, _) => format!("{ms} ms"),
        (_, 0) => format!("{seconds} s"),
        (_, hundredths) if hundredths % 10 == 0 => format!("{seconds}.{} s", hundredths / 10),
        (_, _) => format!("{seconds}.{hundredths:02} s"),
    }
}

/// A drill, and the state in which its masters have names.
pub(super) struct Words<'s> {
    pub(super) state: &'s State,
    pub(super) drill: &'s Drill,
}

impl Words<'_> {
    pub(super) fn master(&self, id: MasterId) -> String {
        let master = self.state.masters.get(&id);
        master.map_or_else(|| format!("master {id}"), |m| m.name.to_string())
    }

    fn masters(&self, ids: &[MasterId]) -> String {
        let names: Vec<String> = ids.iter().map(|id| self.master(*id)).collect();
        match names.split_last() {
            None => "nobody".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        }
    }

    pub(super) fn user(&self, id: UserId) -> String {
        let user = self.state.users.get(&id);
        user.map_or_else(|| format!("user {id}"), |user| user.name.to_string())
    }

    pub(super) fn prober(&self, prober: Prober) -> String {
        match prober {
            Prober::Master(id) => self.master(id),
            Prober::Client => "command line".to_owned(),
        }
    }

    /// What is done to whom.
    pub(super) fn what(&self) -> String {
        let plan = &self.drill.plan;
        let (targets, time) = (self.masters(&plan.targets), duration(plan.fault_ms));
        match (plan.kind, plan.cut) {
            (DrillKind::LeaderLoss, _) => {
                format!("{targets}, which leads, is stopped for up to {time}")
            }
            (DrillKind::Partition, DrillCut::Both) => {
                format!("{targets} is cut off from the other masters for up to {time}")
            }
            (DrillKind::Partition, DrillCut::In) => {
                format!("{targets} hears nothing of the other masters for up to {time}")
            }
            (DrillKind::Partition, DrillCut::Out) => {
                format!("{targets} is not heard by the other masters for up to {time}")
            }
            (DrillKind::QuorumLoss, _) => {
                format!(
                    "{targets} are cut off for up to {time}, so that the rest is no majority and nothing can be written"
                )
            }
            (DrillKind::Restore, _) => {
                format!("a backup is restored beside the cluster, within {time}")
            }
            (DrillKind::WorkerLoss, _) => {
                let worker = self.worker();
                format!(
                    "worker {worker} lets nothing in or out for up to {time}, as if it was lost"
                )
            }
        }
    }

    /// For everybody.
    pub(super) fn notice(&self) -> String {
        let plan = &self.drill.plan;
        let begins = match self.drill.stage {
            DrillStage::Announced => "A drill is announced",
            DrillStage::Fault | DrillStage::Healing => "A drill is under way",
            DrillStage::Checking | DrillStage::Ended => "A drill comes to its end",
        };
        let costs = match plan.kind {
            DrillKind::Restore => "Nobody should notice".to_owned(),
            DrillKind::WorkerLoss => {
                return format!("{begins}: {}. {}.", self.what(), self.costs());
            }
            DrillKind::LeaderLoss | DrillKind::Partition | DrillKind::QuorumLoss => {
                format!("Changes may wait for up to {}", duration(plan.gap_max_ms))
            }
        };
        format!(
            "{begins}: {}. {costs}; vnodes and terminals go on.",
            self.what()
        )
    }

    /// The worker that looks lost.
    pub(super) fn worker(&self) -> String {
        let loss = self.state.losses.get(&self.drill.id);
        loss.map_or_else(String::new, |loss| self.state.worker_called(loss.worker))
    }

    fn costs(&self) -> String {
        let usual = "Its vnodes cannot be reached meanwhile";
        match self.drill.plan.estimate_ms {
            0..=1_000 => format!("{usual}, and go on"),
            ms => format!(
                "{usual}; those with on_lost = restart begin anew elsewhere after about {}, without what is on their disks",
                duration(ms)
            ),
        }
    }

    pub(super) fn vnode(&self, id: VnodeId) -> String {
        let vnode = self.state.vnodes.get(&id);
        let found =
            vnode.and_then(|vnode| Some((self.state.vclusters.get(&vnode.vcluster)?, vnode)));
        match found {
            Some((vcluster, vnode)) => format!("{}/{}", vcluster.name, vnode.hostname()),
            None => format!("vnode {id}"),
        }
    }

    pub(super) fn abort(&self, abort: &DrillAbort) -> String {
        match abort {
            DrillAbort::Asked { user } => format!("{} asked for it", self.user(*user)),
            DrillAbort::GapExceeded { gap_ms } => {
                format!("no write was acknowledged for {}", duration(*gap_ms))
            }
            DrillAbort::RunnerLost { runner } => {
                format!("{}, which ran it, was lost", self.master(*runner))
            }
            DrillAbort::Unwell { cause } => format!("the cluster was not well: {cause}"),
            DrillAbort::OutOfTime => "its time was over".to_owned(),
        }
    }

    pub(super) fn reason(&self, reason: &DrillReason) -> String {
        match reason {
            DrillReason::GapTooLong { prober, gap_ms } => format!(
                "{} saw no acknowledged write for {}, {} were accepted",
                self.prober(*prober),
                duration(*gap_ms),
                duration(self.drill.plan.gap_max_ms)
            ),
            DrillReason::Lost { master, writes } => {
                let master = self.master(*master);
                format!("{master} lacks {writes} writes that were acknowledged")
            }
            DrillReason::StatesDiffer { masters } => {
                let masters = self.masters(masters);
                format!("{masters} do not have the same state after the same entry")
            }
            DrillReason::NotChecked { master } => {
                format!("{} did not say what it has", self.master(*master))
            }
            DrillReason::NotDone { master, cause } => {
                format!("{} did not do as ordered: {cause}", self.master(*master))
            }
            DrillReason::NotHealed { master } => {
                format!("{} did not come back in time", self.master(*master))
            }
            DrillReason::NothingMeasured => "nobody could measure anything".to_owned(),
            DrillReason::VnodesStopped { vnodes } => {
                format!("{vnodes} vnodes that are to run do not run any more")
            }
            DrillReason::Aborted(abort) => format!("aborted: {}", self.abort(abort)),
            DrillReason::OutOfTime => "it took longer than it may".to_owned(),
            DrillReason::NotRestored { cause } => format!("the backup was not restored: {cause}"),
            DrillReason::WorkerNotDone { cause } => {
                format!("worker {} did not do as ordered: {cause}", self.worker())
            }
            DrillReason::WorkerNotLost => {
                format!("nobody found out that worker {} was silent", self.worker())
            }
            DrillReason::WorkerNotBack => format!("worker {} is not back", self.worker()),
            DrillReason::NotElsewhere { vnodes } => format!(
                "{vnodes} vnodes that were to begin anew elsewhere did not: see `docklet explain`"
            ),
            DrillReason::AwayTooLong { vnode, away_ms } => format!(
                "{} was away for {}, {} were accepted",
                self.vnode(*vnode),
                duration(*away_ms),
                duration(self.drill.plan.gap_max_ms)
            ),
        }
    }

    pub(super) fn steps(&self) -> Vec<StepView> {
        let step = |step: &DrillStep| StepView {
            at: step.at,
            text: self.mark(&step.what),
        };
        self.drill.steps.iter().map(step).collect()
    }

    fn mark(&self, mark: &DrillMark) -> String {
        match mark {
            DrillMark::Announced => "announced to everybody".to_owned(),
            DrillMark::Begun { runner } => {
                let ordered = match self.drill.plan.kind {
                    DrillKind::Restore => "restore",
                    DrillKind::LeaderLoss
                    | DrillKind::Partition
                    | DrillKind::QuorumLoss
                    | DrillKind::WorkerLoss => "fault",
                };
                format!("{ordered} ordered; {} runs the drill", self.master(*runner))
            }
            DrillMark::TakenOver { runner } => {
                format!("{} leads now and runs the drill", self.master(*runner))
            }
            DrillMark::Healed { master } => self.healed(*master),
            DrillMark::Restored => self.restored(),
            DrillMark::Aborted => {
                let why = self.drill.aborted.as_ref().map(|abort| self.abort(abort));
                format!("aborted: {}", why.unwrap_or_default())
            }
            DrillMark::Checking => match self.drill.healed_ms {
                Some(ms) => format!("all masters had caught up {} later", duration(ms)),
                None => "not all masters have caught up".to_owned(),
            },
            DrillMark::Measured { prober } => {
                format!("{} said what it measured", self.prober(*prober))
            }
            DrillMark::Ended => match &self.drill.ending {
                Some(ending) => format!("verdict: {}", ending.verdict.word()),
                None => "ended".to_owned(),
            },
            DrillMark::WorkerLost => format!("worker {} was found to be lost", self.worker()),
            DrillMark::WorkerHealed => self.worker_healed(),
            DrillMark::WorkerBack => format!("worker {} was found to be back", self.worker()),
            DrillMark::AllElsewhere => "what was to begin anew elsewhere runs".to_owned(),
        }
    }

    fn worker_healed(&self) -> String {
        let (loss, worker) = (self.state.losses.get(&self.drill.id), self.worker());
        let Some(fault) = loss.and_then(|loss| loss.fault.as_ref()) else {
            return format!("worker {worker} said what it did");
        };
        let end = end(&fault.end);
        match fault.held_ms {
            Some(ms) => format!("worker {worker} was silent for {}: {end}", duration(ms)),
            None => format!("worker {worker}: {end}"),
        }
    }

    fn restored(&self) -> String {
        let Some(report) = &self.drill.restored else {
            return "the backup was tried out".to_owned();
        };
        let master = self.master(report.master);
        match &report.outcome {
            Ok(figures) => format!(
                "{master} took a backup of entry {} in {}, restored it beside the cluster in {} and wrote to it after {} more",
                figures.index,
                duration(figures.backup_ms),
                duration(figures.restore_ms),
                duration(figures.write_ms)
            ),
            Err(cause) => format!("{master} could not restore the backup: {cause}"),
        }
    }

    fn healed(&self, master: MasterId) -> String {
        let report = self.drill.faults.iter().find(|f| f.master == master);
        let fault = report.map(|report| self.fault(report));
        match fault {
            Some(FaultView {
                master,
                held_ms: Some(ms),
                end,
            }) => format!("{master} is back after {}: {end}", duration(ms)),
            Some(FaultView { master, end, .. }) => format!("{master}: {end}"),
            None => format!("{} is back", self.master(master)),
        }
    }

    pub(super) fn fault(&self, report: &FaultReport) -> FaultView {
        FaultView {
            master: self.master(report.master),
            held_ms: report.held_ms,
            end: end(&report.end),
        }
    }
}

fn end(end: &FaultEnd) -> String {
    match end {
        FaultEnd::Time => "its time was over".to_owned(),
        FaultEnd::Told { cause } => format!("ended early, {cause}"),
        FaultEnd::Silence => "ended early, as nobody outside of it answered".to_owned(),
        FaultEnd::NotDone { cause } => format!("not carried out, {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn times_are_told_in_the_unit_that_people_use() {
        let told: Vec<String> = [0, 812, 1_000, 1_049, 1_259, 1_200, 61_000]
            .map(duration)
            .into();
        assert_eq!(
            told,
            ["0 ms", "812 ms", "1 s", "1.04 s", "1.25 s", "1.2 s", "61 s"]
        );
    }
}
