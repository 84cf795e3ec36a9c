//! The scheduler: which worker takes a vnode, as a pure function of a frozen state.

use serde::{Deserialize, Serialize};

use crate::event::{Event, VnodeRef};
use crate::gpus;
use crate::id::{Epoch, WorkerId};
use crate::model::{Placement, Settings, Vnode, VnodeWanted, Wishes, Worker, WorkerStatus};
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
    /// MiB of disk promised.
    pub disk_mib: u64,
    /// MiB of disk that may be promised in all.
    pub disk_mib_max: u64,
}

/// Chooses a worker for `vnode`: one that can take it, with the fewest vnodes of the same vcluster, then one whose GPUs
/// would not be in the way of others, then the smallest share of its memory promised, then the lowest id.
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
    best.map(|(.., worker)| worker).ok_or(obstacles)
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
    lacks.extend(lacks_of_wishes(
        state,
        worker,
        &load,
        state.wishes_of(vnode.id),
    ));
    lacks.extend(lacks_of_copy(state, worker, vnode));
    lacks
}

/// A disk that begins as a copy of a snapshot is made where that is.
fn lacks_of_copy(state: &State, worker: &Worker, vnode: &Vnode) -> Option<Dimension> {
    let copy = state.snapshot_copies.get(&vnode.id)?;
    let on = state.vnodes.get(&copy.from)?.placement?.worker;
    (on != worker.id).then_some(Dimension::Snapshot { on })
}

/// Disks are sparse files, so more may be promised than there is; but none that could not be filled if it were alone.
fn lacks_of_wishes(
    state: &State,
    worker: &Worker,
    load: &Load,
    wishes: &Wishes,
) -> impl Iterator<Item = Dimension> {
    let whole = worker.facts.capacity.disk_mib.0;
    let left = load.disk_mib_max.saturating_sub(load.disk_mib);
    let (wanted, free) = (wishes.disk_mib.0, left.min(whole));
    let counts = state.version() >= Wishes::SINCE;
    let disk = (counts && wanted > free).then_some(Dimension::Disk { wanted, free });
    disk.into_iter().chain(lacks_of_gpus(state, worker, wishes))
}

fn lacks_of_gpus(state: &State, worker: &Worker, wishes: &Wishes) -> Option<Dimension> {
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

/// What happens when `vnode` comes to `worker`, which lacks nothing for it.
#[must_use]
pub fn placing(state: &State, worker: &Worker, vnode: &Vnode, epoch: Epoch) -> Vec<Event> {
    let about = VnodeRef::from(vnode);
    let gpus = gpus::choose(state, worker, &state.wishes_of(vnode.id).gpus);
    let given = (!gpus.is_empty()).then_some(Event::GpusGiven { about, gpus });
    let placement = Placement {
        worker: worker.id,
        epoch,
    };
    let placed = Event::VnodePlaced { about, placement };
    given.into_iter().chain([placed]).collect()
}

/// What is promised on `worker`. One that is to have less keeps its promise until its worker has taken that. A stopped vnode keeps its promise, so that starting it never fails. One that goes
/// away gives its promise back at once, but not its GPUs: they are in its hands until it is gone.
#[must_use]
pub fn load(state: &State, worker: &Worker) -> Load {
    let capacity = &worker.facts.capacity;
    let (cpu_percent, memory_percent) = state.settings.as_ref().map_or((100, 100), overcommit);
    let mut load = Load {
        cpu_milli_max: u64::from(capacity.cpu_milli.0) * cpu_percent / 100,
        memory_mib_max: u64::from(capacity.memory_mib.0) * memory_percent / 100,
        disk_mib_max: disk_mib_max(state, capacity.disk_mib.0),
        ..Load::default()
    };
    for vnode in state.vnodes_on(worker.id) {
        if vnode.wanted != VnodeWanted::Removed {
            let size = state.promised_to(vnode);
            load.cpu_milli += u64::from(size.cpu_milli.0);
            load.memory_mib += u64::from(size.memory_mib.0);
            load.disk_mib += state.wishes_of(vnode.id).disk_mib.0;
        }
    }
    load
}

fn disk_mib_max(state: &State, disk_mib: u64) -> u64 {
    let percent = u64::from(state.overcommit_of_disks().percent);
    disk_mib.saturating_mul(percent) / 100
}

fn overcommit(settings: &Settings) -> (u64, u64) {
    (
        u64::from(settings.cpu_overcommit_percent),
        u64::from(settings.memory_overcommit_percent),
    )
}

/// Smaller is better: siblings on the worker, GPUs for which it has no use, memory promised in thousandths, id.
fn rank(state: &State, worker: &Worker, vnode: &Vnode) -> (usize, bool, u64, WorkerId) {
    let siblings = state
        .vnodes_on(worker.id)
        .filter(|other| other.vcluster == vnode.vcluster && other.wanted != VnodeWanted::Removed)
        .count();
    let load = load(state, worker);
    let share = load.memory_mib * 1_000 / load.memory_mib_max.max(1);
    let wants_none = state.wishes_of(vnode.id).gpus.count == 0;
    let in_the_way = wants_none && !worker.facts.capacity.gpus.is_empty();
    (siblings, in_the_way, share, worker.id)
}
