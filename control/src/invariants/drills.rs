//! What must hold of drills.

use crate::model::drill::{Drill, DrillBegun, DrillKind, DrillStage};
use crate::state::State;

/// One drill at a time, no fault without its announcement, a verdict exactly at the end, and bounds on what is kept.
pub(super) fn drills_are_sound(state: &State, broken: &mut Vec<String>) {
    let running = state.drills.values().filter(|drill| drill.runs()).count();
    let the_newest = state.running_drill().is_some() as usize;
    if running != the_newest || state.drills.len() > Drill::KEPT_MAX {
        broken.push(format!("{running} drills run, of {}", state.drills.len()));
    }
    for loss in state.losses.values() {
        let drill = state.drills.get(&loss.drill);
        if drill.is_none_or(|drill| drill.plan.kind != DrillKind::WorkerLoss) {
            broken.push(format!("the loss of drill {} is not sound", loss.drill));
        }
    }
    for drill in state.drills.values() {
        let early = |begun: &DrillBegun| begun.at < drill.fault_at;
        let ended = drill.ending.is_some() == (drill.stage == DrillStage::Ended);
        let probed = drill.runs() || drill.probes.is_empty();
        let measured = drill.measured.iter().all(|report| report.acked.is_sound());
        let bounded = drill.steps.len() <= Drill::STEPS_MAX;
        let sound = ended && probed && measured && bounded;
        if !sound || drill.begun.as_ref().is_some_and(early) {
            broken.push(format!("drill {} is not sound", drill.id));
        }
    }
}

/// What ended stays as it is, and no stage comes back.
pub(super) fn drills_go_forward(before: &State, after: &State, broken: &mut Vec<String>) {
    for old in before.drills.values() {
        let Some(new) = after.drills.get(&old.id) else {
            continue;
        };
        let rewritten = !old.runs() && old != new;
        if rewritten || new.stage < old.stage || new.plan != old.plan {
            broken.push(format!("drill {} went back", old.id));
        }
    }
}
