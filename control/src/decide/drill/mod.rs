//! Drills: whether one may begin, what belongs to it, and how it ended.

mod estimate;
mod fitness;
mod judge;
mod loss;

use super::{Decision, Ground, in_range, plain_text};
use crate::command::Actor;
use crate::drill::command::{DrillAsk, DrillCommand, GroupView};
use crate::drill::event::DrillEvent;
use crate::drill::refusal::DrillRefusal;
use crate::event::Event;
use crate::id::{DrillId, MasterId};
use crate::model::drill::{
    Drill, DrillAbort, DrillBegun, DrillKind, DrillPlan, DrillStage, FaultEnd, FaultReport,
    MasterCheck, ProbeReport, Prober, RestoreReport,
};
use crate::model::receipt::Subject;
use crate::model::runs::Runs;
use crate::model::{VnodeSeen, VnodeWanted};
use crate::refusal::Refusal;
use crate::state::State;

const ANNOUNCE_MS_MAX: u64 = 3_600_000;
/// A minute is long enough to see anything, and short enough for everybody to wait.
const FAULT_MS: std::ops::RangeInclusive<u64> = 500..=60_000;
const GAP_MS: std::ops::RangeInclusive<u64> = 100..=120_000;
/// A text that a master reports.
const TEXT_BYTES_MAX: usize = 300;
/// Masters that one drill may be checked on.
const CHECKS_MAX: u64 = 64;

pub(super) fn decide(ground: Ground<'_>, command: &DrillCommand) -> Result<Decision, Refusal> {
    let events = match command {
        DrillCommand::Start { ask, group } => return start(ground, ask, group),
        DrillCommand::Begin {
            drill,
            runner,
            group,
        } => begin(ground, *drill, *runner, group)?,
        DrillCommand::TakeOver { drill, runner } => take_over(running(ground, *drill)?, *runner),
        DrillCommand::Probe {
            drill,
            prober,
            sequence,
        } => probe(ground, *drill, *prober, *sequence)?,
        DrillCommand::ReportFault { drill, report } => report_fault(ground, *drill, report)?,
        DrillCommand::ReportRestore { drill, report } => report_restore(ground, *drill, report)?,
        DrillCommand::Abort { drill, reason } => abort(ground, *drill, reason)?,
        DrillCommand::Check { drill, healed_ms } => check(ground, *drill, *healed_ms)?,
        DrillCommand::ReportProbes { drill, report } => report_probes(ground, *drill, report)?,
        DrillCommand::Finish {
            drill,
            checks,
            term,
            leader,
        } => finish(ground, *drill, checks, *term, *leader)?,
        DrillCommand::NoteLoss { drill } => loss::note(ground, *drill)?,
        DrillCommand::ReportLoss {
            drill,
            worker,
            fault,
        } => loss::report(ground, *drill, *worker, fault)?,
        DrillCommand::ReportService {
            drill,
            master,
            seen,
        } => loss::report_service(ground, *drill, *master, seen)?,
    };
    let events = events.into_iter().map(Event::Drill).collect();
    Ok(Decision::quiet(events))
}

fn start(ground: Ground<'_>, ask: &DrillAsk, group: &GroupView) -> Result<Decision, Refusal> {
    in_range("announcement", ask.announce_ms, 0..=ANNOUNCE_MS_MAX, "ms")?;
    in_range("fault", ask.fault_ms, FAULT_MS, "ms")?;
    in_range("accepted time without writes", ask.gap_max_ms, GAP_MS, "ms")?;
    if let Some(other) = ground.state.running_drill() {
        return Err(DrillRefusal::Running { drill: other.id }.into());
    }
    let targets = fitness::targets(ground.state, ask, group)?;
    fitness::check(ground.state, ask.kind, &targets, group)?;
    let worker = loss::target(ground.state, ask)?;
    let estimate = estimate::estimate(ground.state, ask, group);
    estimate.accept(ask.gap_max_ms)?;
    let away_ms = worker.map(|worker| loss::accept(ground.state, worker, ask));
    let away_ms = away_ms.transpose()?.unwrap_or_default();
    let plan = DrillPlan {
        kind: ask.kind,
        cut: ask.cut,
        probers: fitness::probers(&targets, group),
        targets,
        announce_ms: ask.announce_ms,
        fault_ms: ask.fault_ms,
        gap_max_ms: ask.gap_max_ms,
        estimate_ms: estimate.ms.max(away_ms),
    };
    let drill = announced(ground, plan)?;
    let id = drill.id;
    let drill = Box::new(drill);
    let events = [DrillEvent::Announced { drill }];
    let loss = worker.map(|worker| loss::announced(id, worker));
    let events = events.into_iter().chain(loss).map(Event::Drill);
    Ok(Decision::new(Subject::Drill(id), events.collect()))
}

