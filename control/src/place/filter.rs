//! Whether a worker can take a vnode, and every dimension in which it cannot.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::board::Board;
use crate::gpus;
use crate::id::WorkerId;
use crate::model::{Rules, Vnode, Wishes, Worker, WorkerStatus, WorkerTraits};
use crate::name::Name;
use crate::state::State;

/// What a worker lacked, and by how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// Its agent is not in touch.
    Status(WorkerStatus),
    /// CPU in thousandths of a core.
    Cpu { wanted: u64, free: u64 },
    /// Memory in MiB.
    Memory { wanted: u64, free: u64 },
    /// Disk in MiB; `free` is the largest that it can take.
    Disk { wanted: u64, free: u64 },
    /// GPUs; `fitting` are of the wanted kind, and nobody has `free` of them.
    Gpus {
        wanted: u32,
        model: Option<String>,
        fitting: u32,
        free: u32,
    },
    /// The snapshot of which the disk is to be made: that worker has it.
    Snapshot { on: WorkerId },
    /// Nothing new comes to it.
    Cordoned { reason: String },
    /// A label that the vcluster asks for.
    Label {
        key: Name,
        wanted: String,
        has: Option<String>,
    },
    /// As many of the vcluster as it may have.
    #[serde(rename = "per_worker")]
    PerWorker { most: u32 },
}

/// Why one worker cannot take a vnode: every dimension that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Obstacle {
    /// The worker.
    pub worker: WorkerId,
    /// What it lacked.
    pub lacks: Vec<Dimension>,
}

/// Every dimension in which `worker` cannot take `vnode`.
pub(super) fn lacks(board: &Board, worker: &Worker, vnode: &Vnode) -> Vec<Dimension> {
    let state = board.state();
    let load = board.load(worker.id);
    let wishes = state.wishes_of(vnode.id);
    let rules = state.rules_of(vnode.vcluster);
    let traits = state.worker_traits.get(&worker.id);
    let (cpu, memory) = (
        u64::from(vnode.size.cpu_milli.0),
        u64::from(vnode.size.memory_mib.0),
    );
    let (cpu_free, memory_free) = (load.cpu_milli_free(), load.memory_mib_free());
    let mut lacks = Vec::new();
    if worker.status != WorkerStatus::Up {
        lacks.push(Dimension::Status(worker.status));
    }
    if let Some(cordon) = traits.and_then(|traits| traits.cordon.as_ref()) {
        lacks.push(Dimension::Cordoned {
            reason: cordon.reason.clone(),
        });
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
    lacks.extend(of_disk(state, worker, load.disk_mib_free(), wishes));
    lacks.extend(of_gpus(state, worker, wishes));
    lacks.extend(of_copy(state, worker, vnode));
    lacks.extend(of_labels(rules, traits));
    lacks.extend(of_count(board, worker, vnode, rules));
    lacks
}

/// Disks are sparse files, so more may be promised than there is; but none that could not be filled if it were alone.
fn of_disk(state: &State, worker: &Worker, left: u64, wishes: &Wishes) -> Option<Dimension> {
    let whole = worker.facts.capacity.disk_mib.0;
    let (wanted, free) = (wishes.disk_mib.0, left.min(whole));
    let counts = state.version() >= Wishes::SINCE;
    (counts && wanted > free).then_some(Dimension::Disk { wanted, free })
}

fn of_gpus(state: &State, worker: &Worker, wishes: &Wishes) -> Option<Dimension> {
    let wish = &wishes.gpus;
    if wish.count == 0 {
        return None;
    }
    let (fitting, free) = gpus::count(state, worker, wish);
    (wish.count > free).then(|| Dimension::Gpus {
        wanted: wish.count,
        model: wish.model.clone(),
        fitting,
        free,
    })
}

/// A disk that begins as a copy of a snapshot is made where that is.
fn of_copy(state: &State, worker: &Worker, vnode: &Vnode) -> Option<Dimension> {
    let copy = state.snapshot_copies.get(&vnode.id)?;
    let on = state.vnodes.get(&copy.from)?.placement?.worker;
    (on != worker.id).then_some(Dimension::Snapshot { on })
}

/// Labels that a worker has not, with what it has in their place.
pub(super) fn missing<'s>(
    labels: &'s OrdMap<Name, String>,
    traits: Option<&'s WorkerTraits>,
) -> impl Iterator<Item = (&'s Name, &'s String, Option<&'s String>)> {
    let has = move |key| traits.and_then(|traits| traits.labels.get(key));
    let all = labels
        .iter()
        .map(move |(key, wanted)| (key, wanted, has(key)));
    all.filter(|(_, wanted, has)| *has != Some(*wanted))
}

fn of_labels(rules: &Rules, traits: Option<&WorkerTraits>) -> Vec<Dimension> {
    missing(&rules.labels, traits)
        .map(|(key, wanted, has)| Dimension::Label {
            key: key.clone(),
            wanted: wanted.clone(),
            has: has.cloned(),
        })
        .collect()
}

fn of_count(board: &Board, worker: &Worker, vnode: &Vnode, rules: &Rules) -> Option<Dimension> {
    let most = rules.per_worker_max?;
    (board.siblings(worker.id, vnode) >= most).then_some(Dimension::PerWorker { most })
}
