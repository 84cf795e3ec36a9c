//! Lists in the model: what a master shows of ten thousand people with fifty thousand vnodes, to an admin and to one of them.
//! Pure functions of a state in memory; nothing is started.

mod people;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use docklet_chaos_tests::count;
use docklet_chaos_tests::report::{self, Figure, Goal, median, ms};
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::audit::chain::read;
use docklet_control::event::VnodeRef;
use docklet_control::evolve::evolve;
use docklet_control::group::event::GroupEvent;
use docklet_control::id::{
    Digest, Epoch, GroupId, LogIndex, NetworkId, SecretHash, UnixMs, UserId, VclusterId, VnodeId,
    WorkerId,
};
use docklet_control::image::event::{Audience, ImageEvent};
use docklet_control::model::image::{ImageSpec, ImageTitle, ImageVersion, Visibility};
use docklet_control::model::trash::{TrashWhy, Trashed};
use docklet_control::model::wishes::Wishes;
use docklet_control::model::{
    ClusterVersion, Copied, Group, Image, Move, MoveStage, MoveTimes, MoveWay, MoveWhy, Network,
    Placement, Port, PortNumber, Protocol, PublicPort, PurseOf, Recipe, Role, Rules, Template,
    User, Vcluster, VclusterWanted, Vnode, VnodeSeen, VnodeWanted, Worker, WorkerCapacity,
    WorkerFacts, WorkerStatus,
};
use docklet_control::moves::event::MoveEvent;
use docklet_control::name::Name;
use docklet_control::template::event::TemplateEvent;
use docklet_control::trash::event::TrashEvent;
use docklet_control::view::part::Wanted;
use docklet_control::{Event, State, view};
use serde_json::json;

const TIMES: usize = 15;
const WORKERS: u64 = 1_000;
const GROUPS: u64 = 200;
const PORTS: u64 = 5_000;
const IMAGES: u64 = 2_000;
const TEMPLATES: u64 = 1_000;
const MOVES: u64 = 1_000;
const TRASHED: u64 = 1_000;
/// Rows of a page.
const PAGE: usize = 100;
/// Rows of an answer to a program.
const PART: usize = 500;
/// Lines of the audit trail that are looked at for one page at most.
const LINES: u64 = 10_000;
const IMAGE: Digest = Digest([7; 32]);
const SIZE: VnodeSize = VnodeSize {
    cpu_milli: CpuMilli(100),
    memory_mib: MemoryMib(64),
    pids_max: 512,
};

fn name(text: &str) -> anyhow::Result<Name> {
    Ok(Name::parse("name", text)?)
}

/// The one version that an image has.
fn version(digest: Digest, by: UserId) -> ImageVersion {
    ImageVersion {
        digest,
        label: String::new(),
        added_at: UnixMs(0),
        by,
    }
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
    events.extend(images(users)?);
    events.extend(templates()?);
    let moved = (1..=MOVES).map(|number| Event::Moved(moved(number, together, users)));
    events.extend(moved);
    let trashed = (1..=TRASHED).map(|id| Event::Trash(discarded(vnodes / together - id, users)));
    events.extend(trashed);
    events.extend(people::events(&people::Numbers {
        users,
        vnodes,
        together,
    })?);
    let fold = |state, event| evolve(state, UnixMs(1), event);
    Ok(people::changed_often(
        events.iter().fold(State::default(), fold),
    ))
}

