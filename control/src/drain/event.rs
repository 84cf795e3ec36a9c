//! What happened to workers that are emptied.

use serde::{Deserialize, Serialize};

use crate::id::WorkerId;
use crate::model::{Drain, DrainStage};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrainEvent {
    /// A worker is emptied from now on.
    Begun { drain: Drain },
    /// It came so far.
    Came { worker: WorkerId, to: DrainStage },
}
