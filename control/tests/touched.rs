//! Who is concerned by a change: whoever has another assignment is named, whatever happened; and in the common cases
//! nobody else (`settled`).
//!
//! The seed is fixed, so that a run repeats. `PROPTEST_CASES` (256 if not given) and `PROPTEST_RNG_SEED` widen the search.

#[path = "touched/bean.rs"]
mod bean;
#[path = "touched/limit.rs"]
mod limit;
#[path = "touched/moves.rs"]
mod moves;
#[path = "touched/quota.rs"]
mod quota;
mod settled;
#[path = "touched/snapshot.rs"]
mod snapshot;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use docklet_control::State;
use docklet_control::amount::{DiskMib, VnodeSize};
use docklet_control::assignment::assignment;
use docklet_control::event::{Event, VclusterRef, VnodeRef};
use docklet_control::evolve::evolve;
use docklet_control::id::{
    Digest, Epoch, LogIndex, MasterId, NetworkId, UnixMs, UserId, VclusterId, VnodeId, WorkerId,
};
use docklet_control::image::event::ImageEvent;
use docklet_control::model::{
    Bandwidth, ClusterVersion, Image, ImageCopies, ImageRun, ImageSpec, KbitPerS, Master, Network,
    Placement, Port, PortNumber, Protocol, PublicPort, Role, User, Vcluster, VclusterWanted, Vnode,
    VnodeSeen, VnodeWanted, Wishes, Worker, WorkerFacts, WorkerStatus,
};
use docklet_control::name::Name;
use docklet_control::touched::touched;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const WORKERS: u64 = 16;
const OWNERS: u64 = 3;
const VNODES: u64 = 30;

fn name(text: String) -> Name {
    Name::parse("name", &text).expect("a good name")
}

fn worker(id: u64, address: u8) -> Worker {
    Worker {
        id: WorkerId(id),
        name: name(format!("w{id}")),
        data_addr: format!("192.0.2.{address}:7443"),
        underlay: IpAddr::V4(Ipv4Addr::new(192, 0, 2, address)),
        facts: WorkerFacts::default(),
        status: WorkerStatus::Up,
        status_since: UnixMs(0),
    }
}

fn digest(image: u8) -> Digest {
    Digest([image; 32])
}

fn image(image: u8, bytes: u64) -> Image {
    Image {
        digest: digest(image),
        name: name(format!("i{image}")),
        blob_bytes: bytes,
        spec: ImageSpec::default(),
        owner: UserId(1),
        description: String::new(),
        registered_at: UnixMs(0),
        holders: imbl::OrdSet::new(),
    }
}

fn master(id: u64, port: u16) -> Master {
    Master {
        id: MasterId(id),
        name: name(format!("m{id}")),
        cluster_addr: format!("192.0.2.200:{port}"),
        public_addr: String::new(),
        joined_at: UnixMs(0),
    }
}

fn user(id: u64) -> User {
    User {
        id: UserId(id),
        name: name(format!("u{id}")),
        role: Role::User,
        password_hash: String::new(),
        created_at: UnixMs(0),
    }
}

fn network(owner: u64, prefix: u8) -> Network {
    Network {
        id: NetworkId(owner),
        owner: UserId(owner),
        subnet: format!("10.64.{}.0/{prefix}", owner * 4)
            .parse()
            .expect("a subnet"),
        addresses: imbl::OrdMap::new(),
    }
}

/// Two vclusters of each owner: 2 and 3 are of owner 1.
fn vcluster(id: u64, text: String) -> Vcluster {
    Vcluster {
        id: VclusterId(id),
        owner: UserId(id / 2),
        name: name(text),
        network: NetworkId(id / 2),
        image_name: name("i1".to_owned()),
        image: digest(1),
        size: VnodeSize::default(),
        wanted: VclusterWanted::Running,
        created_at: UnixMs(0),
        created_index: LogIndex(0),
    }
}

