//! Drills: their record grows until they end.

use crate::drill::event::DrillEvent;
use crate::id::{DrillId, MasterId, UnixMs};
use crate::model::drill::{
    Drill, DrillBegun, DrillEnding, DrillMark, DrillStage, DrillStep, ProbeLog, Prober,
};
use crate::model::runs::Runs;
use crate::state::State;

pub(super) fn evolve(state: &mut State, at: UnixMs, event: DrillEvent) {
    match event {
        DrillEvent::Announced { drill } => {
            let id = drill.id;
            state.put_drill(*drill);
            forget_oldest(state);
            marked(state, at, id, DrillMark::Announced, |_| {});
        }
        DrillEvent::Begun {
            drill,
            runner,
            begun,
        } => {
            let mark = DrillMark::Begun { runner };
            marked(state, at, drill, mark, |drill| begin(drill, runner, begun));
        }
        DrillEvent::TakenOver { drill, runner } => {
            let mark = DrillMark::TakenOver { runner };
            marked(state, at, drill, mark, |drill| drill.runner = Some(runner));
        }
        DrillEvent::Probed {
            drill,
            prober,
            sequence,
        } => changed(state, drill, |drill| probed(drill, prober, sequence)),
        DrillEvent::FaultReported { drill, report } => {
            let mark = DrillMark::Healed {
                master: report.master,
            };
            marked(state, at, drill, mark, |drill| drill.faults.push(report));
        }
        DrillEvent::Restored { drill, report } => {
            marked(state, at, drill, DrillMark::Restored, |drill| {
                drill.restored = Some(report);
            });
        }
        DrillEvent::Aborted { drill, reason } => {
            marked(state, at, drill, DrillMark::Aborted, |drill| {
                drill.stage = DrillStage::Healing;
                drill.aborted = Some(reason);
            });
        }
        DrillEvent::Checking { drill, healed_ms } => {
            marked(state, at, drill, DrillMark::Checking, |drill| {
                drill.stage = DrillStage::Checking;
                drill.healed_ms = healed_ms;
            });
        }
        DrillEvent::Measured { drill, report } => {
            let mark = DrillMark::Measured {
                prober: report.prober,
            };
            marked(state, at, drill, mark, |drill| drill.measured.push(report));
        }
        DrillEvent::Ended { drill, ending } => {
            marked(state, at, drill, DrillMark::Ended, |drill| {
                end(drill, *ending)
            });
        }
        DrillEvent::Loss { loss, marks } => {
            let drill = loss.drill;
            if state.drills.contains_key(&drill) {
                state.put_loss(*loss);
            }
            for mark in marks {
                marked(state, at, drill, mark, |_| {});
            }
        }
    }
}

fn forget_oldest(state: &mut State) {
    while state.drills.len() > Drill::KEPT_MAX {
        let Some(oldest) = state.drills.first().map(|(id, _)| *id) else {
            return;
        };
        state.remove_drill(&oldest);
        state.remove_loss(&oldest);
    }
}

fn changed(state: &mut State, id: DrillId, change: impl FnOnce(&mut Drill)) {
    if let Some(drill) = state.drills.get_mut(&id) {
        change(drill);
    }
}

/// Changes a drill and notes when.
fn marked(
    state: &mut State,
    at: UnixMs,
    id: DrillId,
    what: DrillMark,
    change: impl FnOnce(&mut Drill),
) {
    changed(state, id, |drill| {
        change(drill);
        if drill.steps.len() < Drill::STEPS_MAX {
            drill.steps.push(DrillStep { at, what });
        }
    });
}

fn begin(drill: &mut Drill, runner: MasterId, begun: DrillBegun) {
    drill.stage = DrillStage::Fault;
    drill.runner = Some(runner);
    drill.begun = Some(begun);
}

fn probed(drill: &mut Drill, prober: Prober, sequence: u32) {
    match drill.probes.iter_mut().find(|log| log.prober == prober) {
        Some(log) => log.recorded.insert(sequence),
        None => drill.probes.push(ProbeLog {
            prober,
            recorded: Runs::from_iter([sequence]),
        }),
    }
}

fn end(drill: &mut Drill, ending: DrillEnding) {
    drill.stage = DrillStage::Ended;
    drill.probes.clear();
    drill.ending = Some(ending);
}
