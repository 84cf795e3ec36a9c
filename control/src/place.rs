//! The scheduler: which worker takes a vnode, as a pure function of a frozen state.

use serde::{Deserialize, Serialize};

use crate::id::WorkerId;
use crate::model::{Settings, Vnode, VnodeWanted, Worker, WorkerStatus};
use crate::state::State;

/// What a worker lacked, and by how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// Its agent is not in touch.
    Status(WorkerStatus),
    /// CPU in thousandths of a core.
    Cpu { wanted: u64, free: u64 },
    /// Memory in MiB.
    Memory { wanted: u64, free: u64 },
}

/// Why one worker cannot take a vnode: every dimension that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// The worker.
    pub worker: WorkerId,
    /// What it lacked.
    pub lacks: Vec<Dimension>,
}

/// What is promised on a worker, and what may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Thousandths of a core promised.
    pub cpu_milli: u64,
    /// MiB promised.
    pub memory_mib: u64,
    /// Thousandths of a core that may be promised in all.
    pub cpu_milli_max: u64,
    /// MiB that may be promised in all.
    pub memory_mib_max: u64,
}

/// Chooses a worker for `vnode`: one that can take it, with the fewest vnodes of the same vcluster, then the
/// smallest share of its memory promised, then the lowest id.
///
/// # Errors
/// Every worker with every dimension that failed; empty when there is no worker at all.
pub fn place(state: &State, vnode: &Vnode) -> Result<WorkerId, Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    let mut best = None;
    for worker in state.workers.values() {
        let lacks = lacks(state, worker, vnode);
        if lacks.is_empty() {
            let rank = rank(state, worker, vnode);
            best = best.into_iter().chain([rank]).min();
        } else {
            obstacles.push(Obstacle {
                worker: worker.id,
                lacks,
            });
        }
    }
    best.map(|(_, _, worker)| worker).ok_or(obstacles)
}

/// Every dimension in which `worker` cannot take `vnode`.
#[must_use]
pub fn lacks(state: &State, worker: &Worker, vnode: &Vnode) -> Vec<Dimension> {
    let load = load(state, worker);
    let (cpu, memory) = (
        u64::from(vnode.size.cpu_milli.0),
        u64::from(vnode.size.memory_mib.0),
    );
    let cpu_free = load.cpu_milli_max.saturating_sub(load.cpu_milli);
    let memory_free = load.memory_mib_max.saturating_sub(load.memory_mib);
    let mut lacks = Vec::new();
    if worker.status != WorkerStatus::Up {
        lacks.push(Dimension::Status(worker.status));
    }
    if cpu > cpu_free {
        lacks.push(Dimension::Cpu {
            wanted: cpu,
            free: cpu_free,
        });
    }
    if memory > memory_free {
        lacks.push(Dimension::Memory {
            wanted: memory,
            free: memory_free,
        });
    }
    lacks
}

/// What is promised on `worker`. A stopped vnode keeps its promise, so that starting it never fails.
#[must_use]
pub fn load(state: &State, worker: &Worker) -> Load {
    let capacity = &worker.facts.capacity;
    let (cpu_percent, memory_percent) = state.settings.as_ref().map_or((100, 100), overcommit);
    let mut load = Load {
        cpu_milli_max: u64::from(capacity.cpu_milli.0) * cpu_percent / 100,
        memory_mib_max: u64::from(capacity.memory_mib.0) * memory_percent / 100,
        ..Load::default()
    };
    for vnode in state.vnodes_on(worker.id) {
        if vnode.wanted != VnodeWanted::Removed {
            load.cpu_milli += u64::from(vnode.size.cpu_milli.0);
            load.memory_mib += u64::from(vnode.size.memory_mib.0);
        }
    }
    load
}

fn overcommit(settings: &Settings) -> (u64, u64) {
    (
        u64::from(settings.cpu_overcommit_percent),
        u64::from(settings.memory_overcommit_percent),
    )
}

/// Smaller is better: siblings on the worker, memory promised in thousandths, id.
fn rank(state: &State, worker: &Worker, vnode: &Vnode) -> (usize, u64, WorkerId) {
    let siblings = state
        .vnodes_on(worker.id)
        .filter(|other| other.vcluster == vnode.vcluster && other.wanted != VnodeWanted::Removed)
        .count();
    let load = load(state, worker);
    let share = load.memory_mib * 1_000 / load.memory_mib_max.max(1);
    (siblings, share, worker.id)
}
