//! Random clusters, and who fits where in them, worked out without the scheduler.

use imbl::OrdMap;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use crate::id::{
    Digest, Epoch, LogIndex, NetworkId, UnixMs, UserId, VclusterId, VnodeId, WorkerId,
};
use crate::model::{
    Agreed, ClusterId, Cordon, DiskOvercommit, Gpu, GpuWish, OnLost, Placement, Rules, Settings,
    Spread, Vcluster, VclusterRules, VclusterWanted, Vnode, VnodeSeen, VnodeWanted, VnodeWishes,
    Wishes, Worker, WorkerCapacity, WorkerFacts, WorkerStatus, WorkerTraits,
};
use crate::name::Name;
use crate::state::State;

/// One worker: amounts in units of the smallest vnode.
#[derive(Clone, Debug)]
pub struct Has {
    pub units: [u32; 3],
    /// Of each model.
    pub gpus: [u32; 2],
    pub zone: Option<&'static str>,
    pub status: WorkerStatus,
    pub cordoned: bool,
}

/// One vnode, and the worker that has it already, if any.
#[derive(Clone, Debug)]
pub struct Wants {
    pub units: [u32; 3],
    pub gpus: u32,
    /// Which of the models; any will do if none.
    pub model: Option<usize>,
    pub vcluster: u64,
    pub on: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Cluster {
    pub workers: Vec<Has>,
    pub rules: Vec<Rules>,
    pub vnodes: Vec<Wants>,
    /// Of CPU, memory and disk that may be promised, in hundredths of what there is.
    pub percents: [u32; 3],
}

const CPU: u32 = 250;
const MEMORY: u32 = 128;
const DISK: u64 = 1_024;
const MODELS: [&str; 2] = ["A100", "RTX 4090"];

/// Where what has a number, from 1 on, stands in a list.
pub fn at(number: u64) -> usize {
    usize::try_from(number - 1).expect("few")
}

pub fn name(text: &str) -> Name {
    Name::parse("label", text).expect("a name")
}

pub fn has() -> impl Strategy<Value = Has> {
    let zone = select(vec![None, Some("a"), Some("a"), Some("b")]);
    let status = select(
        vec![WorkerStatus::Up; 9]
            .into_iter()
            .chain([WorkerStatus::Down])
            .collect::<Vec<_>>(),
    );
    let cordoned = select(vec![false, false, false, false, false, false, false, true]);
    (
        [1..6_u32, 1..6, 1..6],
        [0..3_u32, 0..2],
        zone,
        status,
        cordoned,
    )
        .prop_map(|(units, gpus, zone, status, cordoned)| Has {
            units,
            gpus,
            zone,
            status,
            cordoned,
        })
}

pub fn wants() -> impl Strategy<Value = Wants> {
    let gpus = select(vec![0, 0, 0, 1, 1, 2]);
    let model = select(vec![None, None, Some(0), Some(1)]);
    let on = select(vec![None, None, None, Some(1), Some(2)]);
    ([1..4_u32, 1..4, 1..4], gpus, model, 1..4_u64, on).prop_map(
        |(units, gpus, model, vcluster, on)| Wants {
            units,
            gpus,
            model,
            vcluster,
            on,
        },
    )
}

pub fn rules() -> impl Strategy<Value = Rules> {
    let spread = select(vec![Spread::Workers, Spread::Zones, Spread::Together]);
    let zone = || {
        let zone = select(vec![None, None, None, Some("a"), Some("b")]);
        zone.prop_map(|zone| zone.map(|zone| (name("zone"), zone.to_owned())))
    };
    let rules = (spread, of(1..3_u32), zone(), zone());
    rules.prop_map(|(spread, per_worker_max, zone, prefers)| Rules {
        spread,
        per_worker_max,
        on_lost: OnLost::Wait,
        labels: zone.into_iter().collect(),
        prefers: prefers.into_iter().collect(),
    })
}

fn percent() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(100), 1 => 100..=400_u32]
}

pub fn cluster() -> impl Strategy<Value = Cluster> {
    let vnodes = vec(wants(), 1..7);
    let percents = [percent(), percent(), percent()];
    (vec(has(), 1..4), vec(rules(), 3), vnodes, percents).prop_map(
        |(workers, rules, vnodes, percents)| Cluster {
            workers,
            rules,
            vnodes,
            percents,
        },
    )
}

/// A GPU by its worker and its place in that worker's list.
fn gpu(worker: u64, number: u32) -> String {
    format!("gpu-{worker}-{number}")
}

