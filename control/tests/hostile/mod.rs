//! Strategies for commands: mostly sensible ones by the right actor, and any by anybody with values that hurt.

pub mod account;
pub mod acme;
pub mod audit;
pub mod bean;
pub mod certificate;
pub mod drill;
pub mod group;
pub mod identity;
pub mod idle;
pub mod image;
pub mod limit;
pub mod moves;
pub mod notice;
pub mod quota;
pub mod rebalance;
pub mod schedule;
pub mod service;
pub mod setting;
pub mod snapshot;
pub mod template;
pub mod terminal;
pub mod trash;
pub mod wishes;

use std::net::{IpAddr, Ipv4Addr};

use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::command::InitCluster;
use docklet_control::id::{
    Digest, Epoch, LogIndex, MasterId, SecretHash, UserId, VclusterId, VnodeId, WorkerId,
};
use docklet_control::model::{
    Autopilot, Bandwidth, ClusterId, ClusterVersion, ImageSpec, JoinRole, KbitPerS, PortNumber,
    Program, Protocol, PublicPort, Role, SessionKind, VnodeSeen, WorkerCapacity, WorkerFacts,
    WorkerStatus,
};
use docklet_control::place::{Dimension, Obstacle};
use docklet_control::quorum::Seat;
use docklet_control::report::{Reported, VnodeReport};
use docklet_control::{Actor, Command};
use ipnetwork::Ipv4Network;
use proptest::prelude::*;
use proptest::sample::select;

use crate::begun::init;

/// A command and who asks for it.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 2, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        9 => (user, of_people()),
        2 => (Just(Actor::User(UserId(1))), of_admins()),
        2 => (Just(Actor::Door(MasterId(1))), of_doors()),
        2 => (Just(Actor::Duty), of_duties()),
        3 => of_workers(),
        4 => drill::asked(),
        4 => image::asked(),
        4 => snapshot::asked(),
        4 => limit::asked(),
        3 => group::asked(),
        4 => schedule::asked(),
        6 => moves::asked(),
        3 => rebalance::asked(),
        4 => quota::asked(),
        5 => account::asked(),
        3 => template::asked(),
        4 => terminal::asked(),
        2 => audit::asked(),
        4 => trash::asked(),
        3 => idle::asked(),
        2 => setting::asked(),
        5 => notice::asked(),
        5 => bean::asked(),
        5 => service::asked(),
        4 => identity::asked(),
        3 => acme::asked(),
        3 => certificate::asked(),
        2 => (anybody(), anything()),
    ]
    .boxed()
}

/// The first entry, with nets and amounts of every size.
pub fn beginning() -> impl Strategy<Value = InitCluster> {
    let net = (any::<u32>(), 0..=32_u8).prop_filter_map("no net", |(address, prefix)| {
        Ipv4Network::new(Ipv4Addr::from(address), prefix).ok()
    });
    let prefix = prop_oneof![3 => 28..=30_u8, 1 => any::<u8>()];
    let percent = || prop_oneof![6 => select(vec![1, 100, 10_000]), 1 => amount()];
    let name = prop_oneof![6 => Just("lab".to_owned()), 1 => text()];
    (net, prefix, percent(), percent(), name).prop_map(
        |(cluster_net, user_prefix, cpu, memory, cluster_name)| InitCluster {
            cluster_net,
            user_prefix,
            cpu_overcommit_percent: cpu,
            memory_overcommit_percent: memory,
            cluster_name,
            ..sound_beginning()
        },
    )
}

/// Four subnets of 13 addresses, so that both run out soon.
pub fn sound_beginning() -> InitCluster {
    InitCluster {
        cluster_net: "10.9.0.0/26".parse().expect("a net"),
        user_prefix: 28,
        cpu_overcommit_percent: 200,
        ..init()
    }
}

fn admin() -> Actor {
    Actor::User(UserId(1))
}

fn anybody() -> impl Strategy<Value = Actor> {
    select(vec![
        Actor::User(UserId(0)),
        Actor::User(UserId(2)),
        Actor::User(UserId(u64::MAX)),
        Actor::Worker(WorkerId(5)),
        Actor::Worker(WorkerId(99)),
        Actor::Door(MasterId(u64::MAX)),
        Actor::Duty,
    ])
}

