//! Lists in the model: what a master shows of ten thousand people with fifty thousand vnodes, to an admin and to one of them.
//! Pure functions of a state in memory; nothing is started.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use docklet_chaos_tests::count;
use docklet_chaos_tests::report::{self, Figure, Goal, median, ms};
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::event::VnodeRef;
use docklet_control::evolve::evolve;
use docklet_control::group::event::GroupEvent;
use docklet_control::id::{
    Digest, Epoch, GroupId, LogIndex, NetworkId, UnixMs, UserId, VclusterId, VnodeId, WorkerId,
};
use docklet_control::model::{
    ClusterVersion, Group, Network, Placement, Port, PortNumber, Protocol, PublicPort, Role, User,
    Vcluster, VclusterWanted, Vnode, VnodeSeen, VnodeWanted, Worker, WorkerCapacity, WorkerFacts,
    WorkerStatus,
};
use docklet_control::name::Name;
use docklet_control::{Event, State, view};
use serde_json::json;

const TIMES: usize = 15;
const WORKERS: u64 = 1_000;
const GROUPS: u64 = 200;
const PORTS: u64 = 5_000;
const IMAGE: Digest = Digest([7; 32]);
const SIZE: VnodeSize = VnodeSize {
    cpu_milli: CpuMilli(100),
    memory_mib: MemoryMib(64),
    pids_max: 512,
};

fn name(text: &str) -> anyhow::Result<Name> {
    Ok(Name::parse("name", text)?)
}

fn user(id: u64) -> anyhow::Result<User> {
    Ok(User {
        id: UserId(id),
        name: name(&format!("user-{id}"))?,
        role: if id == 1 { Role::Admin } else { Role::User },
        password_hash: String::new(),
        created_at: UnixMs(0),
    })
}

