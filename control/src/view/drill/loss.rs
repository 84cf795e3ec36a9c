//! The worker that looked lost, and its vnodes.

use serde::{Deserialize, Serialize};

use super::words::Words;
use crate::id::VnodeId;
use crate::model::{LostVnode, VnodeService, WorkerLoss};

/// A worker that looked lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LossView {
    pub worker: String,
    /// From the fault until it was found to be lost, in milliseconds; as all times here.
    pub down_ms: Option<u64>,
    /// How long it was silent.
    pub held_ms: Option<u64>,
    /// From the fault until it was found to be back.
    pub back_ms: Option<u64>,
    pub vnodes: Vec<LostVnodeView>,
}

/// A vnode that ran there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LostVnodeView {
    pub vnode: String,
    /// Whether it was to begin anew elsewhere.
    pub restarts: bool,
    /// Where it ran again.
    pub went_to: Option<String>,
    /// From the fault until it ran there.
    pub again_ms: Option<u64>,
    /// The longest time in which it answered nobody by the way that terminals go, as the best placed master saw it; none
    /// if nobody asked it.
    pub unreached_ms: Option<u64>,
}

pub(super) fn show(words: &Words<'_>) -> Option<LossView> {
    let loss = words.state.losses.get(&words.drill.id)?;
    let begun = words.drill.begun.map(|begun| begun.at);
    let since = |at: crate::id::UnixMs| Some(at.since_ms(begun?));
    let vnode = |(id, lost): (&VnodeId, &LostVnode)| LostVnodeView {
        vnode: words.vnode(*id),
        restarts: lost.restarts,
        went_to: lost
            .again
            .map(|(worker, _)| words.state.worker_called(worker)),
        again_ms: lost.again.and_then(|(_, at)| since(at)),
        unreached_ms: services(loss, *id).map(|seen| seen.gap_ms).min(),
    };
    Some(LossView {
        worker: words.worker(),
        down_ms: loss.down_at.and_then(since),
        held_ms: loss.fault.as_ref().and_then(|fault| fault.held_ms),
        back_ms: loss.back_at.and_then(since),
        vnodes: loss.vnodes.iter().map(vnode).collect(),
    })
}

fn services(loss: &WorkerLoss, vnode: VnodeId) -> impl Iterator<Item = &VnodeService> {
    loss.seen.values().filter_map(move |seen| seen.get(&vnode))
}
