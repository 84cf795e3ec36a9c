//! A thousand random clusters, beside a scheduler that tries everything.

mod rebalance;
mod standings;
mod wishes;

use imbl::OrdMap;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Batch, Board, Dimension};
use crate::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use crate::id::{
    Digest, Epoch, LogIndex, NetworkId, UnixMs, UserId, VclusterId, VnodeId, WorkerId,
};
use crate::model::{
    Agreed, Cordon, DiskOvercommit, Gpu, GpuWish, OnLost, Placement, Rules, Spread, Vcluster,
    VclusterRules, VclusterWanted, Vnode, VnodeSeen, VnodeWanted, VnodeWishes, Wishes, Worker,
    WorkerCapacity, WorkerFacts, WorkerStatus, WorkerTraits,
};
use crate::name::Name;
use crate::state::State;

/// One worker: amounts in units of the smallest vnode.
#[derive(Clone, Debug)]
struct Has {
    units: [u32; 3],
    gpus: u32,
    zone: Option<&'static str>,
    status: WorkerStatus,
    cordoned: bool,
}

/// One vnode, and the worker that has it already, if any.
#[derive(Clone, Debug)]
struct Wants {
    units: [u32; 3],
    gpus: u32,
    vcluster: u64,
    on: Option<u64>,
}

#[derive(Clone, Debug)]
struct Cluster {
    workers: Vec<Has>,
    rules: Vec<Rules>,
    vnodes: Vec<Wants>,
}

const CPU: u32 = 250;
const MEMORY: u32 = 128;
const DISK: u64 = 1_024;

/// Where what has a number, from 1 on, stands in a list.
fn at(number: u64) -> usize {
    usize::try_from(number - 1).expect("few")
}

fn name(text: &str) -> Name {
    Name::parse("label", text).expect("a name")
}

fn has() -> impl Strategy<Value = Has> {
    let zone = select(vec![None, Some("a"), Some("a"), Some("b")]);
    let status = select(
        vec![WorkerStatus::Up; 9]
            .into_iter()
            .chain([WorkerStatus::Down])
            .collect::<Vec<_>>(),
    );
    let cordoned = select(vec![false, false, false, false, false, false, false, true]);
    ([1..6_u32, 1..6, 1..6], 0..3_u32, zone, status, cordoned).prop_map(
        |(units, gpus, zone, status, cordoned)| Has {
            units,
            gpus,
            zone,
            status,
            cordoned,
        },
    )
}