impl Has {
    fn worker(&self, id: u64) -> Worker {
        let gpu = |number| Gpu {
            uuid: gpu(id, number),
            model: MODELS[usize::from(number >= self.gpus[0])].to_owned(),
            memory_mib: MemoryMib(1),
        };
        Worker {
            id: WorkerId(id),
            name: name(&format!("w{id}")),
            data_addr: String::new(),
            underlay: [127, 0, 0, 1].into(),
            facts: WorkerFacts {
                capacity: WorkerCapacity {
                    cpu_milli: CpuMilli(self.units[0] * CPU),
                    memory_mib: MemoryMib(self.units[1] * MEMORY),
                    disk_mib: DiskMib(u64::from(self.units[2]) * DISK),
                    gpus: (0..self.gpus.iter().sum()).map(gpu).collect(),
                },
                ..WorkerFacts::default()
            },
            status: self.status,
            status_since: UnixMs::default(),
        }
    }

    fn traits(&self, id: u64) -> WorkerTraits {
        let zone = self.zone.map(|zone| (name("zone"), zone.to_owned()));
        let cordon = Cordon {
            by: UserId(1),
            at: UnixMs::default(),
            reason: String::new(),
        };
        WorkerTraits {
            labels: zone.into_iter().collect::<OrdMap<_, _>>(),
            cordon: self.cordoned.then_some(cordon),
            ..WorkerTraits::none(WorkerId(id))
        }
    }
}

impl Cluster {
    /// With those vnodes placed that say so, as far as there is room.
    pub fn state(&self) -> State {
        let mut state = State::default();
        state.agreed = Some(Agreed {
            version: Wishes::SINCE,
            at: UnixMs::default(),
        });
        let [cpu, memory, disk] = self.percents;
        state.settings = Some(settings(cpu, memory));
        state.disk_overcommit = Some(DiskOvercommit { percent: disk });
        for (has, id) in self.workers.iter().zip(1..) {
            state.put_worker(has.worker(id));
            state.put_worker_traits(has.traits(id));
        }
        for (rules, id) in self.rules.iter().cloned().zip(1..) {
            let vcluster = VclusterId(id);
            state.put_vcluster(vcluster_row(vcluster));
            state.put_vcluster_rules(VclusterRules {
                vcluster,
                rules,
                on_lost_since: LogIndex(1),
            });
        }
        let mut load = vec![Used::default(); self.workers.len()];
        for (wants, id) in self.vnodes.iter().zip(1..) {
            let on = wants.on.map(at);
            let on = on.filter(|on| *on < load.len() && self.fits(&load[*on], *on, wants));
            let gpus = on.map_or_else(Vec::new, |on| load[on].add(wants, &self.workers[on]));
            let (vnode, wishes) = wants.rows(id, on, gpus);
            state.put_vnode(vnode);
            state.put_vnode_wishes(wishes);
        }
        state
    }

    /// Whether a worker takes one more, worked out without the scheduler.
    pub fn fits(&self, used: &Used, on: usize, wants: &Wants) -> bool {
        let (has, rules) = (&self.workers[on], &self.rules[at(wants.vcluster)]);
        let room = (0..3).all(|unit| {
            let promised = used.units[unit] + wants.units[unit];
            promised * 100 <= has.units[unit] * self.percents[unit]
        });
        // No disk is promised that could not be filled if it were alone.
        let disk = wants.units[2] <= has.units[2];
        let siblings = used.of[at(wants.vcluster)];
        let zone = rules.labels.get(&name("zone"));
        has.status == WorkerStatus::Up
            && !has.cordoned
            && room
            && disk
            && !used.ways(wants, has).is_empty()
            && rules.per_worker_max.is_none_or(|most| siblings < most)
            && zone.is_none_or(|zone| Some(zone.as_str()) == has.zone)
    }

    /// What is used in a state.
    pub fn used(&self, state: &State) -> Vec<Used> {
        let mut used = vec![Used::default(); self.workers.len()];
        for vnode in state.vnodes.values() {
            if let Some(placed) = vnode.placement {
                let on = at(placed.worker.0);
                used[on].add(&self.vnodes[at(vnode.id.0)], &self.workers[on]);
            }
        }
        used
    }

