//! Moves of vnodes from one worker to another. Since version 3.

use serde::{Deserialize, Serialize};

use super::ClusterVersion;
use crate::id::{Epoch, LogIndex, UnixMs, UserId, VnodeId, WorkerId};

/// How a vnode comes to another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MoveWay {
    /// Its processes go on where they were: they are checkpointed and restored, open connections included.
    Live,
    /// Its disk is copied while it runs; then it stops, the rest is copied, and it starts anew.
    Refresh,
    /// It stops, its disk is copied, and it starts anew.
    Cold,
}

impl MoveWay {
    /// The word by which people and programs mean it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Refresh => "refresh",
            Self::Cold => "cold",
        }
    }
}

/// Why a vnode moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveWhy {
    /// A person asked for it.
    Asked(UserId),
    /// Its worker is being emptied.
    Drain,
    /// It goes back to a worker that was emptied.
    Restore,
    /// Workers were loaded unevenly.
    Rebalance,
}

/// How far a move is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveStage {
    /// The other worker copies what is on the disk. The vnode is where it was, and runs.
    Copying,
    /// The vnode stands still where it was, and the other worker copies the rest.
    Switching,
    /// The vnode is placed at the other worker, which is to start it. What there was of it is kept until it has.
    Starting,
    /// It did not start there. What there is of it there goes, and then it goes on where it was.
    Returning {
        /// Why it did not start.
        cause: String,
    },
    /// It is over.
    Ended(MoveEnd),
}

impl MoveStage {
    /// The word by which people and programs mean it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Switching => "switching",
            Self::Starting => "starting",
            Self::Returning { .. } => "returning",
            Self::Ended(MoveEnd::Moved) => "moved",
            Self::Ended(MoveEnd::Cancelled) => "cancelled",
            Self::Ended(MoveEnd::Failed { .. }) => "failed",
        }
    }
}

/// What came of a move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveEnd {
    /// The vnode is at the other worker, as it is wanted.
    Moved,
    /// It stayed, or is back, where it was.
    Failed { cause: String },
    /// It stayed where it was, because somebody wanted so.
    Cancelled,
}

/// What was copied, as far as was told.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Copied {
    /// Rounds begun: each copies what changed since the one before.
    pub round: u32,
    /// Bytes of chunks that went over the network, before they were compressed, of all rounds that are done.
    pub sent_bytes: u64,
    /// Bytes of the present round that are done, and in all.
    pub done_bytes: u64,
    pub all_bytes: u64,
    /// Rounds begun in which memory was copied while it ran, and bytes of those that are done; they are among those that were sent.
    pub memory_rounds: u32,
    pub memory_bytes: u64,
}

/// When what began, by the leader's clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct MoveTimes {
    pub asked_at: UnixMs,
    /// When its old worker was told to let it stand still.
    pub switched_at: Option<UnixMs>,
    /// When it was placed at the other worker.
    pub placed_at: Option<UnixMs>,
    pub ended_at: Option<UnixMs>,
}

/// The last move of a vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub vnode: VnodeId,
    /// The entry that asked for it.
    pub number: LogIndex,
    pub owner: UserId,
    pub why: MoveWhy,
    pub way: MoveWay,
    /// Whether it stays alive only if that is possible, and is refreshed otherwise.
    pub falls_back: bool,
    pub from: WorkerId,
    /// The placement that it had there.
    pub epoch: Epoch,
    pub to: WorkerId,
    pub stage: MoveStage,
    pub copied: Copied,
    /// When a worker last told of it, or it came to its stage.
    pub heard_at: UnixMs,
    pub times: MoveTimes,
    /// Whether it ran when it was let stand still: only then was it down.
    pub ran: bool,
    /// Unique names of GPUs that are kept for it at the worker at which it is not.
    pub gpus: Vec<String>,
    /// Why it is refreshed though it was to stay alive.
    pub not_live: Option<String>,
}

impl Move {
    /// Since when there are moves.
    pub const SINCE: ClusterVersion = ClusterVersion(3);
    /// A worker that says nothing of a move for so long is not waited for.
    pub const SILENCE_MS_MAX: u64 = 120_000;
    /// Longest text of a cause that is kept, in bytes.
    pub const CAUSE_BYTES_MAX: usize = 1_000;

    /// Whether it is under way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.stage, MoveStage::Ended(_))
    }

    /// Whether the vnode has not been placed at the other worker yet: then it can stay where it is.
    #[must_use]
    pub fn is_before_placing(&self) -> bool {
        matches!(self.stage, MoveStage::Copying | MoveStage::Switching)
    }

    /// The worker at which the vnode is not placed, and which has, or shall have, something of it all the same.
    #[must_use]
    pub fn other_worker(&self) -> WorkerId {
        if self.is_before_placing() {
            self.to
        } else {
            self.from
        }
    }

    /// The worker at which nothing of it is to be left when it is over, as far as can be told.
    #[must_use]
    pub fn worker_left(&self) -> WorkerId {
        match self.stage {
            MoveStage::Returning { .. } => self.to,
            MoveStage::Copying
            | MoveStage::Switching
            | MoveStage::Starting
            | MoveStage::Ended(_) => self.from,
        }
    }

    /// From when it was told to stand still until it was as wanted again; none if it never stood still for it.
    #[must_use]
    pub fn down_ms(&self) -> Option<u64> {
        let (down, up) = (self.times.switched_at?, self.times.ended_at?);
        self.ran.then(|| up.since_ms(down))
    }
}

/// Whether a worker can checkpoint and restore processes, as it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpointing {
    pub worker: WorkerId,
    /// CRIU's version, or what is missing.
    pub able: Result<String, String>,
}
