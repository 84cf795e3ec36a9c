//! A worker that looks lost: what it is told, what is new of it, and when all is over. Pure functions of the state.

use crate::id::{UnixMs, VnodeId, WorkerId};
use crate::model::drill::{DrillKind, DrillMark, DrillStage};
use crate::model::{Drill, DrillOrder, LostVnode, Vnode, VnodeWanted, WorkerLoss, WorkerStatus};
use crate::state::State;

/// What a worker is told to do to itself, until it has said what it did.
#[must_use]
pub fn order(state: &State, worker: WorkerId) -> Option<DrillOrder> {
    let drill = state.running_drill()?;
    let loss = state.losses.get(&drill.id)?;
    let due = matches!(drill.stage, DrillStage::Fault | DrillStage::Healing);
    (due && loss.worker == worker && loss.fault.is_none()).then_some(DrillOrder {
        drill: drill.id,
        fault_ms: drill.plan.fault_ms,
        over: drill.stage == DrillStage::Healing,
    })
}

/// The record with what is so by now, and what that adds to the drill's steps; none if it says that already.
#[must_use]
pub fn noted(state: &State, drill: &Drill) -> Option<(WorkerLoss, Vec<DrillMark>)> {
    let before = state.losses.get(&drill.id)?;
    let worker = state.workers.get(&before.worker)?;
    let mut loss = before.clone();
    let mut marks = Vec::new();
    let down = worker.status == WorkerStatus::Down;
    if down && loss.down_at.is_none() {
        loss.down_at = Some(worker.status_since);
        marks.push(DrillMark::WorkerLost);
    }
    let up = worker.status == WorkerStatus::Up;
    if up && loss.down_at.is_some() && loss.back_at.is_none() {
        loss.back_at = Some(worker.status_since);
        marks.push(DrillMark::WorkerBack);
    }
    for (id, lost) in &before.vnodes {
        if let Some(again) = ran_again(state, *id, lost) {
            let again = Some(again);
            loss.vnodes.insert(*id, LostVnode { again, ..*lost });
        }
    }
    let all = |loss: &WorkerLoss| loss.restarting().all(|(_, vnode)| vnode.again.is_some());
    if all(&loss) && !all(before) {
        marks.push(DrillMark::AllElsewhere);
    }
    (loss != *before).then_some((loss, marks))
}

fn ran_again(state: &State, id: VnodeId, lost: &LostVnode) -> Option<(WorkerId, UnixMs)> {
    let vnode = state.vnodes.get(&id)?;
    let placed = vnode.placement?;
    let anew = placed.epoch > lost.epoch && vnode.runs();
    (anew && lost.again.is_none()).then_some((placed.worker, vnode.seen_at))
}

/// Whether the worker is back and its vnodes do what they are to do.
#[must_use]
pub fn is_over(state: &State, drill: &Drill) -> bool {
    if drill.plan.kind != DrillKind::WorkerLoss {
        return false;
    }
    let Some(loss) = state.losses.get(&drill.id) else {
        return true;
    };
    let worker = state.workers.get(&loss.worker);
    let up = worker.is_none_or(|worker| worker.status == WorkerStatus::Up);
    let vnodes = loss.vnodes.keys().filter_map(|id| state.vnodes.get(id));
    let settled = |vnode: &Vnode| vnode.wanted != VnodeWanted::Running || vnode.runs();
    loss.fault.is_some() && up && vnodes.into_iter().all(settled)
}

/// Whether a master that watches the worker's vnodes has not said yet what it saw.
#[must_use]
pub fn is_service_missing(state: &State, drill: &Drill) -> bool {
    let loss = state.losses.get(&drill.id);
    let silent = |loss: &WorkerLoss| {
        let mut probers = drill.plan.probers.iter();
        probers.any(|prober| !loss.seen.contains_key(prober))
    };
    loss.is_some_and(silent)
}

/// The drill that makes a worker look lost, as long as its vnodes are to be watched.
#[must_use]
pub fn watched(state: &State) -> Option<(&Drill, &WorkerLoss)> {
    let drill = state.running_drill()?;
    let loss = state.losses.get(&drill.id)?;
    let on = matches!(drill.stage, DrillStage::Fault | DrillStage::Healing);
    on.then_some((drill, loss))
}
