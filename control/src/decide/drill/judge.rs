//! The verdict on a drill, from what was reported of it.

use crate::id::{LogIndex, MasterId, UnixMs};
use crate::model::drill::{
    Drill, DrillAbort, DrillEnding, DrillFigures, DrillKind, DrillReason, FaultEnd, MasterCheck,
    ProbeFigures, Prober, Verdict,
};
use crate::rows::StateHash;

/// What is known when all is over.
pub(super) struct Afterwards<'c> {
    pub(super) at: UnixMs,
    pub(super) checks: &'c [MasterCheck],
    pub(super) term: u64,
    pub(super) leader: Option<MasterId>,
    pub(super) vnodes_running: u32,
    /// Those that are to run and ended since the fault began.
    pub(super) vnodes_stopped: u32,
    /// What is not as it should be of a worker that was to look lost.
    pub(super) loss: Vec<DrillReason>,
    /// For how long it was silent.
    pub(super) silent_ms: Option<u64>,
}

/// Of a drill that was aborted before it did anything.
pub(super) fn unbegun(drill: &Drill, reason: DrillAbort, at: UnixMs) -> DrillEnding {
    let figures = DrillFigures {
        leader_after: drill.runner,
        ..DrillFigures::default()
    };
    DrillEnding {
        at,
        verdict: Verdict::Aborted,
        reasons: vec![DrillReason::Aborted(reason)],
        figures,
        checks: Vec::new(),
        gone: Vec::new(),
    }
}

/// Of any other.
pub(super) fn judge(drill: &Drill, after: &Afterwards<'_>) -> DrillEnding {
    let figures = figures(drill, after);
    let mut reasons = Vec::new();
    reasons.extend(drill.aborted.clone().map(DrillReason::Aborted));
    reasons.extend(too_long(drill));
    reasons.extend(lost(after.checks));
    reasons.extend(states_differ(after.checks));
    reasons.extend(not_checked(after.checks));
    reasons.extend(faults(drill));
    reasons.extend(not_restored(drill));
    reasons.extend(after.loss.iter().cloned());
    reasons.extend(others(drill, after));
    DrillEnding {
        at: after.at,
        verdict: verdict(&reasons),
        reasons,
        figures,
        checks: after.checks.to_vec(),
        gone: gone(drill),
    }
}

/// Cut short, and nothing else to complain of, is no failure: unless it was cut short because it cost too much. A drill
/// whose runner died says nothing about the fault: what that death explains is not held against it.
fn verdict(reasons: &[DrillReason]) -> Verdict {
    let lost_runner = |reason: &DrillReason| {
        matches!(reason, DrillReason::Aborted(DrillAbort::RunnerLost { .. }))
    };
    let runner_lost = reasons.iter().any(lost_runner);
    if reasons.is_empty() {
        Verdict::Passed
    } else if reasons
        .iter()
        .all(|reason| is_forgiven(reason, runner_lost))
    {
        Verdict::Aborted
    } else {
        Verdict::Failed
    }
}

fn is_forgiven(reason: &DrillReason, runner_lost: bool) -> bool {
    match reason {
        DrillReason::Aborted(DrillAbort::GapExceeded { .. } | DrillAbort::OutOfTime) => false,
        DrillReason::Aborted(_) => true,
        DrillReason::GapTooLong { .. }
        | DrillReason::NotChecked { .. }
        | DrillReason::NothingMeasured => runner_lost,
        DrillReason::Lost { .. }
        | DrillReason::StatesDiffer { .. }
        | DrillReason::NotDone { .. }
        | DrillReason::NotHealed { .. }
        | DrillReason::VnodesStopped { .. }
        | DrillReason::OutOfTime
        | DrillReason::NotRestored { .. }
        | DrillReason::WorkerNotDone { .. }
        | DrillReason::WorkerNotLost
        | DrillReason::WorkerNotBack
        | DrillReason::NotElsewhere { .. }
        | DrillReason::AwayTooLong { .. } => false,
    }
}

/// The worst of what all probers saw.
fn figures(drill: &Drill, after: &Afterwards<'_>) -> DrillFigures {
    let worst = |of: fn(&ProbeFigures) -> u64| {
        let all = drill.measured.iter().map(|report| of(&report.figures));
        all.max().unwrap_or(0)
    };
    let resumed = drill
        .measured
        .iter()
        .map(|report| report.figures.resumed_ms);
    let missing = after.checks.iter().filter_map(|check| check.found);
    let begun = drill.begun.as_ref();
    DrillFigures {
        write_gap_ms: worst(|f| f.write_gap_ms),
        write_gap_before_ms: worst(|f| f.write_gap_before_ms),
        resumed_ms: resumed.flatten().max(),
        write_wait_ms: worst(|f| f.write_wait_ms),
        read_gap_ms: worst(|f| f.read_gap_ms),
        local_read_gap_ms: worst(|f| f.local_read_gap_ms),
        held_ms: drill
            .faults
            .iter()
            .filter_map(|report| report.held_ms)
            .chain(after.silent_ms)
            .max()
            .unwrap_or(0),
        healed_ms: drill.healed_ms,
        elections: begun.map_or(0, |begun| after.term.saturating_sub(begun.term)),
        leader_after: after.leader,
        vnodes_before: begun.map_or(0, |begun| begun.vnodes_running),
        vnodes_after: after.vnodes_running,
        probes_sent: drill.measured.iter().map(|m| u64::from(m.sent)).sum(),
        probes_acked: drill.measured.iter().map(|m| m.acked.count()).sum(),
        probes_lost: missing
            .map(|found| {
                let in_history = found.missing_in_history.unwrap_or(0);
                found.missing_in_state.max(in_history)
            })
            .max()
            .unwrap_or(0),
    }
}

