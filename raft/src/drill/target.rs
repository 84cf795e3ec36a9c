//! A target does the fault to itself: it stops its process or shuts its gate, and takes that back when the time is
//! over, when its lifeline says so, or when nobody answers the lifeline.

use std::time::{Duration, Instant};

use docklet_control::drill::command::DrillCommand;
use docklet_control::model::Drill;
use docklet_control::model::drill::{DrillCut, DrillKind, DrillStage, FaultEnd, FaultReport};
use docklet_link::gate::Barred;

use super::lifeline::{Lifeline, Outside};
use super::stop;
use crate::master::Master;

/// An order that is older is not carried out: this master lagged, or its clock is wrong.
const ORDER_MS_MAX: u64 = 2_000;
/// How often a target looks whether somebody asked it to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LEAD: Duration = Duration::from_millis(Drill::LEAD_MS);

/// Carries the order out and says what came of it.
pub async fn run(master: Master, drill: Drill) {
    let (held, end) = match carry_out(&master, &drill).await {
        Ok((held, end)) => (Some(held), end),
        Err(cause) => (None, FaultEnd::NotDone { cause }),
    };
    tracing::warn!(drill = %drill.id, ?held, ?end, "this master's fault is over");
    let held_ms = held.map(|held| u64::try_from(held.as_millis()).unwrap_or(u64::MAX));
    let report = FaultReport {
        master: master.id(),
        held_ms,
        end,
    };
    let drill = drill.id;
    let command = DrillCommand::ReportFault { drill, report };
    master.report_drill(command).await;
}

/// How long the fault held and what ended it; or why it did not begin.
async fn carry_out(master: &Master, drill: &Drill) -> Result<(Duration, FaultEnd), String> {
    let desk = &master.inner.desk;
    let begun = drill.begun.as_ref().ok_or("it has not begun")?.at;
    let age_ms = master.now().since_ms(begun);
    if age_ms > ORDER_MS_MAX {
        return Err(format!("the order came {age_ms} ms late"));
    }
    if begun <= desk.started_at {
        return Err("this master was started after the order".to_owned());
    }
    let means = desk.means.as_ref().ok_or("this master can't be cut off")?;
    let others = outside(master, drill);
    let fault = Duration::from_millis(drill.plan.fault_ms);
    let warned = tokio::time::sleep(LEAD);
    tracing::warn!(drill = %drill.id, kind = drill.plan.kind.word(), ?fault, "this master does a fault to itself");
    match (drill.plan.kind, desk.helper.get()) {
        (DrillKind::LeaderLoss, Some(program)) => {
            let helper = stop::Helper::start(program, &means.dir, drill.id, &others).await?;
            warned.await;
            helper.stop_this_process(fault).await
        }
        (DrillKind::LeaderLoss | DrillKind::Partition | DrillKind::QuorumLoss, _) => {
            let (around, own) = (means.around.clone(), master.inner.identity);
            let lifeline = Lifeline::tie(around, own, drill.id, &others).await?;
            warned.await;
            let shut = means.gate.shut(barred(drill));
            let held = cut_off(master, drill, lifeline, fault).await;
            drop(shut);
            Ok(held)
        }
        (DrillKind::Restore | DrillKind::WorkerLoss, _) => {
            Err("such a drill has no target among the masters".to_owned())
        }
    }
}

/// Masters that are outside of the fault.
fn outside(master: &Master, drill: &Drill) -> Vec<Outside> {
    let state = master.local().state;
    let members = master.other_members();
    let others = state.masters.values().filter(|other| {
        other.id != master.id() && !drill.targets(other.id) && members.contains_key(&other.id.0)
    });
    others
        .map(|other| Outside {
            id: other.id,
            addr: other.cluster_addr.clone(),
        })
        .collect()
}

/// Waits while the gate is shut. It opens whatever happens to this task.
async fn cut_off(
    master: &Master,
    drill: &Drill,
    lifeline: Lifeline,
    fault: Duration,
) -> (Duration, FaultEnd) {
    let began = Instant::now();
    let end = tokio::select! {
        () = tokio::time::sleep(fault) => FaultEnd::Time,
        end = lifeline.gives_way() => end,
        () = is_told(master, drill) => FaultEnd::Told {
            cause: "the drill was aborted".to_owned(),
        },
    };
    (began.elapsed(), end)
}

/// Waits until this very master hears that the drill is aborted: from the others, if it hears them, or from a person.
pub(super) async fn is_told(master: &Master, drill: &Drill) {
    let asked_here = async {
        while !master.inner.desk.is_unwanted(drill.id) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        () = asked_here => {}
        () = master.drill_leaves(drill.id, &[DrillStage::Fault]) => {}
    }
}

fn barred(drill: &Drill) -> Barred {
    match (drill.plan.kind, drill.plan.cut) {
        (DrillKind::Partition, DrillCut::In) => Barred {
            inward: true,
            outward: false,
        },
        (DrillKind::Partition, DrillCut::Out) => Barred {
            inward: false,
            outward: true,
        },
        (DrillKind::Partition, DrillCut::Both)
        | (
            DrillKind::LeaderLoss
            | DrillKind::QuorumLoss
            | DrillKind::Restore
            | DrillKind::WorkerLoss,
            _,
        ) => Barred::BOTH,
    }
}
