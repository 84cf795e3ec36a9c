//! What can be asked about moves.

use serde::{Deserialize, Serialize};

use crate::id::{VnodeId, WorkerId};
use crate::model::{Checkpointing, MoveWay, MoveWhy};
use crate::report::MoveReport;

/// Asks for something about moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveCommand {
    /// Moves a vnode: to this worker, or to the one that suits it best; this way, or the best that is possible.
    Begin {
        vnode: VnodeId,
        to: Option<WorkerId>,
        way: Option<MoveWay>,
    },
    /// The leader's duties move vnodes to these workers. What is not possible any more is left out.
    BeginAll {
        moves: Vec<(VnodeId, WorkerId)>,
        why: MoveWhy,
    },
    /// It stays where it is.
    Cancel { vnode: VnodeId },
    /// Moves that cannot go on end.
    Expire,
    /// What a worker says of moves that it has part in.
    Report {
        worker: WorkerId,
        reports: Vec<MoveReport>,
    },
    /// A worker says whether it can take processes along.
    ReportCheckpointing { able: Checkpointing },
}

impl MoveCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "MoveVnode",
            Self::BeginAll { .. } => "MoveVnodes",
            Self::Cancel { .. } => "CancelMove",
            Self::Expire => "ExpireMoves",
            Self::Report { .. } => "ReportMoves",
            Self::ReportCheckpointing { .. } => "ReportCheckpointing",
        }
    }
}
