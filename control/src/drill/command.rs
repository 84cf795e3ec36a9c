//! What can be asked of drills.

use serde::{Deserialize, Serialize};

use crate::id::{DrillId, MasterId, VnodeId, WorkerId};
use crate::model::drill::{
    DrillAbort, DrillCut, DrillKind, FaultReport, MasterCheck, ProbeReport, Prober, RestoreReport,
};
use crate::model::{VnodeService, WorkerFault};
use crate::quorum::Seat;

/// What an admin wants to see happen. Unchecked: decide checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillAsk {
    pub kind: DrillKind,
    /// Name of the master whose network is cut; the leader if absent. Of the worker in a loss of one; if absent the one
    /// with the fewest vnodes, but some.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub cut: DrillCut,
    pub announce_ms: u64,
    pub fault_ms: u64,
    pub gap_max_ms: u64,
}

/// The Raft group as its leader saw it when the entry was made. Who votes is Raft's own knowledge, not the fold's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "DrillGroup")]
pub struct GroupView {
    pub term: u64,
    /// Longest election timeout.
    pub election_ms: u64,
    pub seats: Vec<Seat>,
}

impl GroupView {
    /// Who leads.
    #[must_use]
    pub fn leader(&self) -> Option<MasterId> {
        let leads = self.seats.iter().find(|seat| seat.leads);
        leads.map(|seat| seat.master)
    }

    /// Those that count for the quorum.
    pub fn voters(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(|seat| seat.voter)
    }
}

/// Commands about drills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrillCommand {
    /// Announces a drill.
    Start {
        ask: DrillAsk,
        group: GroupView,
    },
    /// The announcement has stood long enough.
    Begin {
        drill: DrillId,
        runner: MasterId,
        group: GroupView,
    },
    /// Another master leads, and runs the drill from here on.
    TakeOver {
        drill: DrillId,
        runner: MasterId,
    },
    /// A write whose only purpose is to be acknowledged.
    Probe {
        drill: DrillId,
        prober: Prober,
        sequence: u32,
    },
    /// A target says what it did.
    ReportFault {
        drill: DrillId,
        report: FaultReport,
    },
    /// The runner says what became of the backup.
    ReportRestore {
        drill: DrillId,
        report: RestoreReport,
    },
    Abort {
        drill: DrillId,
        reason: DrillAbort,
    },
    /// All is whole again: probing ends.
    Check {
        drill: DrillId,
        healed_ms: Option<u64>,
    },
    /// A prober says what it saw.
    ReportProbes {
        drill: DrillId,
        report: ProbeReport,
    },
    /// All is known that will be known.
    Finish {
        drill: DrillId,
        checks: Vec<MasterCheck>,
        term: u64,
        leader: Option<MasterId>,
    },
    /// Something is new of the worker that looks lost, or of its vnodes.
    NoteLoss {
        drill: DrillId,
    },
    /// That worker says what it did.
    ReportLoss {
        drill: DrillId,
        worker: WorkerId,
        fault: WorkerFault,
    },
    /// A master says what it saw of that worker's vnodes.
    ReportService {
        drill: DrillId,
        master: MasterId,
        seen: Vec<(VnodeId, VnodeService)>,
    },
}

impl DrillCommand {
    /// The command's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "StartDrill",
            Self::Begin { .. } => "BeginDrill",
            Self::TakeOver { .. } => "TakeOverDrill",
            Self::Probe { .. } => "ProbeDrill",
            Self::ReportFault { .. } => "ReportDrillFault",
            Self::ReportRestore { .. } => "ReportDrillRestore",
            Self::Abort { .. } => "AbortDrill",
            Self::Check { .. } => "CheckDrill",
            Self::ReportProbes { .. } => "ReportDrillProbes",
            Self::Finish { .. } => "FinishDrill",
            Self::NoteLoss { .. } => "NoteDrillLoss",
            Self::ReportLoss { .. } => "ReportDrillLoss",
            Self::ReportService { .. } => "ReportDrillService",
        }
    }

    /// Whether a receipt of it is kept. Probes come by the thousand, and the drill's own record says which came in.
    #[must_use]
    pub fn leaves_receipt(&self) -> bool {
        !matches!(self, Self::Probe { .. })
    }
}
