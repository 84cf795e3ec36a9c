//! Why something about a move is refused.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MoveRefusal {
    #[error(
        "vnode \"{vnode}\" is on its way from {from} to {to}: wait until it is there, or keep it where it is with `docklet vc move --cancel`"
    )]
    Moving {
        vnode: String,
        from: String,
        to: String,
    },
    #[error("vnode \"{vnode}\" is not on its way to another worker: there is nothing to cancel")]
    NotMoving { vnode: String },
    #[error(
        "vnode \"{vnode}\" is placed on {to} already and cannot stay on {from}: wait until it runs, then move it back"
    )]
    TooLate {
        vnode: String,
        from: String,
        to: String,
    },
    #[error(
        "vnode \"{vnode}\" has no worker yet, so there is nothing to move: it comes to any worker that can take it"
    )]
    NotPlaced { vnode: String },
    #[error("vnode \"{vnode}\" is on {worker} already: choose another worker")]
    ThereAlready { vnode: String, worker: String },
    #[error(
        "vnode \"{vnode}\" is on {worker}, which is out of touch, and so is its disk: wait until that worker is back"
    )]
    WorkerLost { vnode: String, worker: String },
    #[error("vnode \"{vnode}\" cannot be moved while {doing}: wait until that is done")]
    Busy { vnode: String, doing: String },
    #[error(
        "{to} cannot take vnode \"{vnode}\": {why}; `docklet explain` says what every worker lacks"
    )]
    NoRoom {
        vnode: String,
        to: String,
        why: String,
    },
    #[error(
        "no other worker can take vnode \"{vnode}\": {why}; `docklet explain` says what would help"
    )]
    NoOther { vnode: String, why: String },
    #[error(
        "vnode \"{vnode}\" cannot stay alive while it moves: {why}; move it with --refresh, or without saying how"
    )]
    NotLive { vnode: String, why: String },
}

impl MoveRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Moving { .. } => "vnode_moving",
            Self::NotMoving { .. } => "vnode_not_moving",
            Self::TooLate { .. } => "move_too_late",
            Self::NotPlaced { .. } => "vnode_not_placed",
            Self::ThereAlready { .. } => "vnode_there_already",
            Self::WorkerLost { .. } => "worker_lost",
            Self::Busy { .. } => "vnode_busy",
            Self::NoRoom { .. } => "move_no_room",
            Self::NoOther { .. } => "move_no_other",
            Self::NotLive { .. } => "move_not_live",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        RefusalClass::Conflict
    }
}
