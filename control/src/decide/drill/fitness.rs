//! Whether the cluster is well enough for a drill, and who does the fault to itself.

use crate::drill::command::{DrillAsk, GroupView};
use crate::drill::refusal::DrillRefusal;
use crate::id::MasterId;
use crate::model::Autopilot;
use crate::model::drill::{Drill, DrillKind};
use crate::quorum::Seat;
use crate::refusal::Refusal;
use crate::state::State;

/// With fewer voters than this, none can be spared.
const VOTERS_MIN: usize = 3;

/// Who does the fault to itself.
pub(super) fn targets(
    state: &State,
    ask: &DrillAsk,
    group: &GroupView,
) -> Result<Vec<MasterId>, Refusal> {
    let leader = group.leader().ok_or_else(|| unwell("nobody leads it"))?;
    match ask.kind {
        DrillKind::Restore | DrillKind::WorkerLoss => Ok(Vec::new()),
        DrillKind::QuorumLoss => Ok(majority(group, leader)),
        DrillKind::LeaderLoss | DrillKind::Partition => {
            let Some(name) = &ask.target else {
                return Ok(vec![leader]);
            };
            let named = state.masters.values().find(|m| m.name.as_str() == name);
            let master = named.ok_or_else(|| Refusal::not_found("master", name.escape_debug()))?;
            Ok(vec![master.id])
        }
    }
}

/// So many voters that the rest is no majority. The leader stays, so that there is somebody to be cut off.
fn majority(group: &GroupView, leader: MasterId) -> Vec<MasterId> {
    let voters = group.voters().count();
    let others = group.voters().map(|seat| seat.master);
    let others = others.filter(|master| *master != leader);
    others.take(voters - voters / 2).collect()
}

/// Who measures: voters outside of the fault, not too many of them.
pub(super) fn probers(targets: &[MasterId], group: &GroupView) -> Vec<MasterId> {
    let voters = group.voters().map(|seat| seat.master);
    let outside = voters.filter(|master| !targets.contains(master));
    outside.take(Drill::PROBERS_MAX).collect()
}

fn unwell(cause: impl Into<String>) -> Refusal {
    let cause = cause.into();
    DrillRefusal::Unwell { cause }.into()
}

/// Refuses a drill on a cluster that could not stand it.
pub(super) fn check(
    state: &State,
    kind: DrillKind,
    targets: &[MasterId],
    group: &GroupView,
) -> Result<(), Refusal> {
    let leader = group.leader().ok_or_else(|| unwell("nobody leads it"))?;
    let policy = state.autopilot();
    let behind = |seat: &&Seat| !seat.follows_closely(policy);
    if let Some(seat) = group.voters().find(behind) {
        let name = name(state, seat.master);
        return Err(unwell(format!("{name} {}", complaint(seat, policy))));
    }
    let voters = group.voters().count();
    // These leave all masters alone.
    if matches!(kind, DrillKind::Restore | DrillKind::WorkerLoss) {
        return Ok(());
    }
    if voters < VOTERS_MIN {
        return Err(unwell(format!(
            "of the {VOTERS_MIN} voters that it needs at least it has {voters}"
        )));
    }
    match kind {
        DrillKind::QuorumLoss | DrillKind::Restore | DrillKind::WorkerLoss => {}
        DrillKind::LeaderLoss if targets != [leader] => {
            let name = name(state, leader);
            return Err(unwell(format!("{name} leads, and leader-loss is for it")));
        }
        DrillKind::LeaderLoss | DrillKind::Partition => {
            let left = voters.saturating_sub(targets.len());
            if left <= voters / 2 {
                return Err(unwell(format!(
                    "it has {voters} voters, and without the target they are no majority"
                )));
            }
        }
    }
    let votes = |id: &MasterId| group.voters().any(|seat| seat.master == *id);
    match targets.iter().find(|id| !votes(id)) {
        Some(id) => Err(unwell(format!("{} does not vote", name(state, *id)))),
        None => Ok(()),
    }
}

fn complaint(seat: &Seat, policy: Autopilot) -> String {
    if seat.leads || seat.silent_ms <= policy.contact_ms {
        return format!("lacks {} entries", seat.lag);
    }
    format!("has not answered the leader for {} ms", seat.silent_ms)
}

/// The master's name, as far as the log knows it.
fn name(state: &State, id: MasterId) -> String {
    let master = state.masters.get(&id);
    master.map_or_else(|| format!("master {id}"), |m| m.name.to_string())
}