fn gone(drill: &Drill) -> Vec<Prober> {
    let probed = drill.probes.iter().map(|log| log.prober);
    let said = |prober: &Prober| drill.measured.iter().any(|m| m.prober == *prober);
    probed.filter(|prober| !said(prober)).collect()
}

fn too_long(drill: &Drill) -> impl Iterator<Item = DrillReason> {
    let accepted_ms = drill.plan.gap_max_ms;
    drill
        .measured
        .iter()
        .filter(move |report| report.figures.write_gap_ms > accepted_ms)
        .map(|report| DrillReason::GapTooLong {
            prober: report.prober,
            gap_ms: report.figures.write_gap_ms,
        })
}

fn lost(checks: &[MasterCheck]) -> impl Iterator<Item = DrillReason> {
    checks.iter().filter_map(|check| {
        let found = check.found?;
        let in_history = found.missing_in_history.unwrap_or(0);
        let writes = found.missing_in_state.max(in_history);
        (writes > 0).then_some(DrillReason::Lost {
            master: check.master,
            writes,
        })
    })
}

/// States are compared at one entry; who compared at another was not checked.
fn states_differ(checks: &[MasterCheck]) -> Option<DrillReason> {
    let compared: Vec<(MasterId, (LogIndex, StateHash))> = checks
        .iter()
        .filter_map(|check| Some((check.master, check.found?.compared?)))
        .collect();
    let (_, first) = compared.first()?;
    let differs = |(_, (index, hash)): &&(MasterId, (LogIndex, StateHash))| {
        *index == first.0 && *hash != first.1
    };
    let masters: Vec<MasterId> = compared.iter().filter(differs).map(|(id, _)| *id).collect();
    (!masters.is_empty()).then(|| DrillReason::StatesDiffer {
        masters: compared.iter().map(|(id, _)| *id).collect(),
    })
}

/// Everybody who was asked must have said what it has, and all of them at one entry.
fn not_checked(checks: &[MasterCheck]) -> Vec<DrillReason> {
    let index = |check: &MasterCheck| Some(check.found?.compared?.0);
    let at = checks.iter().find_map(index);
    let missing = checks
        .iter()
        .filter(|check| at.is_none() || index(check) != at);
    missing
        .map(|check| DrillReason::NotChecked {
            master: check.master,
        })
        .collect()
}

fn faults(drill: &Drill) -> Vec<DrillReason> {
    let of = |target: &MasterId| {
        let report = drill.faults.iter().find(|f| f.master == *target);
        match report.map(|report| &report.end) {
            None => Some(DrillReason::NotHealed { master: *target }),
            Some(FaultEnd::NotDone { cause }) if drill.aborted.is_none() => {
                Some(DrillReason::NotDone {
                    master: *target,
                    cause: cause.clone(),
                })
            }
            Some(FaultEnd::Silence) if drill.aborted.is_none() => Some(DrillReason::NotDone {
                master: *target,
                cause: "it ended early, as nobody outside of it answered".to_owned(),
            }),
            Some(FaultEnd::Told { cause }) if drill.aborted.is_none() => {
                Some(DrillReason::NotDone {
                    master: *target,
                    cause: format!("it was ended early: {cause}"),
                })
            }
            Some(_) => None,
        }
    };
    drill.plan.targets.iter().filter_map(of).collect()
}

fn not_restored(drill: &Drill) -> Option<DrillReason> {
    if drill.plan.kind != DrillKind::Restore || drill.aborted.is_some() {
        return None;
    }
    let cause = match drill.restored.as_ref().map(|report| &report.outcome) {
        Some(Ok(figures)) if figures.same_state => return None,
        Some(Ok(_)) => "it has another state than the backup was made of".to_owned(),
        Some(Err(cause)) => cause.clone(),
        None => "it was not done in time".to_owned(),
    };
    Some(DrillReason::NotRestored { cause })
}

fn others(drill: &Drill, after: &Afterwards<'_>) -> Vec<DrillReason> {
    let mut reasons = Vec::new();
    if drill
        .measured
        .iter()
        .all(|report| report.acked.count() == 0)
    {
        reasons.push(DrillReason::NothingMeasured);
    }
    if after.vnodes_stopped > 0 {
        let vnodes = after.vnodes_stopped;
        reasons.push(DrillReason::VnodesStopped { vnodes });
    }
    if after.at > drill.ends_by {
        reasons.push(DrillReason::OutOfTime);
    }
    reasons
}