fn wants() -> impl Strategy<Value = Wants> {
    let gpus = select(vec![0, 0, 0, 1, 2]);
    let on = select(vec![None, None, None, Some(1), Some(2)]);
    ([1..4_u32, 1..4, 1..4], gpus, 1..4_u64, on).prop_map(|(units, gpus, vcluster, on)| Wants {
        units,
        gpus,
        vcluster,
        on,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
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

fn cluster() -> impl Strategy<Value = Cluster> {
    (vec(has(), 1..4), vec(rules(), 3), vec(wants(), 1..7)).prop_map(|(workers, rules, vnodes)| {
        Cluster {
            workers,
            rules,
            vnodes,
        }
    })
}

impl Has {
    fn worker(&self, id: u64) -> Worker {
        let gpu = |number| Gpu {
            uuid: format!("gpu-{id}-{number}"),
            model: "A100".to_owned(),
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
                    gpus: (0..self.gpus).map(gpu).collect(),
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
    fn state(&self) -> State {
        let mut state = State::default();
        state.agreed = Some(Agreed {
            version: Wishes::SINCE,
            at: UnixMs::default(),
        });
        state.disk_overcommit = Some(DiskOvercommit { percent: 100 });
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
            if let Some(on) = on {
                load[on].add(wants);
            }
            let (vnode, wishes) = wants.rows(id, on, &load);
            state.put_vnode(vnode);
            state.put_vnode_wishes(wishes);
        }
        state
    }

    /// Whether a worker takes one more, worked out without the scheduler.
    fn fits(&self, used: &Used, on: usize, wants: &Wants) -> bool {
        let (has, rules) = (&self.workers[on], &self.rules[at(wants.vcluster)]);
        let room = (0..3).all(|unit| used.units[unit] + wants.units[unit] <= has.units[unit]);
        let siblings = used.of[at(wants.vcluster)];
        let zone = rules.labels.get(&name("zone"));
        has.status == WorkerStatus::Up
            && !has.cordoned
            && room
            && used.gpus + wants.gpus <= has.gpus
            && rules.per_worker_max.is_none_or(|most| siblings < most)
            && zone.is_none_or(|zone| Some(zone.as_str()) == has.zone)
    }

    /// What is used in a state.
    fn used(&self, state: &State) -> Vec<Used> {
        let mut used = vec![Used::default(); self.workers.len()];
        for vnode in state.vnodes.values() {
            if let Some(placed) = vnode.placement {
                used[at(placed.worker.0)].add(&self.vnodes[at(vnode.id.0)]);
            }
        }
        used
    }

    /// Whether all of these can be placed in some way: every way is tried.
    fn possible(&self, used: &mut Vec<Used>, waiting: &[usize]) -> bool {
        let Some((first, rest)) = waiting.split_first() else {
            return true;
        };
        let wants = &self.vnodes[*first];
        (0..self.workers.len()).any(|on| {
            let before = used[on].clone();
            let fits = self.fits(&before, on, wants);
            if fits {
                used[on].add(wants);
            }
            let found = fits && self.possible(used, rest);
            used[on] = before;
            found
        })
    }
}

/// What vnodes have of one worker.
#[derive(Clone, Debug, Default)]
struct Used {
    units: [u32; 3],
    gpus: u32,
    /// Vnodes of each vcluster.
    of: [u32; 3],
}

impl Used {
    fn add(&mut self, wants: &Wants) {
        for (used, more) in self.units.iter_mut().zip(wants.units) {
            *used += more;
        }
        self.gpus += wants.gpus;
        self.of[at(wants.vcluster)] += 1;
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
    fn rows(&self, id: u64, on: Option<usize>, load: &[Used]) -> (Vnode, VnodeWishes) {
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
        let given = on.map_or(0, |on| load[on].gpus);
        let gpus = (given.saturating_sub(self.gpus)..given)
            .filter_map(|number| Some(format!("gpu-{}-{number}", on? + 1)));
        let wishes = VnodeWishes {
            vnode: id,
            wishes: Wishes {
                disk_mib: DiskMib(u64::from(self.units[2]) * DISK),
                gpus: GpuWish {
                    count: self.gpus,
                    model: None,
                },
            },
            gpus: gpus.collect(),
        };
        (vnode, wishes)
    }
}

fn waiting(state: &State) -> Vec<Vnode> {
    state.unplaced_vnodes().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_possible_is_never_refused_and_nothing_is_exceeded(cluster in cluster()) {
        let state = cluster.state();
        let all = waiting(&state);
        let mut board = Board::of(&state);
        let Batch { placed, unplaced } = board.place_all(&all);
        prop_assert_eq!(placed.len() + unplaced.len(), all.len());

        // What the board says was placed, placed again by other rules.
        let mut used = cluster.used(&state);
        for (id, worker) in &placed {
            let (wants, on) = (&cluster.vnodes[at(id.0)], at(worker.0));
            prop_assert!(cluster.fits(&used[on], on, wants), "vnode {} on {}", id, worker);
            used[on].add(wants);
        }
        for (id, obstacles) in &unplaced {
            let wants = &cluster.vnodes[at(id.0)];
            for (on, used) in used.iter().enumerate() {
                prop_assert!(!cluster.fits(used, on, wants), "vnode {} could go to {}", id, on + 1);
            }
            prop_assert_eq!(obstacles.len(), cluster.workers.len());
            prop_assert!(obstacles.iter().all(|obstacle| !obstacle.lacks.is_empty()));
        }
        let indices: Vec<usize> = all.iter().map(|vnode| at(vnode.id.0)).collect();
        let possible = cluster.possible(&mut cluster.used(&state), &indices);
        prop_assert_eq!(unplaced.is_empty(), possible);
    }

    #[test]
    fn a_board_counts_as_the_state_does(cluster in cluster()) {
        let state = cluster.state();
        let mut board = Board::of(&state);
        board.place_all(&waiting(&state));
        let anew = Board::of(board.state());
        for worker in state.workers.keys() {
            prop_assert_eq!(board.load(*worker), anew.load(*worker));
        }
        for vnode in state.vnodes.values() {
            board.take_off(vnode.id);
        }
        let empty = Board::of(board.state());
        for worker in state.workers.values() {
            prop_assert_eq!(board.load(worker.id), empty.load(worker.id));
            prop_assert_eq!(board.load(worker.id).share(), 0);
        }
    }
}

fn state_of(workers: Vec<Has>, rules: Rules, vnodes: Vec<Wants>) -> State {
    let rules = vec![rules, Rules::default(), Rules::default()];
    Cluster {
        workers,
        rules,
        vnodes,
    }
    .state()
}

fn roomy(zone: Option<&'static str>) -> Has {
    Has {
        units: [8; 3],
        gpus: 0,
        zone,
        status: WorkerStatus::Up,
        cordoned: false,
    }
}

fn one() -> Wants {
    Wants {
        units: [1; 3],
        gpus: 0,
        vcluster: 1,
        on: None,
    }
}

fn places(state: &State) -> Vec<u64> {
    let batch = Board::of(state).place_all(&waiting(state));
    batch
        .placed
        .into_iter()
        .map(|(_, worker)| worker.0)
        .collect()
}

#[test]
fn every_dimension_that_failed_is_told() {
    let cordoned = Has {
        units: [1, 8, 1],
        cordoned: true,
        status: WorkerStatus::Down,
        ..roomy(Some("a"))
    };
    let rules = Rules {
        labels: [(name("zone"), "b".to_owned())].into_iter().collect(),
        ..Rules::default()
    };
    let large = Wants {
        units: [2, 2, 2],
        gpus: 1,
        ..one()
    };
    let state = state_of(vec![cordoned], rules, vec![large]);
    let batch = Board::of(&state).place_all(&waiting(&state));
    let lacks = &batch.unplaced[0].1[0].lacks;
    let expected = [
        Dimension::Status(WorkerStatus::Down),
        Dimension::Cordoned {
            reason: String::new(),
        },
        Dimension::Cpu {
            wanted: 500,
            free: 250,
        },
        Dimension::Disk {
            wanted: 2_048,
            free: 1_024,
        },
        Dimension::Gpus {
            wanted: 1,
            model: None,
            fitting: 0,
            free: 0,
        },
        Dimension::Label {
            key: name("zone"),
            wanted: "b".to_owned(),
            has: Some("a".to_owned()),
        },
    ];
    assert_eq!(*lacks, expected);
}

/// Alone each would take the emptier worker, and the large one would find no room.
#[test]
fn a_large_one_finds_room_though_small_ones_choose_first() {
    let worker = |units| Has {
        units: [units; 3],
        ..roomy(None)
    };
    let small = |vcluster| Wants {
        units: [2; 3],
        vcluster,
        ..one()
    };
    let large = Wants {
        units: [4; 3],
        vcluster: 3,
        ..one()
    };
    let state = state_of(
        vec![worker(4), worker(4)],
        Rules::default(),
        vec![small(1), small(2), large],
    );
    let batch = Board::of(&state).place_all(&waiting(&state));
    assert_eq!(batch.unplaced, []);
}
