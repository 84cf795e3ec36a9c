//! Receipts: what became of a request, kept so that the same request never has a second effect.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::command::Actor;
use crate::id::{DrillId, UserId, VclusterId};
use crate::id::{LogIndex, RequestId, UnixMs};
use crate::model::{Master, Worker};
use crate::refusal::Refusal;

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its events are part of the state.
    Accepted(Subject),
    /// Nothing changed.
    Refused(Refusal),
}

/// What an accepted request made or changed, for whoever must go on from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Nothing that has a name.
    None,
    /// A vcluster.
    Vcluster(VclusterId),
    /// An account.
    User(UserId),
    /// A master that may join the Raft group now.
    Master(Box<Master>),
    /// A worker that may connect now.
    Worker(Box<Worker>),
    /// A drill that is announced.
    Drill(DrillId),
    /// So many vnodes that are on their way now. Since version 3.
    Moves(u32),
}

/// One receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Receipt {
    /// The request.
    pub request: RequestId,
    /// The log entry that decided it.
    pub index: LogIndex,
    /// When the leader stamped it.
    pub at: UnixMs,
    /// Who asked.
    pub actor: Actor,
    /// Name of the command.
    pub command: Cow<'static, str>,
    /// What it came to.
    pub outcome: Outcome,
}

impl Receipt {
    /// Receipts kept; the oldest are forgotten first. A retry that comes later than so many writes is refused, not
    /// done again: its id says which entry was the newest when it was first made.
    pub const KEPT_MAX: usize = 50_000;

    /// The subject, or the refusal as an error.
    pub fn accepted(&self) -> Result<&Subject, &Refusal> {
        match &self.outcome {
            Outcome::Accepted(subject) => Ok(subject),
            Outcome::Refused(refusal) => Err(refusal),
        }
    }
}