    /// Whether all of these can be placed in some way: every way is tried.
    pub fn possible(&self, used: &mut Vec<Used>, waiting: &[usize]) -> bool {
        let Some((first, rest)) = waiting.split_first() else {
            return true;
        };
        let wants = &self.vnodes[*first];
        (0..self.workers.len()).any(|on| {
            let before = used[on].clone();
            if !self.fits(&before, on, wants) {
                return false;
            }
            let ways = before.ways(wants, &self.workers[on]);
            let found = ways.into_iter().any(|gpus| {
                used[on].take(wants, gpus);
                let found = self.possible(used, rest);
                used[on] = before.clone();
                found
            });
            used[on] = before;
            found
        })
    }
}

/// What vnodes have of one worker.
#[derive(Clone, Debug, Default)]
pub struct Used {
    pub units: [u32; 3],
    /// Of each model.
    pub gpus: [u32; 2],
    /// Vnodes of each vcluster.
    pub of: [u32; 3],
}

impl Used {
    /// In which ways one more can have its GPUs, the one first in which it has those that come first in the list.
    pub fn ways(&self, wants: &Wants, has: &Has) -> Vec<[u32; 2]> {
        let all = (0..=wants.gpus)
            .rev()
            .map(|first| [first, wants.gpus - first]);
        let ways = all.filter(|way| {
            (0..2).all(|model| {
                let wanted = way[model] == 0 || wants.model.is_none_or(|only| only == model);
                wanted && self.gpus[model] + way[model] <= has.gpus[model]
            })
        });
        ways.collect()
    }

    pub fn take(&mut self, wants: &Wants, gpus: [u32; 2]) {
        for (used, more) in self.units.iter_mut().zip(wants.units) {
            *used += more;
        }
        for (used, more) in self.gpus.iter_mut().zip(gpus) {
            *used += more;
        }
        self.of[at(wants.vcluster)] += 1;
    }

    /// With one more, which has the first GPUs that it can; answers their places in the worker's list.
    pub fn add(&mut self, wants: &Wants, has: &Has) -> Vec<u32> {
        let gpus = self.ways(wants, has).first().copied();
        let [first, second] = gpus.unwrap_or_default();
        let of_first = self.gpus[0]..self.gpus[0] + first;
        let of_second = has.gpus[0] + self.gpus[1]..has.gpus[0] + self.gpus[1] + second;
        self.take(wants, [first, second]);
        of_first.chain(of_second).collect()
    }
}

pub fn settings(cpu_overcommit_percent: u32, memory_overcommit_percent: u32) -> Settings {
    Settings {
        cluster: ClusterId::default(),
        name: name("lab"),
        cluster_net: "10.0.0.0/8".parse().expect("a net"),
        user_prefix: 24,
        cpu_overcommit_percent,
        memory_overcommit_percent,
        worker_timeout_ms: 5_000,
    }
}

fn vcluster_row(id: VclusterId) -> Vcluster {
    Vcluster {
        id,
        owner: UserId(1),
        name: name(&format!("v{id}")),
        network: NetworkId(1),
        image_name: name("busybox"),
        image: Digest([7; 32]),
        size: VnodeSize::default(),
        wanted: VclusterWanted::Running,
        created_at: UnixMs::default(),
        created_index: LogIndex(1),
    }
}

impl Wants {
    fn rows(&self, id: u64, on: Option<usize>, gpus: Vec<u32>) -> (Vnode, VnodeWishes) {
        let (id, worker) = (VnodeId(id), on.map(|on| WorkerId(on as u64 + 1)));
        let vnode = Vnode {
            id,
            vcluster: VclusterId(self.vcluster),
            owner: UserId(1),
            ordinal: u32::try_from(id.0).unwrap_or_default(),
            wanted: VnodeWanted::Running,
            image: Digest([7; 32]),
            size: VnodeSize {
                cpu_milli: CpuMilli(self.units[0] * CPU),
                memory_mib: MemoryMib(self.units[1] * MEMORY),
                pids_max: 64,
            },
            address: [10, 0, 0, 1].into(),
            placement: worker.map(|worker| Placement {
                worker,
                epoch: Epoch(1),
            }),
            obstacles: Vec::new(),
            seen: VnodeSeen::Pending,
            seen_at: UnixMs::default(),
            created_at: UnixMs::default(),
        };
        let gpus = gpus.into_iter();
        let gpus = gpus.filter_map(|number| Some(gpu(worker?.0, number)));
        let wishes = VnodeWishes {
            vnode: id,
            wishes: Wishes {
                disk_mib: DiskMib(u64::from(self.units[2]) * DISK),
                gpus: GpuWish {
                    count: self.gpus,
                    model: self.model.map(|model| MODELS[model].to_owned()),
                },
            },
            gpus: gpus.collect(),
        };
        (vnode, wishes)
    }
}
