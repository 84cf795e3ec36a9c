//! Drills that make a worker look lost: which worker, what that costs, what is reported of it, and what to think of it.

use super::{TEXT_BYTES_MAX, exhausted, running, spoken_by};
use crate::decide::{Ground, in_range, plain_text};
use crate::drill::command::DrillAsk;
use crate::drill::event::DrillEvent;
use crate::drill::loss::noted;
use crate::drill::refusal::DrillRefusal;
use crate::id::{DrillId, MasterId, VnodeId, WorkerId};
use crate::lost;
use crate::model::drill::{Drill, DrillKind, DrillMark, DrillReason, DrillStage, FaultEnd};
use crate::model::{
    LostVnode, VnodeService, VnodeWanted, Worker, WorkerFault, WorkerLoss, WorkerStatus,
};
use crate::refusal::Refusal;
use crate::state::State;

/// From the placement of a vnode elsewhere until it runs, with its image at hand.
const START_MS: u64 = 1_500;
/// So long a worker must stay silent beyond what makes it count as lost.
const BEYOND_MS: u64 = 1_000;
/// No fault is longer: see [`super::FAULT_MS`].
const FAULT_MS_MAX: u64 = 60_000;

/// The worker that is meant, if it can be spared for a while.
pub(super) fn target(state: &State, ask: &DrillAsk) -> Result<Option<WorkerId>, Refusal> {
    if ask.kind != DrillKind::WorkerLoss {
        return Ok(None);
    }
    let worker = match &ask.target {
        Some(name) => {
            let mut workers = state.workers.values();
            let named = workers.find(|worker| worker.name.as_str() == name);
            named.ok_or_else(|| Refusal::not_found("worker", name.escape_debug()))?
        }
        None => usual(state).ok_or_else(|| unwell("no worker is up"))?,
    };
    check(state, worker)?;
    let fault_ms_min = lost::down_ms(state).saturating_add(BEYOND_MS);
    in_range("fault", ask.fault_ms, fault_ms_min..=FAULT_MS_MAX, "ms")?;
    Ok(Some(worker.id))
}

/// Of the workers that are up the one with the fewest vnodes that run, but some if any has.
fn usual(state: &State) -> Option<&Worker> {
    let up = state.workers.values().filter(|worker| is_up(worker));
    up.min_by_key(|worker| {
        let running = state
            .vnodes_on(worker.id)
            .filter(|vnode| vnode.runs())
            .count();
        (running == 0, running, worker.id)
    })
}

fn is_up(worker: &Worker) -> bool {
    worker.status == WorkerStatus::Up
}

fn unwell(cause: impl Into<String>) -> Refusal {
    let cause = cause.into();
    DrillRefusal::Unwell { cause }.into()
}

fn check(state: &State, worker: &Worker) -> Result<(), Refusal> {
    if !is_up(worker) {
        return Err(unwell(format!("{} is not up", worker.name)));
    }
    if state.moves_at(worker.id).next().is_some() {
        let cause = format!("vnodes move to {} or away from it", worker.name);
        return Err(unwell(cause));
    }
    Ok(())
}

/// How long vnodes that begin anew elsewhere will be away; refuses if that was not accepted.
pub(super) fn accept(state: &State, worker: WorkerId, ask: &DrillAsk) -> Result<u64, Refusal> {
    let there = state.vnodes_on(worker);
    let restarting = there.filter(|vnode| lost::is_restartable(state, vnode));
    let vnodes = u32::try_from(restarting.count()).unwrap_or(u32::MAX);
    let after_ms = lost::restart_ms(state);
    // A fault that is over before then restarts nothing.
    if vnodes == 0 || ask.fault_ms < after_ms {
        return Ok(0);
    }
    let estimate_ms = after_ms.saturating_add(START_MS);
    if estimate_ms <= ask.gap_max_ms {
        return Ok(estimate_ms);
    }
    let refusal = DrillRefusal::RestartsVnodes {
        worker: state.worker_called(worker),
        vnodes,
        estimate_ms,
        accepted_ms: ask.gap_max_ms,
    };
    Err(refusal.into())
}

/// What is added when such a drill is announced.
pub(super) fn announced(drill: DrillId, worker: WorkerId) -> DrillEvent {
    changed(WorkerLoss::announced(drill, worker), Vec::new())
}

fn changed(loss: WorkerLoss, marks: Vec<DrillMark>) -> DrillEvent {
    let loss = Box::new(loss);
    DrillEvent::Loss { loss, marks }
}

/// What is added when its fault begins: what runs there now.
pub(super) fn begun(state: &State, drill: &Drill) -> Result<Option<DrillEvent>, Refusal> {
    let Some(loss) = state.losses.get(&drill.id) else {
        return Ok(None);
    };
    let worker = state.workers.get(&loss.worker);
    check(
        state,
        worker.ok_or_else(|| unwell("the worker was removed"))?,
    )?;
    let there = state.vnodes_on(loss.worker).filter(|vnode| vnode.runs());
    let vnodes = there.filter_map(|vnode| {
        let lost = LostVnode {
            epoch: vnode.placement?.epoch,
            restarts: lost::is_restartable(state, vnode),
            again: None,
        };
        Some((vnode.id, lost))
    });
    let loss = WorkerLoss {
        vnodes: vnodes.collect(),
        ..loss.clone()
    };
    Ok(Some(changed(loss, Vec::new())))
}

