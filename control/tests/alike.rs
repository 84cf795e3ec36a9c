//! What is forbidden and what is absent look alike: whoever asks about somebody else's thing by its number or name is told the
//! same as about one that is not there, whatever they ask for.

mod begun;
#[path = "alike/groups.rs"]
mod groups;
#[path = "alike/notices.rs"]
mod notices;
#[path = "alike/services.rs"]
mod services;
#[path = "alike/terminals.rs"]
mod terminals;

use docklet_control::amount::{DiskMib, VnodeSize};
use docklet_control::bean::command::{BeanCommand, Receiver, SettingsChange};
use docklet_control::group::command::GroupCommand;
use docklet_control::id::{
    Digest, LogIndex, MasterId, RequestId, SecretHash, UnixMs, UserId, VclusterId, VnodeId,
    WorkerId,
};
use docklet_control::image::command::{AddImage, ImageCommand};
use docklet_control::limit::command::LimitCommand;
use docklet_control::model::{
    Bound, ClusterVersion, GpuWish, ImageSpec, JoinRole, Outcome, PortNumber, Program, Protocol,
    PublicPort, QuotaItem, Role, Rules, SizeChange, SnapshotRhythm, Visibility, WorkerCapacity,
    WorkerFacts,
};
use docklet_control::moves::command::MoveCommand;
use docklet_control::quota::command::QuotaCommand;
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::snapshot::command::{SnapshotCommand, SnapshotOf};
use docklet_control::trash::command::{Thing, TrashCommand};
use docklet_control::view::{allowance, group};
use docklet_control::{Actor, Command, Entry, Refusal, State, apply};
use groups::of_group;
use notices::{announce, of_notice};

const ADMIN: Actor = Actor::User(UserId(1));
const ADA: Actor = Actor::User(UserId(2));
/// A user without anything.
const BOB: Actor = Actor::User(UserId(3));
/// Looks after machines, and is nobody's owner.
const OPERATOR: Actor = Actor::User(UserId(4));

/// A cluster in its making.
#[derive(Default)]
struct Site {
    state: State,
    index: u64,
}

impl Site {
    fn decided(&self, actor: Actor, command: Command) -> (State, Outcome) {
        let entry = Entry {
            version: self.state.version().0,
            request: RequestId(u128::from(self.index + 1)),
            at: UnixMs(1_000 * self.index),
            actor,
            command,
        };
        let applied = apply(self.state.clone(), LogIndex(self.index + 1), &entry);
        (applied.state, applied.receipt.outcome)
    }

    fn done(&mut self, actor: Actor, command: Command) {
        let said = format!("{command:?}");
        let (state, outcome) = self.decided(actor, command);
        assert!(
            matches!(outcome, Outcome::Accepted(_)),
            "{said}: {outcome:?}"
        );
        self.state = state;
        self.index += 1;
    }

    fn refused(&self, actor: Actor, command: Command) -> Refusal {
        let said = format!("{command:?}");
        match self.decided(actor, command).1 {
            Outcome::Refused(refusal) => refusal,
            Outcome::Accepted(_) => panic!("{said} is accepted of {actor:?}"),
        }
    }

    fn person(&mut self, name: &str, role: Role) {
        let (name, password_hash) = (name.to_owned(), "hash".to_owned());
        let command = Command::CreateUser {
            name,
            role,
            password_hash,
        };
        self.done(ADMIN, command);
    }

    /// Ada has a vcluster (1) with a vnode (1), a port (20000), an image and a share of a group that she manages, to which
    /// she has said something at last.
    fn begun() -> Self {
        let mut site = Self::default();
        let door = Actor::Door(MasterId(1));
        site.done(door, Command::InitCluster(begun::init()));
        let program = Program {
            master: MasterId(1),
            name: "newest".to_owned(),
            knows: ClusterVersion::CURRENT,
        };
        site.done(door, Command::ReportProgram { program });
        let to = ClusterVersion::CURRENT;
        site.done(Actor::Duty, Command::RaiseVersion { to });
        site.person("ada", Role::User);
        site.person("bob", Role::User);
        site.person("op", Role::Operator);
        let worker = site.worker();
        site.done(
            ADA,
            Command::Image(ImageCommand::Add(Box::new(AddImage {
                name: "tools".to_owned(),
                digest: Digest([1; 32]),
                blob_bytes: 1,
                spec: ImageSpec::default(),
                environment: vec!["DOCKLET_SERVICES=lab:8888".to_owned()],
                directory: String::new(),
                description: None,
                label: String::new(),
                visibility: None,
                held_by: worker,
            }))),
        );
        site.done(
            ADA,
            Command::CreateVcluster {
                name: "lab".to_owned(),
                image: "tools".to_owned(),
                vnodes: 1,
                size: VnodeSize::default(),
            },
        );
        site.done(ADA, add_port(1));
        site.group();
        site.done(ADA, announce("course"));
        site
    }