pub fn anything() -> BoxedStrategy<Command> {
    let of_a_worker = of_workers().prop_map(|(_, command)| command);
    prop_oneof![
        of_people(),
        of_admins(),
        of_doors(),
        of_duties(),
        of_a_worker,
        drill::anything(),
        image::anything(),
        snapshot::anything(),
        limit::anything(),
        group::anything(),
        schedule::anything(),
        moves::anything(),
        rebalance::anything(),
        quota::anything(),
        account::anything(),
        template::anything(),
        terminal::anything(),
        notice::anything(),
        bean::anything(),
        service::anything(),
        identity::anything(),
        acme::anything(),
        certificate::anything()
    ]
    .boxed()
}

fn of_people() -> BoxedStrategy<Command> {
    let image = prop_oneof![9 => Just("busybox".to_owned()), 2 => image::name()];
    prop_oneof![
        4 => (text(), image, count(), size()).prop_map(|(name, image, vnodes, size)| {
            Command::CreateVcluster { name, image, vnodes, size }
        }),
        4 => wishes::of_people(),
        2 => vcluster().prop_map(|vcluster| Command::StartVcluster { vcluster }),
        2 => vcluster().prop_map(|vcluster| Command::StopVcluster { vcluster }),
        4 => (vcluster(), count())
            .prop_map(|(vcluster, vnodes)| Command::ScaleVcluster { vcluster, vnodes }),
        2 => vcluster().prop_map(|vcluster| Command::DeleteVcluster { vcluster }),
        3 => (vnode(), protocol(), port(), prop::option::of(port())).prop_map(
            |(vnode, protocol, number, public)| Command::AddPort { vnode, protocol, number, public }
        ),
        2 => (protocol(), port()).prop_map(|(protocol, number)| Command::RemovePort {
            public: PublicPort { protocol, number },
        }),
        1 => (user(), text())
            .prop_map(|(user, password_hash)| Command::ChangePassword { user, password_hash }),
        1 => secret().prop_map(|id| Command::CloseSession { id }),
    ]
    .boxed()
}

fn vcluster() -> impl Strategy<Value = VclusterId> {
    let known = select(vec![1, 1, 1, 2, 2, 3, 4]);
    prop_oneof![7 => known, 1 => Just(u64::MAX)].prop_map(VclusterId)
}

fn of_admins() -> BoxedStrategy<Command> {
    let role = select(vec![JoinRole::Agent, JoinRole::Master]);
    let admin = select(vec![Role::User, Role::Operator, Role::Admin]);
    let image = (text(), digest(), number(), spec(), text(), worker());
    prop_oneof![
        (secret(), role, number(), amount()).prop_map(|(secret_hash, role, ttl_ms, uses)| {
            Command::CreateJoinToken {
                secret_hash,
                role,
                ttl_ms,
                uses,
            }
        }),
        (text(), admin, text()).prop_map(|(name, role, password_hash)| Command::CreateUser {
            name,
            role,
            password_hash
        }),
        image.prop_map(|(name, digest, blob_bytes, spec, description, held_by)| {
            Command::RegisterImage {
                name,
                digest,
                blob_bytes,
                spec,
                description,
                held_by,
            }
        }),
        removal(),
        Just(Command::RecordBackup),
        wishes::of_admins(),
        (rate(), rate()).prop_map(|(sent, received)| Command::LimitBandwidth {
            bandwidth: Bandwidth { sent, received },
        }),
        (master(), secret(), number()).prop_map(|(master, secret_hash, ttl_ms)| {
            Command::ReplaceMaster {
                master,
                secret_hash,
                ttl_ms,
            }
        }),
        (number(), number(), number(), prop::option::of(number())).prop_map(
            |(contact_ms, lag_entries, steady_ms, dead_after_ms)| Command::SetAutopilot {
                autopilot: Autopilot {
                    contact_ms,
                    lag_entries,
                    steady_ms,
                    dead_after_ms,
                }
            }
        ),
    ]
    .boxed()
}

/// With a leader's view that may be anything.
fn removal() -> BoxedStrategy<Command> {
    let seat = (master(), any::<bool>(), any::<bool>(), number(), number());
    let seat = seat.prop_map(|(master, voter, leads, silent_ms, lag)| Seat {
        master,
        voter,
        leads,
        silent_ms,
        lag,
        steady_ms: lag,
    });
    (master(), any::<bool>(), prop::collection::vec(seat, 0..6))
        .prop_map(|(master, force, seats)| Command::RemoveMaster {
            master,
            force,
            seats,
        })
        .boxed()
}