fn vnode(id: u64, vcluster: u64, image: u8) -> Vnode {
    Vnode {
        id: VnodeId(id),
        vcluster: VclusterId(vcluster),
        owner: UserId(vcluster / 2),
        ordinal: u32::try_from(id).expect("small"),
        wanted: VnodeWanted::Running,
        image: digest(image),
        size: VnodeSize::default(),
        address: Ipv4Addr::new(10, 64, 0, u8::try_from(id).expect("small")),
        placement: None,
        obstacles: Vec::new(),
        seen: VnodeSeen::Pending,
        seen_at: UnixMs(0),
        created_at: UnixMs(0),
    }
}

fn public(number: u16) -> PublicPort {
    PublicPort {
        protocol: Protocol::Tcp,
        number: PortNumber(number),
    }
}

/// What may happen, given the state of the moment: events name what is there.
#[derive(Clone, Debug)]
enum Happening {
    Worker(u64, u8),
    Marked(u64, WorkerStatus),
    Held(u8, u64),
    Lost(u8, u64),
    Image(u8, u64),
    Master(u64, u16),
    MasterGone(u64),
    Network(u64, u8),
    Vcluster(u64, String),
    VclusterGone(u64),
    Vnode(u64, u64, u8),
    Wanted(u64, VnodeWanted),
    Placed(u64, u64),
    Seen(u64, VnodeSeen),
    Gone(u64),
    PortAdded(u16, u64),
    PortRemoved(u16),
    Limited(u32),
    Raised(u16),
    Copies(u8, u64, u64),
    Run(u8, String),
    Forgotten(u8),
    Wished(u64, u64),
    GpuGiven(u64),
    Snapshot(snapshot::Happening),
    Limit(limit::Happening),
    Move(moves::Happening),
    Quota(quota::Happening),
    Bean(bean::Happening),
}

fn happening() -> impl Strategy<Value = Happening> {
    let worker = || 1..=WORKERS;
    let vnode = || 1..=VNODES;
    let vcluster = || 2..=OWNERS * 2 + 1;
    let image = || 1..=2_u8;
    let wanted = prop::sample::select(vec![
        VnodeWanted::Running,
        VnodeWanted::Stopped,
        VnodeWanted::Removed,
    ]);
    prop_oneof![
        1 => (worker(), 1..4_u8).prop_map(|(id, address)| Happening::Worker(id, address)),
        1 => worker().prop_map(|id| Happening::Marked(id, WorkerStatus::Down)),
        6 => (image(), worker()).prop_map(|(image, id)| Happening::Held(image, id)),
        4 => (image(), worker()).prop_map(|(image, id)| Happening::Lost(image, id)),
        1 => (image(), 1..3_u64).prop_map(|(image, bytes)| Happening::Image(image, bytes)),
        1 => (1..3_u64, 1..3_u16).prop_map(|(id, port)| Happening::Master(id, port)),
        1 => (1..3_u64).prop_map(Happening::MasterGone),
        1 => (1..=OWNERS, 22..24_u8).prop_map(|(owner, prefix)| Happening::Network(owner, prefix)),
        1 => (vcluster(), "[ab]").prop_map(|(id, name)| Happening::Vcluster(id, name)),
        1 => vcluster().prop_map(Happening::VclusterGone),
        6 => (vnode(), vcluster(), image()).prop_map(|(id, vcluster, image)| {
            Happening::Vnode(id, vcluster, image)
        }),
        3 => (vnode(), wanted).prop_map(|(id, wanted)| Happening::Wanted(id, wanted)),
        8 => (vnode(), worker()).prop_map(|(id, worker)| Happening::Placed(id, worker)),
        2 => vnode().prop_map(|id| Happening::Seen(id, VnodeSeen::Running)),
        2 => vnode().prop_map(Happening::Gone),
        3 => (1..4_u16, vnode()).prop_map(|(port, id)| Happening::PortAdded(port, id)),
        2 => (1..4_u16).prop_map(Happening::PortRemoved),
        1 => (1..3_u32).prop_map(Happening::Limited),
        1 => prop::sample::select(vec![1, 3, 3]).prop_map(Happening::Raised),
        3 => (image(), worker(), worker()).prop_map(|(image, copy, pulled)| {
            Happening::Copies(image, copy, pulled)
        }),
        1 => (image(), "[ab]").prop_map(|(image, variable)| Happening::Run(image, variable)),
        1 => image().prop_map(Happening::Forgotten),
        2 => (vnode(), 1..3_u64).prop_map(|(id, disk)| Happening::Wished(id, disk)),
        2 => vnode().prop_map(Happening::GpuGiven),
        8 => snapshot::happening(vnode()).prop_map(Happening::Snapshot),
        8 => limit::happening(vcluster(), vnode()).prop_map(Happening::Limit),
        8 => moves::happening(vnode(), worker()).prop_map(Happening::Move),
        8 => quota::happening().prop_map(Happening::Quota),
        6 => bean::happening().prop_map(Happening::Bean),
    ]
}