    fn worker(&mut self) -> WorkerId {
        let secret_hash = SecretHash([9; 32]);
        let token = Command::CreateJoinToken {
            secret_hash,
            role: JoinRole::Agent,
            ttl_ms: 60_000,
            uses: 1,
        };
        self.done(OPERATOR, token);
        let join = Command::JoinWorker {
            secret_hash,
            name: "w1".to_owned(),
            data_addr: "192.0.2.11:7444".to_owned(),
            underlay: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            capacity: WorkerCapacity::default(),
        };
        self.done(Actor::Door(MasterId(1)), join);
        let worker = WorkerId(self.index);
        let facts = WorkerFacts::default();
        self.done(
            Actor::Worker(worker),
            Command::DescribeWorker { worker, facts },
        );
        worker
    }

    fn group(&mut self) {
        let course = || "course".to_owned();
        let users = || vec!["ada".to_owned()];
        for command in [
            GroupCommand::Create {
                name: course(),
                description: String::new(),
            },
            GroupCommand::Add {
                group: course(),
                users: users(),
            },
            GroupCommand::AddManagers {
                group: course(),
                users: users(),
            },
        ] {
            self.done(ADMIN, Command::Group(command));
        }
    }
}

fn add_port(vnode: u64) -> Command {
    Command::AddPort {
        vnode: VnodeId(vnode),
        protocol: Protocol::Tcp,
        number: PortNumber(22),
        public: None,
    }
}

/// Everything that is asked of a vcluster by its number.
fn of_vcluster(id: u64) -> Vec<Command> {
    let vcluster = VclusterId(id);
    let of = SnapshotOf::Vcluster(vcluster);
    let name = || "friday".to_owned();
    vec![
        Command::StartVcluster { vcluster },
        Command::StopVcluster { vcluster },
        Command::ScaleVcluster {
            vcluster,
            vnodes: 2,
        },
        Command::ResizeVcluster {
            vcluster,
            disk_mib: DiskMib(20_480),
        },
        Command::DeleteVcluster { vcluster },
        Command::Limit(LimitCommand::Resize {
            vcluster,
            change: SizeChange::default(),
        }),
        Command::Schedule(ScheduleCommand::SetRules {
            vcluster,
            rules: Rules::default(),
        }),
        Command::Snapshot(SnapshotCommand::Take {
            of,
            name: name(),
            ttl_ms: None,
        }),
        Command::Snapshot(SnapshotCommand::Delete { of, name: name() }),
        keep(Thing::Snapshots { of, name: name() }),
        Command::Snapshot(SnapshotCommand::Restore { of, name: name() }),
        Command::Snapshot(SnapshotCommand::SetSchedule {
            vcluster,
            rhythm: None::<SnapshotRhythm>,
        }),
    ]
}

/// Everything that is asked of a vnode by its number, but to move it.
fn of_vnode(id: u64) -> Vec<Command> {
    let vnode = VnodeId(id);
    let of = SnapshotOf::Vnode(vnode);
    let name = || "friday".to_owned();
    vec![
        add_port(id),
        Command::Image(ImageCommand::Save {
            vnode,
            name: name(),
            label: String::new(),
        }),
        Command::Image(ImageCommand::CancelSave { vnode }),
        Command::Snapshot(SnapshotCommand::Take {
            of,
            name: name(),
            ttl_ms: None,
        }),
        Command::Snapshot(SnapshotCommand::Delete { of, name: name() }),
        keep(Thing::Snapshots { of, name: name() }),
        Command::Snapshot(SnapshotCommand::Restore { of, name: name() }),
        Command::Snapshot(SnapshotCommand::Save {
            vnode,
            snapshot: name(),
            image: name(),
            label: String::new(),
        }),
        Command::Snapshot(SnapshotCommand::CreateVcluster {
            name: "copy".to_owned(),
            vnode,
            snapshot: name(),
            vnodes: 1,
            size: VnodeSize::default(),
            disk_mib: None,
            gpus: GpuWish::default(),
            rules: Rules::default(),
        }),
    ]
}

fn keep(thing: Thing) -> Command {
    Command::Trash(TrashCommand::Keep { thing })
}

fn moves_of(id: u64) -> Vec<Command> {
    let vnode = VnodeId(id);
    let begin = MoveCommand::Begin {
        vnode,
        to: None,
        way: None,
    };
    [begin, MoveCommand::Cancel { vnode }]
        .map(Command::Move)
        .into()
}

fn of_port(number: u16) -> Vec<Command> {
    let public = PublicPort {
        protocol: Protocol::Tcp,
        number: PortNumber(number),
    };
    vec![Command::RemovePort { public }]
}

