//! Drills: faults that an admin orders on the live cluster, what they may cost, and what they did cost.

mod ending;

pub use ending::{DrillEnding, DrillFigures, DrillReason, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::runs::Runs;
use crate::id::{DrillId, LogIndex, MasterId, UnixMs, UserId};
use crate::rows::StateHash;

/// What is to go wrong.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DrillKind {
    /// The leader's process stops.
    LeaderLoss,
    /// The network of one master.
    Partition,
    /// The network of so many masters that the rest is no majority.
    QuorumLoss,
    /// Nothing: a backup is restored beside the cluster.
    Restore,
    /// Everything that comes to one worker or goes out of it. Since version 3.
    WorkerLoss,
}

impl DrillKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::LeaderLoss,
        Self::Partition,
        Self::QuorumLoss,
        Self::Restore,
        Self::WorkerLoss,
    ];

    /// As it is written on a command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LeaderLoss => "leader-loss",
            Self::Partition => "partition",
            Self::QuorumLoss => "quorum-loss",
            Self::Restore => "restore",
            Self::WorkerLoss => "worker-loss",
        }
    }
}

impl std::str::FromStr for DrillKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.word() == text);
        known.ok_or_else(|| "it is no kind of drill".to_owned())
    }
}

/// Which direction of a master's network is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrillCut {
    /// Nothing comes in or goes out.
    #[default]
    Both,
    /// It hears nobody.
    In,
    /// Nobody hears it.
    Out,
}

impl DrillCut {
    /// As it is written on a command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

impl std::str::FromStr for DrillCut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Both, Self::In, Self::Out]
            .into_iter()
            .find(|cut| cut.word() == text);
        known.ok_or_else(|| "a cut is both, in or out".to_owned())
    }
}

/// What a drill will do, and what it may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillPlan {
    pub kind: DrillKind,
    pub cut: DrillCut,
    /// Who does the fault to itself.
    pub targets: Vec<MasterId>,
    /// Who measures from outside.
    pub probers: Vec<MasterId>,
    /// Between the announcement and the fault.
    pub announce_ms: u64,
    /// How long the fault lasts at most.
    pub fault_ms: u64,
    /// How long no write may be acknowledged, and no vnode that begins anew elsewhere may be away.
    pub gap_max_ms: u64,
    /// How long that was expected to be.
    pub estimate_ms: u64,
}

/// How far a drill has come.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DrillStage {
    /// Everybody has been told.
    Announced,
    /// The fault is on, or what it broke is not whole again.
    Fault,
    /// Aborted: the fault is being taken back.
    Healing,
    /// All is whole; what was acknowledged is looked for.
    Checking,
    /// The verdict is in.
    Ended,
}

impl DrillStage {
    /// The stage as a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Fault => "fault",
            Self::Healing => "healing",
            Self::Checking => "checking",
            Self::Ended => "ended",
        }
    }
}

/// One drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    pub id: DrillId,
    pub plan: DrillPlan,
    pub stage: DrillStage,
    pub asked_by: UserId,
    /// When everybody was told.
    pub announced_at: UnixMs,
    /// Before this the fault does not begin.
    pub fault_at: UnixMs,
    /// At the latest it ends then, whatever came of it.
    pub ends_by: UnixMs,
    /// What was so when the fault began; none before.
    pub begun: Option<DrillBegun>,
    /// Who runs it now.
    pub runner: Option<MasterId>,
    /// Why it was cut short.
    pub aborted: Option<DrillAbort>,
    /// What happened when.
    pub steps: Vec<DrillStep>,
    /// Probes that are in the log; empty before and after.
    pub probes: Vec<ProbeLog>,
    /// What the targets did.
    pub faults: Vec<FaultReport>,
    /// What the probers saw.
    pub measured: Vec<ProbeReport>,
    /// What became of the backup; for `restore` only.
    pub restored: Option<RestoreReport>,
    /// From the end of the fault until every voter had caught up.
    pub healed_ms: Option<u64>,
    /// How it ended; none while it runs.
    pub ending: Option<DrillEnding>,
}

impl Drill {
    /// Ended drills that are kept; the oldest are forgotten first.
    pub const KEPT_MAX: usize = 200;
    /// Steps that are kept of one drill.
    pub const STEPS_MAX: usize = 64;
    /// After the fault and the accepted time without writes there is this long to find out what came of it.
    pub const AFTERWARDS_MS: u64 = 15_000;
    /// Between the order and the fault, so that everybody has heard the order.
    pub const LEAD_MS: u64 = 200;
    /// Masters that probe.
    pub const PROBERS_MAX: usize = 2;

