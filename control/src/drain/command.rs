//! What can be asked about emptying workers.

use serde::{Deserialize, Serialize};

use crate::id::WorkerId;

/// Asks for something about emptying workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrainCommand {
    /// Nothing new comes to a worker, and what is there is moved away.
    Begin {
        worker: WorkerId,
        /// Vnodes on their way at once, at most.
        at_once: u32,
        /// After which it ends, whatever is left.
        deadline_ms: Option<u64>,
    },
    /// What is left stays, and the worker takes vnodes again as before.
    Abort { worker: WorkerId },
    /// What was moved away is brought back, as far as the worker can take it.
    Restore { worker: WorkerId },
    /// The leader's duty: those end of which nothing is left to be done, or whose time is over.
    Settle,
}

impl DrainCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "DrainWorker",
            Self::Abort { .. } => "AbortDrain",
            Self::Restore { .. } => "RestoreWorker",
            Self::Settle => "SettleDrains",
        }
    }
}