fn announced(ground: Ground<'_>, plan: DrillPlan) -> Result<Drill, Refusal> {
    let asker = crate::permit::person(ground.state, ground.entry.actor)?;
    let at = ground.entry.at;
    let fault_at = at.plus_ms(plan.announce_ms);
    let whole_ms = plan.fault_ms + plan.gap_max_ms + Drill::AFTERWARDS_MS;
    Ok(Drill {
        id: DrillId(ground.index.0),
        stage: DrillStage::Announced,
        asked_by: asker.id,
        announced_at: at,
        fault_at,
        ends_by: fault_at.plus_ms(whole_ms),
        plan,
        begun: None,
        runner: None,
        aborted: None,
        steps: Vec::new(),
        probes: Vec::new(),
        faults: Vec::new(),
        measured: Vec::new(),
        restored: None,
        healed_ms: None,
        ending: None,
    })
}

/// The drill, if there is such a one.
fn known(ground: Ground<'_>, id: DrillId) -> Result<&Drill, Refusal> {
    let drill = ground.state.drills.get(&id);
    drill.ok_or_else(|| Refusal::not_found("drill", id))
}

/// The drill, if it is under way.
fn running(ground: Ground<'_>, id: DrillId) -> Result<&Drill, Refusal> {
    let drill = known(ground, id)?;
    if drill.runs() {
        return Ok(drill);
    }
    Err(DrillRefusal::Ended { drill: id }.into())
}

fn not_now<T>(drill: DrillId, cause: &str) -> Result<T, Refusal> {
    let cause = cause.to_owned();
    Err(DrillRefusal::NotNow { drill, cause }.into())
}

/// The fault begins, unless the announcement must stand longer, or the cluster is not what it was.
fn begin(
    ground: Ground<'_>,
    id: DrillId,
    runner: MasterId,
    group: &GroupView,
) -> Result<Vec<DrillEvent>, Refusal> {
    let drill = running(ground, id)?;
    if drill.stage != DrillStage::Announced {
        return Ok(Vec::new());
    }
    if ground.entry.at < drill.fault_at {
        return not_now(id, "its announcement has not stood as long as was said");
    }
    fitness::check(ground.state, drill.plan.kind, &drill.plan.targets, group)?;
    let Some(leader) = group.leader() else {
        return not_now(id, "nobody leads");
    };
    let begun = DrillBegun {
        at: ground.entry.at,
        term: group.term,
        leader,
        vnodes_running: vnodes_running(ground.state),
    };
    let loss = loss::begun(ground.state, drill)?;
    let begun = DrillEvent::Begun {
        drill: id,
        runner,
        begun,
    };
    Ok([begun].into_iter().chain(loss).collect())
}

/// Vnodes that are to run and do.
fn vnodes_running(state: &State) -> u32 {
    let running = state.vnodes.values().filter(|vnode| vnode.runs());
    u32::try_from(running.count()).unwrap_or(u32::MAX)
}

/// Vnodes that are to run, were there when the fault began, and were seen to do something else since.
fn vnodes_stopped(state: &State, drill: &Drill) -> u32 {
    let Some(begun) = &drill.begun else { return 0 };
    let stopped = |vnode: &&crate::model::Vnode| {
        vnode.wanted == VnodeWanted::Running
            && vnode.created_at < begun.at
            && vnode.seen != VnodeSeen::Running
            && vnode.seen_at >= begun.at
    };
    u32::try_from(state.vnodes.values().filter(stopped).count()).unwrap_or(u32::MAX)
}

fn take_over(drill: &Drill, runner: MasterId) -> Vec<DrillEvent> {
    if drill.stage == DrillStage::Announced || drill.runner == Some(runner) {
        return Vec::new();
    }
    vec![DrillEvent::TakenOver {
        drill: drill.id,
        runner,
    }]
}

fn probe(
    ground: Ground<'_>,
    id: DrillId,
    prober: Prober,
    sequence: u32,
) -> Result<Vec<DrillEvent>, Refusal> {
    its_own(ground, prober)?;
    let drill = running(ground, id)?;
    let empty = Runs::default();
    let recorded = drill.probes_of(prober).unwrap_or(&empty);
    if recorded.contains(sequence) {
        return Ok(Vec::new());
    }
    if recorded.runs() >= Runs::COUNT_MAX {
        return Err(exhausted("probes with gaps", id));
    }
    Ok(vec![DrillEvent::Probed {
        drill: id,
        prober,
        sequence,
    }])
}

fn exhausted(what: &str, id: DrillId) -> Refusal {
    Refusal::Exhausted {
        what: what.to_owned(),
        scope: format!("drill {id}"),
    }
}

/// A master speaks for itself only; that a client is an admin the table has seen to.
fn its_own(ground: Ground<'_>, prober: Prober) -> Result<(), Refusal> {
    match prober {
        Prober::Client => Ok(()),
        Prober::Master(master) => spoken_by(ground, master),
    }
}

