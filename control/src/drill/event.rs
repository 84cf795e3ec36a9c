//! What happens to drills.

use serde::{Deserialize, Serialize};

use crate::id::{DrillId, MasterId};
use crate::model::WorkerLoss;
use crate::model::drill::{
    Drill, DrillAbort, DrillBegun, DrillEnding, DrillMark, FaultReport, ProbeReport, Prober,
    RestoreReport,
};

/// One fact about a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrillEvent {
    /// Everybody is told what will happen, and until when.
    Announced {
        drill: Box<Drill>,
    },
    Begun {
        drill: DrillId,
        runner: MasterId,
        begun: DrillBegun,
    },
    TakenOver {
        drill: DrillId,
        runner: MasterId,
    },
    Probed {
        drill: DrillId,
        prober: Prober,
        sequence: u32,
    },
    FaultReported {
        drill: DrillId,
        report: FaultReport,
    },
    Restored {
        drill: DrillId,
        report: RestoreReport,
    },
    Aborted {
        drill: DrillId,
        reason: DrillAbort,
    },
    Checking {
        drill: DrillId,
        healed_ms: Option<u64>,
    },
    Measured {
        drill: DrillId,
        report: ProbeReport,
    },
    Ended {
        drill: DrillId,
        ending: Box<DrillEnding>,
    },
    /// What is known of the worker that looks lost, and how that came about.
    Loss {
        loss: Box<WorkerLoss>,
        marks: Vec<DrillMark>,
    },
}

impl DrillEvent {
    /// Whether it is for everybody: what will happen, that it happens, and that it is over.
    #[must_use]
    pub fn is_for_everybody(&self) -> bool {
        match self {
            Self::Announced { .. }
            | Self::Begun { .. }
            | Self::Aborted { .. }
            | Self::Ended { .. } => true,
            Self::TakenOver { .. }
            | Self::Probed { .. }
            | Self::FaultReported { .. }
            | Self::Restored { .. }
            | Self::Checking { .. }
            | Self::Measured { .. }
            | Self::Loss { .. } => false,
        }
    }
}