/// Each person's own, which others have, too; and public ones.
fn images(users: u64) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    for id in 1..=IMAGES {
        let mut digest = [8; 32];
        digest[..8].copy_from_slice(&id.to_be_bytes());
        let (digest, owner) = (Digest(digest), UserId(id % users + 1));
        let image = Image {
            digest,
            name: name(&format!("image-{id}"))?,
            blob_bytes: 1 << 30,
            spec: ImageSpec::default(),
            owner,
            description: "For the course".to_owned(),
            registered_at: UnixMs(0),
            holders: (1..=3)
                .map(|copy| WorkerId((id + copy) % WORKERS + 1))
                .collect(),
        };
        let everybody = id % 100 == 0;
        let people: BTreeSet<UserId> = (0..5).map(|step| UserId((id + step) % users + 1)).collect();
        let title = ImageTitle {
            owner,
            name: image.name.clone(),
            description: image.description.clone(),
            visibility: if everybody {
                Visibility::Public
            } else {
                Visibility::Private
            },
            shared_with: people.iter().copied().collect(),
            versions: vec![version(digest, owner)],
            current: digest,
        };
        let audience = Audience { everybody, people };
        events.push(Event::Image(ImageEvent::Stored { image }));
        events.push(Event::Image(ImageEvent::Titled { title, audience }));
    }
    Ok(events)
}

fn templates() -> anyhow::Result<Vec<Event>> {
    let published = (1..=TEMPLATES).map(|number| {
        let template = Template {
            name: name(&format!("template-{number}"))?,
            description: "For the course".to_owned(),
            by: UserId(1),
            group: (number % 2 == 0).then_some(GroupId(number % GROUPS + 1)),
            recipe: Recipe {
                image: (UserId(1), name("image-100")?),
                vnodes: 2,
                size: SIZE,
                wishes: Wishes::default(),
                bandwidth: None,
                rules: Rules::default(),
            },
            number: LogIndex(number),
            published_at: UnixMs(0),
        };
        let told = BTreeSet::new();
        Ok(Event::Template(TemplateEvent::Published { template, told }))
    });
    published.collect()
}

/// A vnode on its way, each of another vcluster.
fn moved(number: u64, together: u64, users: u64) -> MoveEvent {
    let (vnode, owner) = (
        VnodeId((number - 1) * together + 1),
        UserId(number % users + 1),
    );
    let began = Move {
        vnode,
        number: LogIndex(number),
        owner,
        why: MoveWhy::Drain,
        way: MoveWay::Refresh,
        falls_back: true,
        not_live: None,
        from: WorkerId(vnode.0 % WORKERS + 1),
        epoch: Epoch(1),
        to: WorkerId((vnode.0 + 1) % WORKERS + 1),
        stage: MoveStage::Copying,
        copied: Copied::default(),
        heard_at: UnixMs(0),
        times: MoveTimes {
            asked_at: UnixMs(0),
            switched_at: None,
            placed_at: None,
            ended_at: None,
        },
        ran: false,
        gpus: Vec::new(),
    };
    let about = VnodeRef {
        vnode,
        vcluster: VclusterId(number),
        owner,
    };
    let began = Box::new(began);
    MoveEvent::Begun { about, began }
}