fn of_doors() -> BoxedStrategy<Command> {
    let kind = select(vec![SessionKind::Browser, SessionKind::Token]);
    let addresses = || {
        prop_oneof![
            4 => Just("192.0.2.9:1"),
            1 => select(vec!["192.0.2.9", "[::1]:65536", "\n:1"]),
        ]
    };
    prop_oneof![
        2 => (user(), secret(), kind, number()).prop_map(|(user, id, kind, ttl_ms)| {
            Command::OpenSession { user, id, kind, ttl_ms }
        }),
        2 => (secret(), text(), addresses(), addresses()).prop_map(|(secret_hash, name, a, b)| {
            Command::JoinMaster {
                secret_hash, name, cluster_addr: a.to_owned(), public_addr: b.to_owned(),
            }
        }),
        3 => (secret(), text(), addresses(), capacity()).prop_map(|(secret_hash, name, a, capacity)| {
            Command::JoinWorker {
                secret_hash, name, data_addr: a.to_owned(),
                underlay: IpAddr::V4(Ipv4Addr::BROADCAST), capacity,
            }
        }),
        1 => beginning().prop_map(Command::InitCluster),
        1 => (number(), text(), addresses()).prop_map(|(last, master_name, addr)| {
            Command::RestoreCluster {
                cluster: ClusterId([8; 16]), last: LogIndex(last), master_name,
                cluster_addr: addr.to_owned(), public_addr: addr.to_owned(),
            }
        }),
        1 => (master(), text(), 0..5_u16).prop_map(|(master, name, knows)| {
            program(master, name, knows)
        }),
        1 => (master(), number()).prop_map(|(master, last)| {
            Command::RecoverCluster { master, last: LogIndex(last) }
        }),
    ]
    .boxed()
}

fn of_duties() -> BoxedStrategy<Command> {
    let status = select(vec![
        WorkerStatus::Joined,
        WorkerStatus::Up,
        WorkerStatus::Down,
        WorkerStatus::Unadmitted,
    ]);
    let unplaced = (vnode(), worker(), number()).prop_map(|(vnode, worker, wanted)| {
        let lacks = vec![Dimension::Memory { wanted, free: 0 }];
        (vnode, vec![Obstacle { worker, lacks }])
    });
    let placed = prop::collection::vec((vnode(), worker()), 0..6);
    prop_oneof![
        1 => (worker(), status).prop_map(|(worker, status)| Command::MarkWorker { worker, status }),
        2 => (placed, prop::collection::vec(unplaced, 0..4))
            .prop_map(|(placed, unplaced)| Command::PlaceVnodes { placed, unplaced }),
        1 => Just(Command::ForgetExpired),
        1 => (master(), number()).prop_map(|(master, after)| {
            Command::ReportDivergence { master, after: LogIndex(after) }
        }),
        1 => (0..5_u16).prop_map(|to| Command::RaiseVersion { to: ClusterVersion(to) }),
        1 => removal(),
    ]
    .boxed()
}

fn of_workers() -> BoxedStrategy<(Actor, Command)> {
    let facts = (capacity(), text()).prop_map(|(capacity, kernel)| WorkerFacts {
        capacity,
        kernel,
        ..WorkerFacts::default()
    });
    let as_itself = |(worker, command)| (Actor::Worker(worker), command);
    prop_oneof![
        1 => (worker(), facts)
            .prop_map(|(worker, facts)| (worker, Command::DescribeWorker { worker, facts }))
            .prop_map(as_itself),
        1 => (worker(), digest(), any::<bool>())
            .prop_map(|(worker, digest, held)| {
                (worker, Command::ReportImage { worker, digest, held })
            })
            .prop_map(as_itself),
        3 => (worker(), prop::collection::vec(report(), 0..4))
            .prop_map(|(worker, reports)| (worker, Command::ReportVnodes { worker, reports }))
            .prop_map(as_itself),
    ]
    .boxed()
}

fn program(master: MasterId, name: String, knows: u16) -> Command {
    let knows = ClusterVersion(knows);
    Command::ReportProgram {
        program: Program {
            master,
            name,
            knows,
        },
    }
}

fn report() -> impl Strategy<Value = VnodeReport> {
    let seen = prop_oneof![
        Just(Reported::Gone),
        Just(Reported::Present(VnodeSeen::Running)),
        text().prop_map(|step| Reported::Present(VnodeSeen::Preparing { step })),
        text().prop_map(|text| Reported::Present(VnodeSeen::Failed {
            step: text.clone(),
            cause: text
        })),
    ];
    (vnode(), 0..30_u64, seen).prop_map(|(vnode, epoch, seen)| VnodeReport {
        vnode,
        epoch: Epoch(epoch),
        seen,
    })
}

