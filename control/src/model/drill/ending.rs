//! How drills ended, why, and what they cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DrillAbort, MasterCheck, Prober};
use crate::id::{MasterId, UnixMs, VnodeId};

/// How a drill ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillEnding {
    pub at: UnixMs,
    pub verdict: Verdict,
    /// Why it is not `passed`; empty if it is.
    pub reasons: Vec<DrillReason>,
    pub figures: DrillFigures,
    pub checks: Vec<MasterCheck>,
    /// Probers whose probes are in the log and that never said what they saw.
    pub gone: Vec<Prober>,
}

/// What to think of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DrillVerdict")]
pub enum Verdict {
    /// It cost no more than accepted, and nothing was lost.
    Passed,
    /// Something was not as it should be.
    Failed,
    /// It was cut short, and nothing was lost.
    Aborted,
}

impl Verdict {
    /// The verdict as a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

/// Why a drill did not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillReason {
    /// Somebody waited longer for a write than was accepted.
    GapTooLong { prober: Prober, gap_ms: u64 },
    /// Acknowledged writes that a master does not have.
    Lost { master: MasterId, writes: u64 },
    /// Two masters have different states after the same entry.
    StatesDiffer { masters: Vec<MasterId> },
    /// A master did not say at the end what it has.
    NotChecked { master: MasterId },
    /// A target did not do what it was told.
    NotDone { master: MasterId, cause: String },
    /// A target did not come back.
    NotHealed { master: MasterId },
    /// Nobody measured anything.
    NothingMeasured,
    /// Vnodes that ran before do not run now.
    VnodesStopped { vnodes: u32 },
    /// It was cut short.
    Aborted(DrillAbort),
    /// It took longer than it may.
    OutOfTime,
    /// The backup could not be restored, or not to the same state.
    NotRestored { cause: String },
    /// The worker did not do what it was told, or did not say so.
    WorkerNotDone { cause: String },
    /// The worker was silent and nobody found that out.
    WorkerNotLost,
    /// The worker is not back.
    WorkerNotBack,
    /// Vnodes that were to begin anew elsewhere and did not.
    NotElsewhere { vnodes: u32 },
    /// The longest that a vnode which began anew elsewhere was away, if it was too long.
    AwayTooLong { vnode: VnodeId, away_ms: u64 },
}

/// What it cost, of all that was measured the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillFigures {
    pub write_gap_ms: u64,
    pub write_gap_before_ms: u64,
    pub resumed_ms: Option<u64>,
    pub write_wait_ms: u64,
    pub read_gap_ms: u64,
    pub local_read_gap_ms: u64,
    /// The longest that a target's fault held.
    pub held_ms: u64,
    /// From the end of the fault until every voter had caught up.
    pub healed_ms: Option<u64>,
    /// Elections that were held.
    pub elections: u64,
    pub leader_after: Option<MasterId>,
    pub vnodes_before: u32,
    pub vnodes_after: u32,
    pub probes_sent: u64,
    pub probes_acked: u64,
    pub probes_lost: u64,
}
