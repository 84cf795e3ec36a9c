//! Drills as an admin sees them, and what everybody is told of the one that is under way.

mod loss;
mod words;

use serde::{Deserialize, Serialize};

use crate::id::{DrillId, LogIndex, MasterId, UnixMs};
use crate::model::Drill;
use crate::model::drill::{
    DrillCut, DrillFigures, DrillKind, DrillStage, MasterCheck, ProbeFigures, ProbeReport,
    RestoreFigures, Verdict,
};
use crate::state::State;
pub use loss::{LossView, LostVnodeView};
use words::Words;
pub use words::duration;

/// What everybody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrillNotice {
    pub drill: DrillId,
    pub stage: DrillStage,
    /// Before this nothing happens.
    pub begins_at: UnixMs,
    /// It is over then at the latest.
    pub ends_by: UnixMs,
    /// What is done to whom, and what that means for users.
    pub text: String,
}

/// A drill with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrillView {
    pub id: DrillId,
    pub kind: DrillKind,
    pub cut: DrillCut,
    pub stage: DrillStage,
    /// What is done to whom.
    pub what: String,
    pub targets: Vec<String>,
    pub asked_by: String,
    pub announced_at: UnixMs,
    pub fault_at: UnixMs,
    pub ends_by: UnixMs,
    pub announce_ms: u64,
    pub fault_ms: u64,
    pub gap_max_ms: u64,
    pub estimate_ms: u64,
    pub begun_at: Option<UnixMs>,
    pub leader_before: Option<String>,
    pub leader_after: Option<String>,
    pub runner: Option<String>,
    /// Why it was cut short.
    pub aborted: Option<String>,
    pub steps: Vec<StepView>,
    pub faults: Vec<FaultView>,
    pub probers: Vec<ProberView>,
    /// Probers that left before they could say what they saw.
    pub gone: Vec<String>,
    pub restored: Option<RestoreFigures>,
    pub ended_at: Option<UnixMs>,
    pub verdict: Option<Verdict>,
    /// Why it did not pass.
    pub reasons: Vec<String>,
    pub figures: Option<DrillFigures>,
    pub checks: Vec<CheckView>,
    /// What became of the worker that looked lost; in `worker-loss` only.
    #[serde(default)]
    pub loss: Option<LossView>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepView {
    pub at: UnixMs,
    pub text: String,
}

/// What a target did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FaultView {
    pub master: String,
    pub held_ms: Option<u64>,
    pub end: String,
}

/// What a prober saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProberView {
    pub prober: String,
    pub sent: u32,
    pub acked: u64,
    pub figures: ProbeFigures,
}

/// What a master has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CheckView {
    pub master: String,
    /// Acknowledged probes that it lacks; none if it did not say.
    pub missing: Option<u64>,
    /// The entry at which states were compared.
    pub index: Option<LogIndex>,
    pub state_hash: Option<String>,
}

/// All drills, the newest first.
#[must_use]
pub fn list(state: &State) -> Vec<DrillView> {
    let newest_first = state.drills.values().rev();
    newest_first.map(|drill| show(state, drill)).collect()
}

/// One drill.
#[must_use]
pub fn show(state: &State, drill: &Drill) -> DrillView {
    let words = Words { state, drill };
    let name = |id: MasterId| words.master(id);
    let begun = drill.begun.as_ref();
    let ending = drill.ending.as_ref();
    DrillView {
        id: drill.id,
        kind: drill.plan.kind,
        cut: drill.plan.cut,
        stage: drill.stage,
        what: words.what(),
        targets: targets(&words),
        asked_by: words.user(drill.asked_by),
        announced_at: drill.announced_at,
        fault_at: drill.fault_at,
        ends_by: drill.ends_by,
        announce_ms: drill.plan.announce_ms,
        fault_ms: drill.plan.fault_ms,
        gap_max_ms: drill.plan.gap_max_ms,
        estimate_ms: drill.plan.estimate_ms,
        begun_at: begun.map(|begun| begun.at),
        leader_before: begun.map(|begun| name(begun.leader)),
        leader_after: ending.and_then(|ending| ending.figures.leader_after.map(name)),
        runner: drill.runner.map(name),
        aborted: drill.aborted.as_ref().map(|reason| words.abort(reason)),
        steps: words.steps(),
        faults: drill.faults.iter().map(|f| words.fault(f)).collect(),
        probers: probers(&words, drill),
        gone: ending
            .map(|ending| ending.gone.iter().map(|p| words.prober(*p)).collect())
            .unwrap_or_default(),
        restored: drill.restored.as_ref().and_then(|r| r.outcome.clone().ok()),
        ended_at: ending.map(|ending| ending.at),
        verdict: ending.map(|ending| ending.verdict),
        reasons: ending
            .map(|ending| ending.reasons.iter().map(|r| words.reason(r)).collect())
            .unwrap_or_default(),
        figures: ending.map(|ending| ending.figures),
        checks: ending
            .map(|ending| ending.checks.iter().map(|c| check(&words, c)).collect())
            .unwrap_or_default(),
        loss: loss::show(&words),
    }
}

fn targets(words: &Words<'_>) -> Vec<String> {
    let drill = words.drill;
    if words.state.losses.contains_key(&drill.id) {
        return vec![words.worker()];
    }
    let masters = drill.plan.targets.iter();
    masters.map(|master| words.master(*master)).collect()
}

fn probers(words: &Words<'_>, drill: &Drill) -> Vec<ProberView> {
    let view = |report: &ProbeReport| ProberView {
        prober: words.prober(report.prober),
        sent: report.sent,
        acked: report.acked.count(),
        figures: report.figures,
    };
    drill.measured.iter().map(view).collect()
}

fn check(words: &Words<'_>, check: &MasterCheck) -> CheckView {
    let compared = check.found.and_then(|found| found.compared);
    CheckView {
        master: words.master(check.master),
        missing: check.found.map(|found| {
            let in_history = found.missing_in_history.unwrap_or(0);
            found.missing_in_state.max(in_history)
        }),
        index: compared.map(|(index, _)| index),
        state_hash: compared.map(|(_, hash)| hash.to_string()),
    }
}

/// What everybody is told of the drill that is under way; none if there is none.
#[must_use]
pub fn notice(state: &State) -> Option<DrillNotice> {
    let drill = state.running_drill()?;
    let words = Words { state, drill };
    Some(DrillNotice {
        drill: drill.id,
        stage: drill.stage,
        begins_at: drill.fault_at,
        ends_by: drill.ends_by,
        text: words.notice(),
    })
}