fn of_image(image: &str) -> Vec<Command> {
    let (image, with) = (|| image.to_owned(), || "bob".to_owned());
    let commands = [
        ImageCommand::Describe {
            image: image(),
            description: String::new(),
        },
        ImageCommand::Share {
            image: image(),
            with: with(),
        },
        ImageCommand::Unshare {
            image: image(),
            with: with(),
        },
        ImageCommand::SetVisibility {
            image: image(),
            visibility: Visibility::Private,
        },
        ImageCommand::Rename {
            image: image(),
            to: "kit".to_owned(),
        },
        ImageCommand::RollBack {
            image: image(),
            to: None,
        },
        ImageCommand::ShareWithGroup {
            image: image(),
            group: "course".to_owned(),
        },
        ImageCommand::UnshareFromGroup {
            image: image(),
            group: "course".to_owned(),
        },
        ImageCommand::DeleteVersion {
            image: image(),
            version: Digest([1; 32]),
        },
        ImageCommand::Delete { image: image() },
    ];
    let made_of = Command::CreateVcluster {
        name: "mine".to_owned(),
        image: image(),
        vnodes: 1,
        size: VnodeSize::default(),
    };
    commands
        .map(Command::Image)
        .into_iter()
        .chain([made_of, keep(Thing::Image { image: image() })])
        .collect()
}

fn of_request(number: u64) -> Vec<Command> {
    let (request, reason) = (LogIndex(number), String::new());
    let decline = Command::Bean(BeanCommand::Decline { request, reason });
    vec![decline, Command::Bean(BeanCommand::Withdraw { request })]
}

/// One thing that is there and one that is not, with all that is asked of them.
fn alike(site: &Site, actor: Actor, there: (&str, Vec<Command>), absent: (&str, Vec<Command>)) {
    assert_eq!(there.1.len(), absent.1.len());
    for (of_one, of_none) in there.1.into_iter().zip(absent.1) {
        let said = format!("{of_one:?} of {actor:?}");
        let (one, none) = (site.refused(actor, of_one), site.refused(actor, of_none));
        assert_eq!(one.code(), none.code(), "{said}: {one}");
        let (one, none) = (one.to_string(), none.to_string());
        assert_eq!(one.replace(there.0, absent.0), none, "{said}");
    }
}

#[test]
fn what_is_forbidden_and_what_is_absent_look_alike() {
    let site = Site::begun();
    for actor in [BOB, OPERATOR] {
        alike(
            &site,
            actor,
            ("\"1\"", of_vcluster(1)),
            ("\"77\"", of_vcluster(77)),
        );
        alike(
            &site,
            actor,
            ("\"1\"", of_vnode(1)),
            ("\"77\"", of_vnode(77)),
        );
        services::alike_too(&site, actor);
        alike(
            &site,
            actor,
            ("20000", of_port(20_000)),
            ("20077", of_port(20_077)),
        );
        let (image, none) = ("ada/tools", "ada/nothing");
        alike(
            &site,
            actor,
            (image, of_image(image)),
            (none, of_image(none)),
        );
        alike(
            &site,
            actor,
            ("course", of_group("course")),
            ("nothing", of_group("nothing")),
        );
        let (notice, none) = (site.index.to_string(), (site.index + 1).to_string());
        alike(
            &site,
            actor,
            (&notice, of_notice(site.index)),
            (&none, of_notice(site.index + 1)),
        );
    }
    alike(&site, BOB, ("\"1\"", moves_of(1)), ("\"77\"", moves_of(77)));
}

#[test]
fn so_does_a_request_for_beans() {
    let mut site = Site::begun();
    let on = SettingsChange {
        on: Some(true),
        ..SettingsChange::default()
    };
    site.done(ADMIN, Command::Bean(BeanCommand::Set(on)));
    let (beans, reason) = (100, "for a course".to_owned());
    site.done(ADA, Command::Bean(BeanCommand::Request { beans, reason }));
    let number = site.index;
    for actor in [BOB, OPERATOR] {
        alike(
            &site,
            actor,
            (&format!("\"{number}\""), of_request(number)),
            ("\"777\"", of_request(777)),
        );
    }
}

#[test]
fn so_do_people_and_groups_in_what_is_shown() {
    let site = Site::begun();
    let state = &site.state;
    for asker in [3, 4].map(|id| &state.users[&UserId(id)]) {
        let refused = |name| allowance::named(state, asker, name).expect_err("not theirs");
        let (ada, nobody) = (refused("ada").to_string(), refused("nobody").to_string());
        assert_eq!(ada.replace("ada", "nobody"), nobody);
        let refused = |name| allowance::of_group(state, asker, name).expect_err("not theirs");
        let (course, none) = (refused("course").to_string(), refused("none").to_string());
        assert_eq!(course.replace("course", "none"), none);
        assert!(group::named(state, asker, "course").is_none());
        assert_eq!(allowance::list(state, asker).len(), 1, "their own");
    }
    // Of the same group its manager sees all.
    let ada = &state.users[&UserId(2)];
    let shown = allowance::of_group(state, ada, "course").expect("theirs");
    assert_eq!(shown.members.len(), 1);
}

#[test]
fn an_operator_moves_what_they_may_not_enter_or_change() {
    let site = Site::begun();
    for command in moves_of(1) {
        let refusal = site.refused(OPERATOR, command);
        assert!(matches!(refusal, Refusal::Move(_)), "{refusal}");
    }
}
