//! What a master keeps on disk: the log in segments, state rows and history in `state.redb`.
//!
//! The state that everybody works with is in memory; what entries changed is brought to disk by checkpoints, off the
//! path of writes. The log is what makes a write last, and it is purged only up to a checkpoint.

pub mod checkpoint;
pub mod log;
pub mod machine;
pub mod pace;
mod past;
pub mod recent;
pub mod rows;
pub mod trail;

use std::sync::Arc;

use docklet_control::State;
use docklet_control::id::LogIndex;
use docklet_control::rows::{StateHash, diff};

use crate::types::{LogId, Membership};

/// The state as it was after one entry: cheap to keep, never changes.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    /// The entry.
    pub index: LogIndex,
    /// The state after it.
    pub state: Arc<State>,
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: Arc<Membership>,
    /// An earlier state whose hash is known.
    pub(crate) base: Arc<Base>,
}

impl Frozen {
    /// The state's fingerprint, equal on all masters at this index. Costs in proportion to what changed since the
    /// last checkpoint.
    #[must_use]
    pub fn hash(&self) -> StateHash {
        self.base.hash.after(&diff(&self.base.state, &self.state))
    }
}

/// The state of a checkpoint.
#[derive(Debug, Default)]
pub struct Base {
    pub index: LogIndex,
    pub state: Arc<State>,
    pub hash: StateHash,
}

/// Runs blocking work on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::RaftFault> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)?
        .map_err(std::io::Error::other)
}

#[cfg(test)]
pub(crate) mod tests;