/// Names that are fine, names that are taken, and texts that were trouble elsewhere.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let fine = select(vec!["lab", "web", "db", "busybox", "ada", "w1"]).prop_map(str::to_owned);
    let trouble = vec![
        "",
        "..",
        "a/b",
        "lab\nx",
        "-rf",
        "lab-",
        "Lab",
        "\0",
        "\u{202e}x",
        "é",
        "~",
        "%2f",
        "'",
    ];
    prop_oneof![
        5 => fine,
        2 => select(trouble).prop_map(str::to_owned),
        1 => select(vec![40, 41, 300, 5_000]).prop_map(|letters| "a".repeat(letters)),
    ]
}

fn size() -> impl Strategy<Value = VnodeSize> {
    let sound = select(vec![256, 1_024]).prop_map(|memory_mib| VnodeSize {
        cpu_milli: CpuMilli(500),
        memory_mib: MemoryMib(memory_mib),
        pids_max: 64,
    });
    let any_size = (amount(), amount(), amount()).prop_map(|(cpu, memory, pids_max)| VnodeSize {
        cpu_milli: CpuMilli(cpu),
        memory_mib: MemoryMib(memory),
        pids_max,
    });
    prop_oneof![4 => sound, 1 => any_size]
}

fn capacity() -> impl Strategy<Value = WorkerCapacity> {
    let cpu = prop_oneof![2 => Just(4_000), 1 => amount()];
    let memory = prop_oneof![2 => select(vec![1_024, 2_048, 4_096]), 1 => amount()];
    let disk = prop_oneof![2 => Just(20_480), 1 => number()];
    (cpu, memory, disk, wishes::inventory()).prop_map(|(cpu, memory, disk, gpus)| WorkerCapacity {
        cpu_milli: CpuMilli(cpu),
        memory_mib: MemoryMib(memory),
        disk_mib: DiskMib(disk),
        gpus,
    })
}

pub(crate) fn spec() -> impl Strategy<Value = ImageSpec> {
    let init = prop::collection::vec(select(vec!["/sbin/init", "init", "", "a b"]), 0..3);
    let odd = (init, text(), amount()).prop_map(|(init, stop_signal, stop_timeout_ms)| ImageSpec {
        init: init.into_iter().map(str::to_owned).collect(),
        stop_signal,
        stop_timeout_ms,
    });
    prop_oneof![2 => Just(ImageSpec::default()), 1 => odd]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![5 => 1..=4_u32, 1 => select(vec![0, 13, 14, 1_000, 10_000, u32::MAX])]
}

fn amount() -> impl Strategy<Value = u32> {
    select(vec![0, 1, 64, 100, 512, 1_024, 4_000, u32::MAX])
}

pub(crate) fn number() -> impl Strategy<Value = u64> {
    select(vec![0, 1, 1_000, 60_000, 3_600_000, 1 << 40, u64::MAX])
}

fn user() -> impl Strategy<Value = UserId> {
    select(vec![0, 1, 2, 3, 4, u64::MAX]).prop_map(UserId)
}

/// The first one, and numbers that joined as masters, sometimes.
fn master() -> impl Strategy<Value = MasterId> {
    prop_oneof![3 => Just(1), 6 => 8..30_u64, 1 => Just(u64::MAX)].prop_map(MasterId)
}

pub(crate) fn worker() -> impl Strategy<Value = WorkerId> {
    select(vec![5, 5, 6, 6, 99]).prop_map(WorkerId)
}

pub(crate) fn vnode() -> impl Strategy<Value = VnodeId> {
    prop_oneof![9 => 1..12_u64, 1 => Just(u64::MAX)].prop_map(VnodeId)
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(vec![Protocol::Tcp, Protocol::Udp])
}

/// Few, so that they meet.
fn port() -> impl Strategy<Value = PortNumber> {
    select(vec![
        0,
        22,
        80,
        19_999,
        20_000,
        20_001,
        29_999,
        30_000,
        u16::MAX,
    ])
    .prop_map(PortNumber)
}

fn rate() -> impl Strategy<Value = Option<KbitPerS>> {
    prop::option::of(amount().prop_map(KbitPerS))
}

pub(crate) fn secret() -> impl Strategy<Value = SecretHash> {
    select(vec![0, 0, 1, 1, 2, 3]).prop_map(|byte| SecretHash([byte; 32]))
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    (0..3_u8).prop_map(|byte| Digest([byte; 32]))
}
