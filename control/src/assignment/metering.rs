//! What a worker is to tell of what vnodes use.

use serde::{Deserialize, Serialize};

use crate::bean;
use crate::id::{Epoch, VnodeId, WorkerId};
use crate::state::State;

/// Placements of which the masters wait to hear, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metering {
    /// Nothing is to be told if that is 0.
    pub every_ms: u64,
    /// Ascending. One that is not here any more was told of to its end.
    pub tallies: Vec<AssignedTally>,
}

/// One placement, the vnode's own or one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignedTally {
    pub vnode: VnodeId,
    pub epoch: Epoch,
}

pub(super) fn metering(state: &State, worker: WorkerId) -> Metering {
    let Some(settings) = bean::in_use(state) else {
        return Metering::default();
    };
    let tallies = state.tallies_on(worker).map(|tally| AssignedTally {
        vnode: tally.vnode,
        epoch: tally.epoch,
    });
    Metering {
        every_ms: settings.every_ms,
        tallies: tallies.collect(),
    }
}
