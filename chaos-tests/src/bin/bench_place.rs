//! The scheduler alone, in the model: ten thousand vnodes find their places among a thousand workers, one of them is
//! explained, and what has become uneven is evened out. Pure functions of a state in memory; nothing is started.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use docklet_chaos_tests::count;
use docklet_chaos_tests::report::{self, Figure, Goal, median, ms};
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::event::VnodeRef;
use docklet_control::evolve::evolve;
use docklet_control::id::{
    Digest, Epoch, NetworkId, UnixMs, UserId, VclusterId, VnodeId, WorkerId,
};
use docklet_control::model::{
    Placement, Role, User, Vcluster, VclusterWanted, Vnode, VnodeSeen, VnodeWanted, Worker,
    WorkerCapacity, WorkerFacts, WorkerStatus,
};
use docklet_control::name::Name;
use docklet_control::place::Board;
use docklet_control::{Event, State, view};
use serde_json::json;

/// Vnodes of one vcluster: they are spread over workers.
const TOGETHER: u64 = 20;
const IMAGE: Digest = Digest([7; 32]);
const OWNER: UserId = UserId(1);
const SIZE: VnodeSize = VnodeSize {
    cpu_milli: CpuMilli(1_000),
    memory_mib: MemoryMib(1_024),
    pids_max: 512,
};

fn name(text: &str) -> anyhow::Result<Name> {
    Ok(Name::parse("name", text)?)
}

fn owner() -> anyhow::Result<User> {
    Ok(User {
        id: OWNER,
        name: name("ada")?,
        role: Role::Admin,
        password_hash: String::new(),
        created_at: UnixMs(0),
    })
}

/// Every worker has room for a fifth more than its part.
fn worker(id: u64, vnodes: u64, workers: u64) -> anyhow::Result<Worker> {
    let room = vnodes.div_ceil(workers) * 6 / 5 + 1;
    Ok(Worker {
        id: WorkerId(id),
        name: name(&format!("w{id}"))?,
        data_addr: "10.0.0.1:7300".to_owned(),
        underlay: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        facts: WorkerFacts {
            capacity: WorkerCapacity {
                cpu_milli: CpuMilli(u32::try_from(room * 1_000)?),
                memory_mib: MemoryMib(u32::try_from(room * 1_024)?),
                disk_mib: DiskMib(room * 20_480),
                gpus: Vec::new(),
            },
            kernel: String::new(),
            liblxc: String::new(),
            agent: String::new(),
        },
        status: WorkerStatus::Up,
        status_since: UnixMs(0),
    })
}

fn vcluster(id: u64) -> anyhow::Result<Vcluster> {
    Ok(Vcluster {
        id: VclusterId(id),
        owner: OWNER,
        name: name(&format!("v{id}"))?,
        network: NetworkId(1),
        image_name: name("busybox")?,
        image: IMAGE,
        size: SIZE,
        wanted: VclusterWanted::Running,
        created_at: UnixMs(0),
        created_index: docklet_control::id::LogIndex(1),
    })
}

fn vnode(id: u64) -> anyhow::Result<Vnode> {
    Ok(Vnode {
        id: VnodeId(id),
        vcluster: VclusterId((id - 1) / TOGETHER + 1),
        owner: OWNER,
        ordinal: u32::try_from((id - 1) % TOGETHER)?,
        wanted: VnodeWanted::Running,
        image: IMAGE,
        size: SIZE,
        address: Ipv4Addr::from(0x0a40_0000 + u32::try_from(id)?),
        placement: None,
        obstacles: Vec::new(),
        seen: VnodeSeen::Running,
        seen_at: UnixMs(0),
        created_at: UnixMs(0),
    })
}

/// So many workers, and so many vnodes that are nowhere yet.
fn state(workers: u64, vnodes: u64) -> anyhow::Result<(State, Vec<Vnode>)> {
    let mut events = vec![Event::UserCreated { user: owner()? }];
    for id in 1..=workers {
        let worker = worker(id, vnodes, workers)?;
        events.push(Event::WorkerJoined { worker });
    }
    for id in 1..=vnodes.div_ceil(TOGETHER) {
        let vcluster = vcluster(id)?;
        events.push(Event::VclusterCreated { vcluster });
    }
    let nowhere: Vec<Vnode> = (1..=vnodes).map(vnode).collect::<Result<_, _>>()?;
    let created = nowhere.iter().cloned();
    events.extend(created.map(|vnode| Event::VnodeCreated { vnode }));
    Ok((folded(State::default(), &events), nowhere))
}

fn folded(state: State, events: &[Event]) -> State {
    let fold = |state, event| evolve(state, UnixMs(1), event);
    events.iter().fold(state, fold)
}

fn placed(vnode: &Vnode, worker: WorkerId) -> Event {
    let placement = Placement {
        worker,
        epoch: Epoch(1),
    };
    let about = VnodeRef::from(vnode);
    Event::VnodePlaced { about, placement }
}

/// Milliseconds of each of `times` runs.
fn measured<T>(times: u64, mut act: impl FnMut() -> T) -> (Vec<f64>, T) {
    let mut taken = Vec::new();
    let mut timed = || {
        let begun = Instant::now();
        let result = act();
        taken.push(ms(begun.elapsed()));
        result
    };
    for _ in 1..times {
        timed();
    }
    let last = timed();
    (taken, last)
}

fn figure(what: &str, taken: &[f64], goal: Goal) -> Figure {
    let worst = taken.iter().copied().fold(0.0, f64::max);
    Figure::alone(
        &format!("{what} (longest {worst:.1} ms)"),
        "ms",
        median(taken),
        goal,
    )
}

fn main() -> anyhow::Result<()> {
    let (workers, vnodes) = (count("WORKERS", 1_000), count("VNODES", 10_000));
    let (before, nowhere) = state(workers, vnodes)?;
    let (placing, batch) = measured(5, || Board::of(&before).place_all(&nowhere));
    anyhow::ensure!(batch.unplaced.is_empty(), "some find no place");
    let rows: std::collections::BTreeMap<VnodeId, &Vnode> =
        nowhere.iter().map(|vnode| (vnode.id, vnode)).collect();
    let events: Vec<Event> = batch
        .placed
        .iter()
        .filter_map(|(id, worker)| Some(placed(rows.get(id)?, *worker)))
        .collect();
    let after = folded(before.clone(), &events);
    let asker = owner()?;
    let middle = &after.vnodes[&VnodeId(vnodes / 2 + 1)];
    let (explaining, told) = measured(20, || view::explain::vnode(&after, &asker, middle));
    anyhow::ensure!(
        told.workers.len() as u64 == workers,
        "every worker is explained"
    );
    let sum = format!("{vnodes} vnodes on {workers} workers");
    let figures = [
        figure(
            &format!("placing {sum}, in one batch"),
            &placing,
            Goal::AtMost(1_000.0),
        ),
        figure(
            &format!("explaining one of {sum}"),
            &explaining,
            Goal::AtMost(5.0),
        ),
    ];
    report::tell(
        "place",
        json!({ "workers": workers, "vnodes": vnodes }),
        &figures,
    )
}
