//! What the leader does next with a drill: a pure function of the record, of what it sees, and of the time.

use super::command::{DrillCommand, GroupView};
use crate::id::{MasterId, UnixMs};
use crate::model::Autopilot;
use crate::model::drill::{Drill, DrillAbort, DrillKind, DrillMark, DrillStage, MasterCheck};

/// What was broken has this long to become whole after the fault.
const HEAL_MS_MAX: u64 = 8_000;
/// Probers have this long to say what they saw.
const REPORT_MS_MAX: u64 = 3_000;
/// What the leader sees beside the record.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub me: MasterId,
    pub group: GroupView,
    /// When a voter counts as back.
    pub policy: Autopilot,
    /// Whether this process has followed the drill since its fault began, or from before that.
    pub followed: bool,
    /// Whether the master that ran it until now answers that it follows it; none if it was not asked.
    pub runner_follows: Option<bool>,
    /// The longest time without an acknowledged write since the fault, as seen from outside of it.
    pub gap_ms: u64,
    /// What masters said that they have; none if they were not asked.
    pub checks: Option<Vec<MasterCheck>>,
    /// Whether something is new of a worker that looks lost.
    pub loss_is_new: bool,
    /// Whether that worker is back and all is over.
    pub loss_is_over: bool,
    /// Whether a master that watches its vnodes has not said yet what it saw.
    pub service_is_missing: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    Wait,
    /// Ask the master that ran it until now whether it follows it.
    AskRunner(MasterId),
    /// Ask every master what it has.
    AskForChecks,
    Propose(DrillCommand),
}

/// What to do next.
#[must_use]
pub fn next(drill: &Drill, seen: &Seen, now: UnixMs) -> Next {
    let hurt = drill.hurts(seen.me);
    match drill.stage {
        DrillStage::Announced => announced(drill, seen, now),
        // It does the fault to itself and takes itself for the leader, perhaps.
        DrillStage::Fault | DrillStage::Healing if hurt && now <= drill.ends_by => Next::Wait,
        DrillStage::Fault => fault(drill, seen, now),
        DrillStage::Healing => healing(drill, seen, now),
        DrillStage::Checking => checking(drill, seen, now),
        DrillStage::Ended => Next::Wait,
    }
}

fn abort(drill: &Drill, reason: DrillAbort) -> Next {
    Next::Propose(DrillCommand::Abort {
        drill: drill.id,
        reason,
    })
}

fn announced(drill: &Drill, seen: &Seen, now: UnixMs) -> Next {
    if now > drill.ends_by {
        return abort(drill, DrillAbort::OutOfTime);
    }
    if now < drill.fault_at {
        return Next::Wait;
    }
    Next::Propose(DrillCommand::Begin {
        drill: drill.id,
        runner: seen.me,
        group: seen.group.clone(),
    })
}

fn fault(drill: &Drill, seen: &Seen, now: UnixMs) -> Next {
    if now > drill.ends_by {
        return abort(drill, DrillAbort::OutOfTime);
    }
    if let Some(step) = succession(drill, seen) {
        return step;
    }
    if seen.gap_ms > drill.plan.gap_max_ms {
        let gap_ms = seen.gap_ms;
        return abort(drill, DrillAbort::GapExceeded { gap_ms });
    }
    healing(drill, seen, now)
}

/// Whoever leads runs the drill, unless it should not have come to that.
fn succession(drill: &Drill, seen: &Seen) -> Option<Next> {
    let runner = drill.runner?;
    if runner == seen.me && seen.followed {
        return None;
    }
    let lost = DrillAbort::RunnerLost { runner };
    let take_over = Next::Propose(DrillCommand::TakeOver {
        drill: drill.id,
        runner: seen.me,
    });
    Some(match seen.runner_follows {
        // This very process was started anew.
        _ if runner == seen.me => abort(drill, lost),
        _ if drill.targets(runner) => take_over,
        None => Next::AskRunner(runner),
        Some(true) => take_over,
        Some(false) => abort(drill, lost),
    })
}

/// Probing ends when all is whole, or when it takes too long to become so.
fn healing(drill: &Drill, seen: &Seen, now: UnixMs) -> Next {
    if seen.loss_is_new {
        return Next::Propose(DrillCommand::NoteLoss { drill: drill.id });
    }
    let over = over_at(drill, seen);
    let whole = is_done(drill, seen) && is_whole(seen);
    let late = drill
        .fault_ends_at()
        .is_none_or(|end| now > end.plus_ms(HEAL_MS_MAX));
    if !whole && !late && now <= drill.ends_by {
        return Next::Wait;
    }
    let healed_ms = over.filter(|_| whole).map(|over| now.since_ms(over));
    Next::Propose(DrillCommand::Check {
        drill: drill.id,
        healed_ms,
    })
}

/// When the last fault was over, or the backup tried out, as far as it was reported.
fn over_at(drill: &Drill, seen: &Seen) -> Option<UnixMs> {
    let marked = |mark: DrillMark| {
        let mut steps = drill.steps.iter();
        let step = steps.find(|step| step.what == mark);
        step.map(|step| step.at)
    };
    match drill.plan.kind {
        DrillKind::Restore => return marked(DrillMark::Restored),
        DrillKind::WorkerLoss if seen.loss_is_over => return marked(DrillMark::WorkerHealed),
        DrillKind::WorkerLoss => return None,
        DrillKind::LeaderLoss | DrillKind::Partition | DrillKind::QuorumLoss => {}
    }
    let begun = drill.begun.as_ref()?;
    let held_ms = drill.faults.iter().filter_map(|f| f.held_ms).max()?;
    Some(begun.at.plus_ms(Drill::LEAD_MS.saturating_add(held_ms)))
}

fn is_done(drill: &Drill, seen: &Seen) -> bool {
    match drill.plan.kind {
        DrillKind::WorkerLoss => seen.loss_is_over,
        DrillKind::Restore => drill.restored.is_some() || drill.aborted.is_some(),
        DrillKind::LeaderLoss | DrillKind::Partition | DrillKind::QuorumLoss => {
            drill.all_targets_reported()
        }
    }
}

fn is_whole(seen: &Seen) -> bool {
    let mut voters = seen.group.voters();
    seen.group.leader().is_some() && voters.all(|seat| seat.follows_closely(seen.policy))
}

fn checking(drill: &Drill, seen: &Seen, now: UnixMs) -> Next {
    let began = drill
        .steps
        .iter()
        .rev()
        .find(|step| step.what == DrillMark::Checking);
    let late = began.is_none_or(|step| now.since_ms(step.at) > REPORT_MS_MAX);
    let reported = drill.all_probers_reported() && !seen.service_is_missing;
    if !reported && !late {
        return Next::Wait;
    }
    match &seen.checks {
        None => Next::AskForChecks,
        Some(checks) => Next::Propose(DrillCommand::Finish {
            drill: drill.id,
            checks: checks.clone(),
            term: seen.group.term,
            leader: seen.group.leader(),
        }),
    }
}