fn discarded(id: u64, users: u64) -> TrashEvent {
    let owner = UserId(id % users + 1);
    TrashEvent::Discarded {
        trashed: Trashed {
            vcluster: VclusterId(id),
            owner,
            at: UnixMs(0),
            until: UnixMs(1),
            why: TrashWhy::Deleted { by: owner },
            ran: true,
            ports: Vec::new(),
        },
    }
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

/// What a page of the audit trail costs beside reading it from disk: at most all of these lines are looked at for it.
fn of_trail(lines: &[String], asker: &User) -> usize {
    let read = lines.iter().rev().filter_map(|line| read(line).ok());
    let shown = read.filter_map(|record| record.shown_to(asker));
    shown.take(PAGE).count()
}

/// One list, and what looks at it.
type Look<'s> = (&'static str, Box<dyn Fn() -> usize + 's>);

fn look<'s>(what: &'static str, look: impl Fn() -> usize + 's) -> Look<'s> {
    (what, Box::new(look))
}

/// Lists that are shown by parts: so many rows of them.
fn long<'s>(state: &'s State, who: &'s User, rows: usize) -> Vec<Look<'s>> {
    let part = move || Wanted {
        limit: Some(rows),
        ..Wanted::all()
    };
    let mut looks = vec![
        look("vclusters", move || {
            view::vcluster::part(state, who, &part()).total
        }),
        look("accounts", move || {
            view::account::part(state, who, &part()).total
        }),
        look("quotas", move || {
            view::allowance::part(state, who, &part()).total
        }),
        look("quotas of images", move || {
            view::quota::part(state, who, &part()).total
        }),
        look("homes", move || view::home::part(state, who, &part()).total),
        look("ports", move || view::port::part(state, who, &part()).total),
        look("workers", move || view::worker::part(state, &part()).total),
    ];
    if who.is_admin() {
        looks.push(look("purses", move || {
            view::bean::part(state, &part()).total
        }));
        looks.push(look("mails", move || {
            view::mail::part(state, &part()).total
        }));
    }
    looks
}

fn short<'s>(state: &'s State, who: &'s User, trail: &'s [String]) -> Vec<Look<'s>> {
    let now = UnixMs(1);
    let own = PurseOf::User(who.id);
    vec![
        look("groups", || view::group::list(state, who).len()),
        look("images", || view::image::list(state, who).len()),
        look("templates", || view::template::list(state, who).len()),
        look("trash", || view::trash::list(state, who).len()),
        look("deleted", || view::kept::list(state, who).len()),
        look("moves", || view::moves::list(state, who).len()),
        look("services", || view::service::list(state, who).len()),
        look("shared terminals", move || {
            view::terminal::list(state, who, now).len()
        }),
        look("snapshots of a vcluster", || {
            let view = view::snapshot::of_vcluster(state, people::SNAPPED);
            view.snapshots.len()
        }),
        look("notices", || view::notice::list(state, who).notices.len()),
        look("announcements", || {
            view::notice::announced(state, who).len()
        }),
        look("logins", || {
            view::account::logins(state, who.id, SecretHash([0; 32])).len()
        }),
        look("beans", || {
            view::bean::show(state, who).map_or(0, |view| view.requests.len())
        }),
        look("statement", move || {
            let statement = view::bean::statement(state, own, None);
            statement.map_or(0, |statement| statement.lines.len())
        }),
        look("audit trail", || of_trail(trail, who)),
    ]
}

/// What is an admin's alone.
fn of_admins(state: &State) -> Vec<Look<'_>> {
    vec![
        look("requests for accounts", || {
            view::account::applications(state).len()
        }),
        look("settings with their history", || {
            let settings = view::setting::list(state);
            settings.iter().map(|view| view.changes.len()).sum()
        }),
        look("drills", || view::drill::list(state).len()),
    ]
}

fn main() -> anyhow::Result<()> {
    let (users, vnodes) = (count("USERS", 10_000), count("VNODES", 50_000));
    let state = state(users, vnodes, 4)?;
    anyhow::ensure!(state.vnodes.len() as u64 == vnodes, "all vnodes are there");
    let trail = people::trail(LINES)?;
    let (admin, person) = (user(1)?, user(users / 2)?);
    let mut figures = Vec::new();
    for (asker, who) in [("an admin", &admin), ("one of them", &person)] {
        let mut looks = long(&state, who, PAGE);
        looks.extend(short(&state, who, &trail));
        if who.is_admin() {
            looks.extend(of_admins(&state));
        }
        let whole = looks
            .into_iter()
            .map(|(what, look)| (what.to_owned(), look));
        let parts = long(&state, who, PART).into_iter();
        let parts = parts.map(|(what, look)| (format!("{what}, {PART} rows"), look));
        for (what, look) in whole.chain(parts) {
            let (taken, seen) = looks_of(&look);
            let worst = taken.iter().copied().fold(0.0, f64::max);
            let what = format!("{what}, for {asker} ({seen} shown, longest {worst:.1} ms)");
            figures.push(Figure::alone(
                &what,
                "ms",
                median(&taken),
                Goal::AtMost(20.0),
            ));
        }
    }
    report::tell(
        "lists",
        json!({ "users": users, "vnodes": vnodes }),
        &figures,
    )
}