fn event(state: &State, happening: Happening) -> Option<Event> {
    let about = |id: u64| state.vnodes.get(&VnodeId(id)).map(VnodeRef::from);
    let vcluster_ref = |id: u64| state.vclusters.get(&VclusterId(id)).map(VclusterRef::from);
    let is_new = |id: u64| !state.vnodes.contains_key(&VnodeId(id));
    Some(match happening {
        Happening::Worker(id, address) => Event::WorkerJoined {
            worker: worker(id, address),
        },
        Happening::Marked(id, status) => Event::WorkerMarked {
            worker: WorkerId(id),
            status,
        },
        Happening::Held(image, id) => Event::ImageHeld {
            digest: digest(image),
            worker: WorkerId(id),
        },
        Happening::Lost(image, id) => Event::ImageLost {
            digest: digest(image),
            worker: WorkerId(id),
        },
        Happening::Image(number, bytes) => {
            let holders = state.images.get(&digest(number));
            let holders = holders
                .map(|image| image.holders.clone())
                .unwrap_or_default();
            let image = image(number, bytes);
            Event::ImageRegistered {
                image: Image { holders, ..image },
            }
        }
        Happening::Master(id, port) => Event::MasterJoined {
            master: master(id, port),
        },
        Happening::MasterGone(id) => Event::MasterRemoved {
            master: MasterId(id),
            name: name(format!("m{id}")),
        },
        Happening::Network(owner, prefix) => {
            let addresses = state.network_of(UserId(owner));
            let addresses = addresses.map(|network| network.addresses.clone());
            Event::NetworkCreated {
                network: Network {
                    addresses: addresses.unwrap_or_default(),
                    ..network(owner, prefix)
                },
            }
        }
        Happening::Vcluster(id, name) => Event::VclusterCreated {
            vcluster: vcluster(id, format!("{name}{id}")),
        },
        Happening::VclusterGone(id) => Event::VclusterDeleted {
            about: vcluster_ref(id)?,
        },
        Happening::Vnode(id, vcluster, image) => Event::VnodeCreated {
            vnode: is_new(id).then(|| vnode(id, vcluster, image))?,
        },
        Happening::Wanted(id, wanted) => Event::VnodeWantedChanged {
            about: about(id)?,
            wanted,
        },
        Happening::Placed(id, worker) => Event::VnodePlaced {
            about: about(id)?,
            placement: Placement {
                worker: WorkerId(worker),
                epoch: Epoch(worker),
            },
        },
        Happening::Seen(id, seen) => Event::VnodeSeen {
            about: about(id)?,
            seen,
        },
        Happening::Gone(id) => Event::VnodeRemoved { about: about(id)? },
        Happening::PortAdded(number, id) => {
            let about = about(id)?;
            Event::PortAdded {
                port: Port {
                    public: public(number),
                    vnode: about.vnode,
                    number: PortNumber(22),
                    vcluster: about.vcluster,
                    owner: about.owner,
                    added_at: UnixMs(0),
                },
            }
        }
        Happening::PortRemoved(number) => Event::PortRemoved {
            about: about(state.ports.get(&public(number))?.vnode.0)?,
            public: public(number),
        },
        Happening::Limited(rate) => Event::BandwidthLimited {
            bandwidth: Bandwidth {
                sent: Some(KbitPerS(rate)),
                received: None,
            },
        },
        Happening::Raised(version) => Event::VersionRaised {
            version: ClusterVersion(version),
        },
        Happening::Copies(image, copy, pulled) => Event::Image(ImageEvent::CopiesPlaced {
            copies: ImageCopies {
                digest: digest(image),
                copies: imbl::OrdSet::unit(WorkerId(copy)),
                pulled: imbl::OrdSet::unit(WorkerId(pulled)),
            },
        }),
        Happening::Run(image, variable) => Event::Image(ImageEvent::RunSet {
            run: ImageRun {
                digest: digest(image),
                environment: vec![format!("A={variable}")],
                directory: String::new(),
            },
            owner: UserId(1),
        }),
        Happening::Wished(id, disk) => Event::VnodeWished {
            about: about(id)?,
            wishes: Wishes {
                disk_mib: DiskMib(disk),
                ..Wishes::default()
            },
        },
        Happening::GpuGiven(id) => Event::GpusGiven {
            about: about(id)?,
            gpus: vec![format!("GPU-{id}")],
        },
        Happening::Snapshot(happening) => snapshot::event(state, happening)?,
        Happening::Limit(happening) => limit::event(state, happening)?,
        Happening::Move(happening) => moves::event(state, happening)?,
        Happening::Quota(happening) => quota::event(happening),
        Happening::Bean(happening) => bean::event(state, happening)?,
        Happening::Forgotten(image) => Event::Image(ImageEvent::Forgotten {
            digest: digest(image),
        }),
    })
}

