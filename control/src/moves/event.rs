//! What happened to moves.

use serde::{Deserialize, Serialize};

use crate::event::VnodeRef;
use crate::id::{LogIndex, UserId};
use crate::model::{Checkpointing, Copied, Move, MoveEnd, MoveWay, Placement};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveEvent {
    /// A vnode is on its way.
    Begun { about: VnodeRef, began: Box<Move> },
    /// So much is copied.
    Copied {
        about: VnodeRef,
        number: LogIndex,
        copied: Copied,
    },
    /// It is let stand still, if it runs.
    Switching {
        about: VnodeRef,
        number: LogIndex,
        ran: bool,
    },
    /// It moves in another way than was thought.
    WayChanged {
        about: VnodeRef,
        number: LogIndex,
        way: MoveWay,
        cause: String,
    },
    /// It is at the other worker from now on.
    Placed {
        about: VnodeRef,
        number: LogIndex,
        placement: Placement,
    },
    /// It did not start there.
    Returning {
        about: VnodeRef,
        number: LogIndex,
        cause: String,
    },
    /// It is where it was from now on.
    PlacedBack {
        about: VnodeRef,
        number: LogIndex,
        placement: Placement,
        cause: String,
    },
    /// It is over.
    Ended {
        about: VnodeRef,
        number: LogIndex,
        end: MoveEnd,
    },
    /// Whether a worker can take processes along is so from now on.
    CheckpointingReported { able: Checkpointing },
}

impl MoveEvent {
    /// Whose vnode it is; nobody's if it is about a worker.
    #[must_use]
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::Begun { about, .. }
            | Self::Copied { about, .. }
            | Self::Switching { about, .. }
            | Self::WayChanged { about, .. }
            | Self::Placed { about, .. }
            | Self::Returning { about, .. }
            | Self::PlacedBack { about, .. }
            | Self::Ended { about, .. } => Some(about.owner),
            Self::CheckpointingReported { .. } => None,
        }
    }
}
