//! Workers that look lost for a drill, and what became of their vnodes meanwhile. Since version 3.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::drill::FaultEnd;
use crate::id::{DrillId, Epoch, MasterId, UnixMs, VnodeId, WorkerId};

/// The worker of a drill of kind `worker-loss`, beside the drill's own record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLoss {
    pub drill: DrillId,
    pub worker: WorkerId,
    /// Vnodes that ran there when the fault began; empty before.
    pub vnodes: OrdMap<VnodeId, LostVnode>,
    /// When it was found to be lost.
    pub down_at: Option<UnixMs>,
    /// When it was found to be back.
    pub back_at: Option<UnixMs>,
    /// What the worker says that it did; none until it does.
    pub fault: Option<WorkerFault>,
    /// What masters saw of its vnodes by the way that people's terminals go.
    pub seen: OrdMap<MasterId, OrdMap<VnodeId, VnodeService>>,
}

impl WorkerLoss {
    /// Of a drill that is announced only.
    #[must_use]
    pub fn announced(drill: DrillId, worker: WorkerId) -> Self {
        Self {
            drill,
            worker,
            vnodes: OrdMap::new(),
            down_at: None,
            back_at: None,
            fault: None,
            seen: OrdMap::new(),
        }
    }

    /// Vnodes that were to begin anew elsewhere.
    pub fn restarting(&self) -> impl Iterator<Item = (&VnodeId, &LostVnode)> {
        self.vnodes.iter().filter(|(_, vnode)| vnode.restarts)
    }
}

/// A vnode of a worker that looks lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostVnode {
    /// Its placement when the fault began.
    pub epoch: Epoch,
    /// Whether it was to begin anew elsewhere; else it waits for its worker.
    pub restarts: bool,
    /// Where and when it ran again, if it did.
    pub again: Option<(WorkerId, UnixMs)>,
}

/// What a worker did to itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WorkerFault {
    /// How long nothing came in or went out; none if it was not carried out.
    pub held_ms: Option<u64>,
    pub end: FaultEnd,
}

/// What somebody saw who asked a vnode for an answer again and again, from the fault on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeService {
    pub asked: u32,
    pub answered: u32,
    /// The longest time without an answer, in milliseconds.
    pub gap_ms: u64,
}

impl VnodeService {
    /// Vnodes of one worker that are asked at most.
    pub const VNODES_MAX: usize = 8;
}

/// What a worker is told: to let nothing in or out for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillOrder {
    pub drill: DrillId,
    pub fault_ms: u64,
    /// The drill was cut short: nothing is done any more, only told.
    pub over: bool,
}