/// Owners with segments and vclusters, workers, images; no vnodes yet.
fn beginning() -> State {
    let owners = 1..=OWNERS;
    let people = owners
        .clone()
        .map(|id| Event::UserCreated { user: user(id) });
    let networks = owners.map(|id| Event::NetworkCreated {
        network: network(id, 22),
    });
    let vclusters = (2..=OWNERS * 2 + 1).map(|id| Event::VclusterCreated {
        vcluster: vcluster(id, format!("a{id}")),
    });
    let workers = (1..=WORKERS).map(|id| Event::WorkerJoined {
        worker: worker(id, u8::try_from(id).expect("small")),
    });
    let images = (1..=2).map(|id| Event::ImageRegistered {
        image: image(id, 1),
    });
    let events = people
        .chain(networks)
        .chain(vclusters)
        .chain(workers)
        .chain(images);
    events.fold(State::default(), after)
}

fn after(state: State, event: Event) -> State {
    evolve(state, UnixMs(1), &event)
}

/// Workers whose assignments differ: the plain way.
fn differing(before: &State, after: &State) -> BTreeSet<WorkerId> {
    let differs = |id: &WorkerId| {
        let of = |state| assignment(state, *id, LogIndex(0));
        of(before) != of(after)
    };
    (1..=WORKERS).map(WorkerId).filter(differs).collect()
}

fn config() -> ProptestConfig {
    let number = |variable: &str| {
        let text = std::env::var(variable).ok()?;
        Some(text.parse().expect("a number"))
    };
    ProptestConfig {
        cases: number("PROPTEST_CASES")
            .map_or(256, |cases| u32::try_from(cases).expect("not too many")),
        rng_seed: RngSeed::Fixed(number("PROPTEST_RNG_SEED").unwrap_or(0x70c4ed)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whoever_has_another_assignment_is_named(
        happenings in prop::collection::vec(happening(), 1..120),
        stride in 1..10_usize,
    ) {
        let mut state = beginning();
        let mut earlier = state.clone();
        for (step, happening) in happenings.into_iter().enumerate() {
            let Some(event) = event(&state, happening) else { continue };
            let next = after(state.clone(), event.clone());
            for (from, what) in [(&state, "the last step"), (&earlier, "several steps")] {
                let touched = touched(from, &next);
                for worker in differing(from, &next) {
                    prop_assert!(
                        touched.concerns_worker(worker),
                        "worker {} is not told of {}: {:?}", worker, what, event
                    );
                }
            }
            if step % stride == 0 {
                earlier = next.clone();
            }
            state = next;
        }
    }
}