fn worker(id: u64) -> anyhow::Result<Worker> {
    Ok(Worker {
        id: WorkerId(id),
        name: name(&format!("w{id}"))?,
        data_addr: "10.0.0.1:7300".to_owned(),
        underlay: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        facts: WorkerFacts {
            capacity: WorkerCapacity {
                cpu_milli: CpuMilli(64_000),
                memory_mib: MemoryMib(262_144),
                disk_mib: DiskMib(4_000_000),
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

/// One segment for each person, a vcluster of `together` vnodes at a time, all placed.
fn state(users: u64, vnodes: u64, together: u64) -> anyhow::Result<State> {
    let version = ClusterVersion::CURRENT;
    let mut events = vec![Event::VersionRaised { version }];
    for id in 1..=users {
        events.push(Event::UserCreated { user: user(id)? });
        events.push(Event::NetworkCreated {
            network: Network {
                id: NetworkId(id),
                owner: UserId(id),
                subnet: format!(
                    "{}/26",
                    Ipv4Addr::from(0x0a00_0000 + u32::try_from(id)? * 64)
                )
                .parse()?,
                addresses: Default::default(),
            },
        });
    }
    for id in 1..=WORKERS {
        events.push(Event::WorkerJoined {
            worker: worker(id)?,
        });
    }
    for id in 1..=GROUPS {
        let members = (1..=users).filter(|user| user % GROUPS == id % GROUPS);
        events.push(Event::Group(GroupEvent::Formed {
            group: Group {
                id: GroupId(id),
                name: name(&format!("group-{id}"))?,
                description: String::new(),
                members: members.map(UserId).collect(),
                created_at: UnixMs(0),
                managers: [UserId(1)].into_iter().collect(),
            },
            left: BTreeSet::new(),
        }));
    }
    for id in 1..=vnodes.div_ceil(together) {
        let owner = UserId(id % users + 1);
        let vcluster = Vcluster {
            id: VclusterId(id),
            owner,
            name: name(&format!("lab-{id}"))?,
            network: NetworkId(owner.0),
            image_name: name("busybox")?,
            image: IMAGE,
            size: SIZE,
            wanted: VclusterWanted::Running,
            created_at: UnixMs(0),
            created_index: LogIndex(1),
        };
        events.push(Event::VclusterCreated { vcluster });
        for ordinal in 0..together {
            events.extend(vnode(id, owner, ordinal, together)?);
        }
    }
    for id in 1..=PORTS {
        let vnode = id * (vnodes / PORTS);
        let vcluster = (vnode - 1) / together + 1;
        events.push(Event::PortAdded {
            port: Port {
                public: PublicPort {
                    protocol: Protocol::Tcp,
                    number: PortNumber(u16::try_from(20_000 + id)?),
                },
                vnode: VnodeId(vnode),
                number: PortNumber(80),
                vcluster: VclusterId(vcluster),
                owner: UserId(vcluster % users + 1),
                added_at: UnixMs(0),
            },
        });
    }
    let fold = |state, event| evolve(state, UnixMs(1), event);
    Ok(events.iter().fold(State::default(), fold))
}

fn vnode(vcluster: u64, owner: UserId, ordinal: u64, together: u64) -> anyhow::Result<Vec<Event>> {
    let id = (vcluster - 1) * together + ordinal + 1;
    let vnode = Vnode {
        id: VnodeId(id),
        vcluster: VclusterId(vcluster),
        owner,
        ordinal: u32::try_from(ordinal)?,
        wanted: VnodeWanted::Running,
        image: IMAGE,
        size: SIZE,
        address: Ipv4Addr::from(0x0a00_0000 + u32::try_from(id)?),
        placement: None,
        obstacles: Vec::new(),
        seen: VnodeSeen::Pending,
        seen_at: UnixMs(0),
        created_at: UnixMs(0),
    };
    let about = VnodeRef::from(&vnode);
    let placement = Placement {
        worker: WorkerId(id % WORKERS + 1),
        epoch: Epoch(1),
    };
    let seen = VnodeSeen::Running;
    Ok(vec![
        Event::VnodeCreated { vnode },
        Event::VnodePlaced { about, placement },
        Event::VnodeSeen { about, seen },
    ])
}

/// Milliseconds of each look, and how much was seen.
fn looks_of(look: &dyn Fn() -> usize) -> (Vec<f64>, usize) {
    let mut seen = 0;
    let taken = (0..TIMES).map(|_| {
        let begun = Instant::now();
        seen = look();
        ms(begun.elapsed())
    });
    (taken.collect(), seen)
}

fn main() -> anyhow::Result<()> {
    let (users, vnodes) = (count("USERS", 10_000), count("VNODES", 50_000));
    let state = state(users, vnodes, 4)?;
    anyhow::ensure!(state.vnodes.len() as u64 == vnodes, "all vnodes are there");
    let (admin, person) = (user(1)?, user(users / 2)?);
    let state = &state;
    let lists = |asker: &'static str, who: &User| -> Vec<(String, Vec<f64>, usize)> {
        let looks: [(&str, &dyn Fn() -> usize); 10] = [
            ("vclusters", &|| view::vcluster::list(state, who).len()),
            ("accounts", &|| view::account::list(state, who).len()),
            ("quotas", &|| view::allowance::list(state, who).len()),
            ("groups", &|| view::group::list(state, who).len()),
            ("homes", &|| view::home::list(state, who).len()),
            ("images", &|| view::image::list(state, who).len()),
            ("ports", &|| view::port::list(state, who).len()),
            ("templates", &|| view::template::list(state, who).len()),
            ("trash", &|| view::trash::list(state, who).len()),
            ("moves", &|| view::moves::list(state, who).len()),
        ];
        let measured = looks.into_iter().map(|(what, look)| {
            let (taken, seen) = looks_of(look);
            (format!("{what}, for {asker}"), taken, seen)
        });
        measured.collect()
    };
    let mut all = lists("an admin", &admin);
    all.extend(lists("one of them", &person));
    let (taken, seen) = looks_of(&|| view::worker::list(state).len());
    all.push(("workers".to_owned(), taken, seen));
    let figures: Vec<Figure> = all
        .iter()
        .map(|(what, taken, seen)| {
            let worst = taken.iter().copied().fold(0.0, f64::max);
            let what = format!("{what} ({seen} shown, longest {worst:.1} ms)");
            Figure::alone(&what, "ms", median(taken), Goal::AtMost(20.0))
        })
        .collect();
    report::tell(
        "lists",
        json!({ "users": users, "vnodes": vnodes }),
        &figures,
    )
}