/// Something is new.
pub(super) fn note(ground: Ground<'_>, id: DrillId) -> Result<Vec<DrillEvent>, Refusal> {
    let drill = running(ground, id)?;
    let new = match drill.stage {
        DrillStage::Fault | DrillStage::Healing => noted(ground.state, drill),
        DrillStage::Announced | DrillStage::Checking | DrillStage::Ended => None,
    };
    let event = new.map(|(loss, marks)| changed(loss, marks));
    Ok(event.into_iter().collect())
}

/// The worker says what it did.
pub(super) fn report(
    ground: Ground<'_>,
    id: DrillId,
    worker: WorkerId,
    fault: &WorkerFault,
) -> Result<Vec<DrillEvent>, Refusal> {
    running(ground, id)?;
    if let FaultEnd::Told { cause } | FaultEnd::NotDone { cause } = &fault.end {
        plain_text("a report", cause, TEXT_BYTES_MAX)?;
    }
    let loss = ground.state.losses.get(&id);
    let loss = loss.filter(|loss| loss.worker == worker && loss.fault.is_none());
    let event = loss.map(|loss| {
        let fault = Some(fault.clone());
        let loss = WorkerLoss {
            fault,
            ..loss.clone()
        };
        changed(loss, vec![DrillMark::WorkerHealed])
    });
    Ok(event.into_iter().collect())
}

/// A master says what it saw of vnodes that ran there.
pub(super) fn report_service(
    ground: Ground<'_>,
    id: DrillId,
    master: MasterId,
    seen: &[(VnodeId, VnodeService)],
) -> Result<Vec<DrillEvent>, Refusal> {
    spoken_by(ground, master)?;
    running(ground, id)?;
    if seen.len() > VnodeService::VNODES_MAX {
        return Err(exhausted("vnodes that are asked", id));
    }
    let loss = ground.state.losses.get(&id);
    let Some(loss) = loss.filter(|loss| !loss.seen.contains_key(&master)) else {
        return Ok(Vec::new());
    };
    let mut loss = loss.clone();
    let there = seen
        .iter()
        .filter(|(vnode, _)| loss.vnodes.contains_key(vnode));
    let there = there.copied().collect();
    loss.seen.insert(master, there);
    Ok(vec![changed(loss, Vec::new())])
}

/// For how long the worker says that it was silent.
pub(super) fn silent_ms(state: &State, drill: DrillId) -> Option<u64> {
    state.losses.get(&drill)?.fault.as_ref()?.held_ms
}

/// What is not as it should be.
pub(super) fn reasons(state: &State, drill: &Drill) -> Vec<DrillReason> {
    let Some((loss, begun)) = state.losses.get(&drill.id).zip(drill.begun) else {
        return Vec::new();
    };
    let mut reasons = Vec::new();
    let whole = drill.aborted.is_none();
    let not_done = |cause: &str| DrillReason::WorkerNotDone {
        cause: cause.to_owned(),
    };
    match loss.fault.as_ref().map(|fault| &fault.end) {
        None => reasons.push(not_done("it did not say what it did")),
        Some(FaultEnd::Time) => {}
        Some(_) if !whole => {}
        Some(FaultEnd::NotDone { cause }) => reasons.push(not_done(cause)),
        Some(FaultEnd::Told { cause }) => {
            reasons.push(not_done(&format!("it was ended early: {cause}")));
        }
        Some(FaultEnd::Silence) => {
            reasons.push(not_done("it ended early, as no master answered it"));
        }
    }
    if whole && reasons.is_empty() && loss.down_at.is_none() {
        reasons.push(DrillReason::WorkerNotLost);
    }
    let worker = state.workers.get(&loss.worker);
    if worker.is_some_and(|worker| !is_up(worker)) {
        reasons.push(DrillReason::WorkerNotBack);
    }
    // A fault that was shorter than what is waited for restarts nothing.
    let held_ms = loss.fault.as_ref().and_then(|fault| fault.held_ms);
    let long = held_ms.is_some_and(|held_ms| held_ms > lost::restart_ms(state) + BEYOND_MS);
    let stays = |id: &VnodeId| {
        let vnode = state.vnodes.get(id);
        vnode.is_some_and(|vnode| vnode.wanted == VnodeWanted::Running)
    };
    let left = loss
        .restarting()
        .filter(|(id, vnode)| vnode.again.is_none() && stays(id));
    let vnodes = u32::try_from(left.count()).unwrap_or(u32::MAX);
    if whole && long && vnodes > 0 {
        reasons.push(DrillReason::NotElsewhere { vnodes });
    }
    let away = loss.restarting().filter_map(|(id, vnode)| {
        let (_, at) = vnode.again?;
        Some((at.since_ms(begun.at), *id))
    });
    if let Some((away_ms, vnode)) = away.max()
        && away_ms > drill.plan.gap_max_ms
    {
        reasons.push(DrillReason::AwayTooLong { vnode, away_ms });
    }
    reasons
}