    /// Whether it is under way.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.stage != DrillStage::Ended
    }

    /// Whether this master does the fault to itself.
    #[must_use]
    pub fn targets(&self, master: MasterId) -> bool {
        self.plan.targets.contains(&master)
    }

    /// Whether this master is a target that has not said yet that its fault is over.
    #[must_use]
    pub fn hurts(&self, master: MasterId) -> bool {
        self.targets(master) && !self.faults.iter().any(|fault| fault.master == master)
    }

    /// Who tries the backup out: a master that does not lead, so that writes are where the work is not. None before it
    /// began, and in drills of other kinds.
    #[must_use]
    pub fn restorer(&self) -> Option<MasterId> {
        let begun = self.begun.as_ref();
        let leader = begun
            .filter(|_| self.plan.kind == DrillKind::Restore)?
            .leader;
        let mut probers = self.plan.probers.iter().copied();
        Some(probers.find(|prober| *prober != leader).unwrap_or(leader))
    }

    /// When the fault is over at the latest; none before it began.
    #[must_use]
    pub fn fault_ends_at(&self) -> Option<UnixMs> {
        let begun = self.begun.as_ref()?;
        Some(begun.at.plus_ms(Self::LEAD_MS + self.plan.fault_ms))
    }

    /// Probes of one prober that are in the log.
    #[must_use]
    pub fn probes_of(&self, prober: Prober) -> Option<&Runs> {
        let log = self.probes.iter().find(|log| log.prober == prober);
        log.map(|log| &log.recorded)
    }

    /// Whether every target has said what it did.
    #[must_use]
    pub fn all_targets_reported(&self) -> bool {
        let reported = |target: &MasterId| self.faults.iter().any(|f| f.master == *target);
        self.plan.targets.iter().all(reported)
    }

    /// Whether everybody whose probes are in the log has said what was acknowledged.
    #[must_use]
    pub fn all_probers_reported(&self) -> bool {
        let reported = |log: &ProbeLog| self.measured.iter().any(|m| m.prober == log.prober);
        self.probes.iter().all(reported)
    }
}

/// What was so when the fault began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillBegun {
    pub at: UnixMs,
    pub term: u64,
    pub leader: MasterId,
    pub vnodes_running: u32,
}

/// Something that happened in a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillStep {
    pub at: UnixMs,
    pub what: DrillMark,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillMark {
    Announced,
    Begun {
        runner: MasterId,
    },
    TakenOver {
        runner: MasterId,
    },
    Healed {
        master: MasterId,
    },
    Restored,
    Aborted,
    Checking,
    Measured {
        prober: Prober,
    },
    Ended,
    /// The worker was found to be lost.
    WorkerLost,
    /// The worker said what it did.
    WorkerHealed,
    /// The worker was found to be back.
    WorkerBack,
    /// All vnodes that were to begin anew elsewhere run.
    AllElsewhere,
}

/// Why a drill was cut short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillAbort {
    /// Somebody wanted so.
    Asked { user: UserId },
    /// No write was acknowledged for longer than was accepted.
    GapExceeded { gap_ms: u64 },
    /// The master that ran it is gone, and that was not the drill.
    RunnerLost { runner: MasterId },
    /// When the fault was to begin, the cluster was not well any more.
    Unwell { cause: String },
    /// It took longer than it may.
    OutOfTime,
}

/// Who probes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Prober {
    /// A master outside of the fault.
    Master(MasterId),
    /// The command line that asked for the drill, over HTTPS.
    Client,
}

/// Probes of one prober that are in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeLog {
    pub prober: Prober,
    pub recorded: Runs,
}

/// What one target did to itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultReport {
    pub master: MasterId,
    /// How long the fault held; none if it was not carried out.
    pub held_ms: Option<u64>,
    pub end: FaultEnd,
}

/// What ended a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultEnd {
    /// Its time was over.
    Time,
    /// A master outside of it said so.
    Told { cause: String },
    /// No master outside of it answered any more.
    Silence,
    /// It was not carried out.
    NotDone { cause: String },
}

/// What became of a backup that was restored beside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreReport {
    pub master: MasterId,
    /// The figures, or what went wrong.
    pub outcome: Result<RestoreFigures, String>,
}

/// A backup and the cluster that was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreFigures {
    /// The entry that the backup is of.
    pub index: LogIndex,
    pub bytes: u64,
    pub backup_ms: u64,
    /// From the file to a cluster that answers.
    pub restore_ms: u64,
    /// Until it had accepted a write.
    pub write_ms: u64,
    /// Whether it has the state that the backup was made of.
    pub same_state: bool,
}

/// What one prober saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeReport {
    pub prober: Prober,
    pub sent: u32,
    pub acked: Runs,
    pub figures: ProbeFigures,
}

/// Times that one prober measured, by its own monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeFigures {
    /// Longest time without an acknowledged write, from the fault on.
    pub write_gap_ms: u64,
    /// The same before the fault: what is usual.
    pub write_gap_before_ms: u64,
    /// From the fault to the acknowledgement of a write that was sent after it.
    pub resumed_ms: Option<u64>,
    /// Longest wait for the acknowledgement of one write.
    pub write_wait_ms: u64,
    /// Longest time without a linearizable read.
    pub read_gap_ms: u64,
    /// Longest time without a read of some master's own state.
    pub local_read_gap_ms: u64,
}

/// What one master has of the probes when all is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MasterCheck {
    pub master: MasterId,
    /// What it found; none if it did not answer.
    pub found: Option<MasterFound>,
}

/// What a master found in its own state and history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MasterFound {
    /// Acknowledged probes that its rows do not have.
    pub missing_in_state: u64,
    /// Acknowledged probes that its history on disk does not have; none if the history does not reach back so far.
    pub missing_in_history: Option<u64>,
    /// The entry at which states were compared, and the hash of this master's state there.
    pub compared: Option<(LogIndex, StateHash)>,
}