fn spoken_by(ground: Ground<'_>, master: MasterId) -> Result<(), Refusal> {
    if ground.entry.actor == Actor::Door(master) && ground.state.masters.contains_key(&master) {
        return Ok(());
    }
    Err(Refusal::NotPermitted {
        action: ground.entry.command.name().to_owned(),
        needed: "that master".to_owned(),
    })
}

fn report_fault(
    ground: Ground<'_>,
    id: DrillId,
    report: &FaultReport,
) -> Result<Vec<DrillEvent>, Refusal> {
    spoken_by(ground, report.master)?;
    let drill = running(ground, id)?;
    if let FaultEnd::Told { cause } | FaultEnd::NotDone { cause } = &report.end {
        plain_text("a report", cause, TEXT_BYTES_MAX)?;
    }
    let again = drill.faults.iter().any(|f| f.master == report.master);
    if again || !drill.targets(report.master) {
        return Ok(Vec::new());
    }
    Ok(vec![DrillEvent::FaultReported {
        drill: id,
        report: report.clone(),
    }])
}

fn report_restore(
    ground: Ground<'_>,
    id: DrillId,
    report: &RestoreReport,
) -> Result<Vec<DrillEvent>, Refusal> {
    spoken_by(ground, report.master)?;
    let drill = running(ground, id)?;
    if let Err(cause) = &report.outcome {
        plain_text("a report", cause, TEXT_BYTES_MAX)?;
    }
    if drill.plan.kind != DrillKind::Restore || drill.restored.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![DrillEvent::Restored {
        drill: id,
        report: report.clone(),
    }])
}

/// What was not begun is over at once; what was is healed and looked at first.
fn abort(ground: Ground<'_>, id: DrillId, reason: &DrillAbort) -> Result<Vec<DrillEvent>, Refusal> {
    let drill = running(ground, id)?;
    if let DrillAbort::Unwell { cause } = reason {
        plain_text("a cause", cause, TEXT_BYTES_MAX)?;
    }
    let asked = ground.entry.actor.user();
    let reason = asked.map_or_else(|| reason.clone(), |user| DrillAbort::Asked { user });
    let aborted = DrillEvent::Aborted {
        drill: id,
        reason: reason.clone(),
    };
    match drill.stage {
        DrillStage::Announced => {
            let ending = judge::unbegun(drill, reason, ground.entry.at);
            let ending = Box::new(ending);
            Ok(vec![aborted, DrillEvent::Ended { drill: id, ending }])
        }
        DrillStage::Fault => Ok(vec![aborted]),
        DrillStage::Healing | DrillStage::Checking | DrillStage::Ended => Ok(Vec::new()),
    }
}

fn check(
    ground: Ground<'_>,
    id: DrillId,
    healed_ms: Option<u64>,
) -> Result<Vec<DrillEvent>, Refusal> {
    let drill = running(ground, id)?;
    match drill.stage {
        DrillStage::Announced => not_now(id, "it has not begun"),
        DrillStage::Fault | DrillStage::Healing => Ok(vec![DrillEvent::Checking {
            drill: id,
            healed_ms,
        }]),
        DrillStage::Checking | DrillStage::Ended => Ok(Vec::new()),
    }
}

fn report_probes(
    ground: Ground<'_>,
    id: DrillId,
    report: &ProbeReport,
) -> Result<Vec<DrillEvent>, Refusal> {
    its_own(ground, report.prober)?;
    let drill = running(ground, id)?;
    if !report.acked.is_sound() || report.acked.count() > u64::from(report.sent) {
        return Err(Refusal::Malformed {
            what: "a report of probes".to_owned(),
            cause: "its acknowledged numbers are not in order".to_owned(),
        });
    }
    if drill.measured.iter().any(|m| m.prober == report.prober) {
        return Ok(Vec::new());
    }
    Ok(vec![DrillEvent::Measured {
        drill: id,
        report: report.clone(),
    }])
}

fn finish(
    ground: Ground<'_>,
    id: DrillId,
    checks: &[MasterCheck],
    term: u64,
    leader: Option<MasterId>,
) -> Result<Vec<DrillEvent>, Refusal> {
    let drill = running(ground, id)?;
    in_range("checks", checks.len() as u64, 0..=CHECKS_MAX, "masters")?;
    let late = ground.entry.at > drill.ends_by;
    if drill.stage != DrillStage::Checking && !late {
        return not_now(id, "its checks have not begun");
    }
    let after = judge::Afterwards {
        at: ground.entry.at,
        checks,
        term,
        leader,
        vnodes_running: vnodes_running(ground.state),
        vnodes_stopped: vnodes_stopped(ground.state, drill),
        loss: loss::reasons(ground.state, drill),
        silent_ms: loss::silent_ms(ground.state, id),
    };
    let ending = Box::new(judge::judge(drill, &after));
    Ok(vec![DrillEvent::Ended { drill: id, ending }])
}
