//! Random commands by random actors, sensible and hostile: whatever comes, each entry keeps every promise.
//!
//! The seed is fixed, so that a run repeats. `PROPTEST_CASES` (64 if not given) and `PROPTEST_RNG_SEED` widen the search.

mod begun;
mod check;
mod hostile;
#[allow(dead_code, reason = "recordings count the rest")]
#[path = "golden/kinds.rs"]
mod kinds;
mod rank;

use check::Log;
use docklet_control::account::command::AccountCommand;
use docklet_control::bean::command::{BeanCommand, Receiver, SettingsChange};
use docklet_control::command::InitCluster;
use docklet_control::duties::{self, Soft};
use docklet_control::group::command::GroupCommand;
use docklet_control::id::{
    DrillId, LogIndex, MasterId, RequestId, SecretHash, SteadyMs, UnixMs, UserId, WorkerId,
};
use docklet_control::model::account::Scope;
use docklet_control::model::{
    Bound, ClusterVersion, JoinRole, Program, QuotaItem, Role, Vnode, VnodeFence, VnodeSeen,
    VnodeWanted, WorkerCapacity, WorkerFacts,
};
use docklet_control::notice::event::NoticeEvent;
use docklet_control::quota::command::QuotaCommand;
use docklet_control::report::{Reported, VnodeReport};
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::{Actor, Command, Entry, Event, apply, permit};
use hostile::{asked, beginning, sound_beginning};
use kinds::{Kinds, Seen};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngSeed, TestRunner};
use rank::Standing;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody asks for something.
    Ask(Actor, Command),
    /// Somebody asks for something under the request id of an earlier entry.
    Again(u64, Actor, Command),
    /// The leader hears of all workers and does its duties.
    Due,
    /// A worker says which vnodes it would end by itself, and is never heard of again until the leader hears of all.
    Lost(WorkerId),
    /// A careless duty would put every vnode that waits on one worker.
    Pile(WorkerId),
    /// One master goes on alone, in a new cluster or in the same.
    Anew(bool),
    /// An honest worker says what became of its vnodes.
    Report(WorkerId),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = || prop::sample::select(vec![5, 6]).prop_map(WorkerId);
    prop_oneof![
        8 => asked().prop_map(|(who, command)| Step::Ask(who, command)),
        1 => (1..30_u64, asked()).prop_map(|(entry, (who, command))| {
            Step::Again(entry, who, command)
        }),
        3 => Just(Step::Due),
        2 => worker().prop_map(Step::Lost),
        1 => worker().prop_map(Step::Pile),
        2 => worker().prop_map(Step::Report),
        1 => any::<bool>().prop_map(Step::Anew),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let later_ms = prop::sample::select(vec![0, 1, 1_000, 6_000, 3_600_000]);
    prop::collection::vec((later_ms, step()), 1..80)
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let seed = std::env::var("PROPTEST_RNG_SEED").ok();
    ProptestConfig {
        cases: cases.map_or(64, |text| text.parse().expect("PROPTEST_CASES is a number")),
        rng_seed: RngSeed::Fixed(seed.map_or(0xd0c1e7, |text| {
            text.parse().expect("PROPTEST_RNG_SEED is a number")
        })),
        // The seed says it all.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_entry_keeps_every_promise(steps in steps()) {
        let mut model = Model::begun(sound_beginning()).map_err(TestCaseError::fail)?;
        model.take(steps).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn whatever_a_cluster_begins_with_holds(init in beginning(), steps in steps()) {
        let mut model = Model::begun(init).map_err(TestCaseError::fail)?;
        model.take(steps).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_same_holds_of_the_newest_version(steps in steps()) {
        let mut model = Model::begun(sound_beginning()).map_err(TestCaseError::fail)?;
        model.upgrade().map_err(TestCaseError::fail)?;
        model.take(steps).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn nobody_rises_by_what_they_ask_for(asked in prop::collection::vec(rank::asked(), 1..300)) {
        let mut model = Model::begun(sound_beginning()).map_err(TestCaseError::fail)?;
        model.upgrade().map_err(TestCaseError::fail)?;
        model.cast().map_err(TestCaseError::fail)?;
        for (mut who, mut command) in asked {
            model.aim(&mut command);
            let at = model.log.index.0;
            hostile::account::aim(&mut who, &mut command, &model.log.state, at);
            let asker = match who {
                Actor::User(asker) | Actor::Login { user: asker, .. } => asker,
                Actor::Worker(_) | Actor::Door(_) | Actor::Duty => continue,
            };
            let by_token = model.is_token(who);
            let said = format!("{who:?}: {command:?}");
            let before = Standing::of(&model.log.state);
            model.ask(who, command);
            let after = Standing::of(&model.log.state);
            let risen = before.risen_to(&after, asker);
            prop_assert!(risen.is_none(), "{:?}, by {}", risen, said);
            let risen = before.risen_by_token(&after).filter(|_| by_token);
            prop_assert!(risen.is_none(), "{:?}, by {}", risen, said);
        }
    }
}

/// Commands of every kind are among what is asked, or nobody would see what they break.
#[test]
fn every_kind_of_command_is_drawn() {
    let mut runner = TestRunner::deterministic();
    let asked = asked();
    let mut seen = Seen::default();
    for _ in 0..20_000 {
        let drawn = asked.new_tree(&mut runner).expect("a command");
        seen.command(&drawn.current().1);
    }
    let mut missing = seen.missing(&Kinds::of_this_code());
    missing.retain(|line| line.contains("commands, seen are"));
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// A cluster and its clock.
#[derive(Default)]
struct Model {
    log: Log,
    now: UnixMs,
}

impl Model {
    /// An admin (1), ada (2) and bob (3), workers 5 and 6 of 2 GiB, an image, and vclusters of ada (1) and bob
    /// (2) that just fit, if `init` is accepted.
    fn begun(init: InitCluster) -> Result<Self, String> {
        let mut model = Self::default();
        let (door, admin) = (Actor::Door(init.master), Actor::User(UserId(1)));
        model.enter(door, None, Command::InitCluster(init))?;
        model.enter(admin, None, new_user("ada"))?;
        model.enter(admin, None, new_user("bob"))?;
        model.enter(admin, None, token(9, JoinRole::Agent))?;
        for (name, id) in [("w1", WorkerId(5)), ("w2", WorkerId(6))] {
            model.enter(door, None, join(name))?;
            if model.log.index.0 != id.0 {
                return Err(format!("{name} came in as entry {}", model.log.index));
            }
        }
        for worker in [WorkerId(5), WorkerId(6)] {
            model.enter(Actor::Worker(worker), None, describe(worker))?;
        }
        model.enter(admin, None, image())?;
        model.enter(admin, None, token(0, JoinRole::Agent))?;
        model.enter(admin, None, token(1, JoinRole::Master))?;
        for user in [UserId(2), UserId(3)] {
            model.enter(Actor::User(user), None, vcluster())?;
        }
        Ok(model)
    }

    /// Every master runs this program, and the version rises.
    fn upgrade(&mut self) -> Result<(), String> {
        let masters: Vec<MasterId> = self.log.state.masters.keys().copied().collect();
        for master in masters {
            let program = Program {
                master,
                name: "newest".to_owned(),
                knows: ClusterVersion::CURRENT,
            };
            let command = Command::ReportProgram { program };
            self.enter(Actor::Door(master), None, command)?;
        }
        self.due()
    }

    /// Whether somebody asks with a token of a program.
    fn is_token(&self, who: Actor) -> bool {
        let Actor::Login { number, .. } = who else {
            return false;
        };
        let login = self.log.state.login_numbered(number);
        login.is_some_and(|login| login.token.is_some())
    }

    /// Ada manages a group that gives more than is usual, and another that gives less; bob is in the first. All have tokens: the
    /// admin's do what anybody's may.
    fn cast(&mut self) -> Result<(), String> {
        let admin = Actor::User(UserId(1));
        self.enter(admin, None, new_user("carl"))?;
        let operator = Command::CreateUser {
            name: "op".to_owned(),
            role: Role::Operator,
            password_hash: "hash".to_owned(),
        };
        self.enter(admin, None, operator)?;
        for (group, vnodes) in [("course", 12), ("staff", 2)] {
            let group = group.to_owned();
            let change = [(QuotaItem::Vnodes, Some(Bound::AtMost(vnodes)))].into();
            let (users, description) = (vec!["ada".to_owned()], String::new());
            let make = |name| GroupCommand::Create { name, description };
            self.enter(admin, None, Command::Group(make(group.clone())))?;
            let manage = |group| GroupCommand::AddManagers { group, users };
            self.enter(admin, None, Command::Group(manage(group.clone())))?;
            let give = QuotaCommand::SetOfGroup { group, change };
            self.enter(admin, None, Command::Quota(give))?;
        }
        let change = SettingsChange {
            on: Some(true),
            ..SettingsChange::default()
        };
        self.enter(admin, None, Command::Bean(BeanCommand::Set(change)))?;
        let give = BeanCommand::Grant {
            to: Receiver::Group("course".to_owned()),
            beans: 5_000,
            reason: String::new(),
            from: None,
        };
        self.enter(admin, None, Command::Bean(give))?;
        self.enter(Actor::Duty, None, Command::Bean(BeanCommand::OpenPurses))?;
        let (group, users) = ("course".to_owned(), vec!["bob".to_owned()]);
        let add = GroupCommand::Add { group, users };
        self.enter(Actor::User(UserId(2)), None, Command::Group(add))?;
        for (user, byte) in [1, 2, 3, 4, 5].into_iter().zip(60..) {
            let above = [Scope::Admin, Scope::Metrics];
            let scopes = Scope::ALL
                .into_iter()
                .filter(|scope| !above.contains(scope));
            let make = AccountCommand::CreateToken {
                id: SecretHash([byte; 32]),
                name: "shell".to_owned(),
                scopes: scopes.collect(),
                ttl_ms: 3_600_000,
            };
            self.enter(Actor::User(UserId(user)), None, Command::Account(make))?;
        }
        Ok(())
    }

    /// Without the checks of each entry: they hold of the same commands above, and here only what comes of many matters.
    fn ask(&mut self, actor: Actor, command: Command) {
        let log = &mut self.log;
        log.index = LogIndex(log.index.0 + 1);
        let entry = Entry {
            version: log.state.version().0,
            request: RequestId(u128::from(log.index.0)),
            at: self.now,
            actor,
            command,
        };
        log.state = apply(log.state.clone(), log.index, &entry).state;
    }

    fn take(&mut self, steps: Vec<(u64, Step)>) -> Result<(), String> {
        for (later_ms, step) in steps {
            self.now = self.now.plus_ms(later_ms);
            match step {
                Step::Ask(who, mut command) => {
                    let mut who = who;
                    self.aim(&mut command);
                    let at = self.log.index.0;
                    hostile::identity::aim(&mut command, &self.log.state, self.now, at);
                    hostile::account::aim(&mut who, &mut command, &self.log.state, at);
                    self.enter(who, None, command)?;
                }
                Step::Again(entry, who, mut command) => {
                    self.aim(&mut command);
                    self.enter(who, Some(RequestId(u128::from(entry))), command)?;
                }
                Step::Due => self.due()?,
                Step::Lost(worker) => self.lose(worker)?,
                Step::Pile(worker) => {
                    let waiting = self.log.state.unplaced_vnodes();
                    let placed = waiting.map(|vnode| (vnode.id, worker)).collect();
                    let unplaced = Vec::new();
                    let command = Command::PlaceVnodes { placed, unplaced };
                    self.enter(Actor::Duty, None, command)?;
                }
                Step::Anew(restored) => self.anew(restored)?,
                Step::Report(worker) => {
                    let command = self.honest_report(worker);
                    self.enter(Actor::Worker(worker), None, command)?;
                }
            }
        }
        Ok(())
    }

    fn aim(&self, command: &mut Command) {
        let newest = self.log.state.drills.last();
        let newest = newest.map_or(DrillId(0), |(id, _)| *id);
        hostile::drill::aim(command, newest);
        hostile::snapshot::aim(command, &self.log.state);
        hostile::limit::aim(command, &self.log.state);
        hostile::moves::aim(command, &self.log.state);
        hostile::trash::aim(command, &self.log.state);
        hostile::idle::aim(command, &self.log.state);
        hostile::terminal::aim(command, &self.log.state);
        hostile::notice::aim(command, &self.log.state);
        hostile::bean::aim(command, &self.log.state);
        hostile::service::aim(command, &self.log.state, self.log.index);
    }

    fn due(&mut self) -> Result<(), String> {
        let workers = self.log.state.workers.keys();
        let steady = SteadyMs(self.now.0);
        let mut soft = Soft::leading(steady);
        soft.heard = workers.map(|worker| (*worker, steady)).collect();
        soft.observe(&self.log.state, steady);
        for command in duties::due(&self.log.state, &soft, self.now, steady) {
            self.enter(Actor::Duty, None, command)?;
        }
        Ok(())
    }

    /// It is down first, and then what it ran begins anew elsewhere.
    fn lose(&mut self, lost: WorkerId) -> Result<(), String> {
        let state = &self.log.state;
        let fence = |vnode: &Vnode| {
            Some(VnodeFence {
                vnode: vnode.id,
                epoch: vnode.placement?.epoch,
                number: state.fence_wanted(vnode)?,
            })
        };
        let fences = state.vnodes_on(lost).filter_map(fence).collect();
        let worker = lost;
        let report = ScheduleCommand::ReportFences { worker, fences };
        self.enter(Actor::Worker(lost), None, Command::Schedule(report))?;
        let later = SteadyMs(3_600_000);
        for _ in 0..2 {
            let mut soft = Soft::default();
            let others = self.log.state.workers.keys().filter(|id| **id != lost);
            soft.heard = others.map(|worker| (*worker, later)).collect();
            for command in duties::due(&self.log.state, &soft, self.now, later) {
                self.enter(Actor::Duty, None, command)?;
            }
        }
        Ok(())
    }

    fn anew(&mut self, restored: bool) -> Result<(), String> {
        let (last, state) = (self.log.index, &self.log.state);
        let Some((master, settings)) = state.masters.keys().next().zip(state.settings.as_ref())
        else {
            return Ok(());
        };
        let mut cluster = settings.cluster;
        cluster.0[0] ^= 1;
        let command = if restored {
            Command::RestoreCluster {
                cluster,
                last,
                master_name: "anew".to_owned(),
                cluster_addr: "192.0.2.77:1".to_owned(),
                public_addr: "192.0.2.77:2".to_owned(),
            }
        } else {
            Command::RecoverCluster {
                master: *master,
                last,
            }
        };
        let door = Actor::Door(*master);
        self.log.jump();
        self.enter(door, None, command)?;
        let state = &self.log.state;
        if state.masters.len() == 1 && state.sessions.is_empty() && state.join_tokens.is_empty() {
            return Ok(());
        }
        Err("a cluster that began anew kept what it must not".to_owned())
    }

    fn honest_report(&self, worker: WorkerId) -> Command {
        let report = |vnode: &Vnode| {
            vnode.placement.map(|placement| VnodeReport {
                vnode: vnode.id,
                epoch: placement.epoch,
                seen: match vnode.wanted {
                    VnodeWanted::Running => Reported::Present(VnodeSeen::Running),
                    VnodeWanted::Stopped => Reported::Present(VnodeSeen::Stopped),
                    VnodeWanted::Removed => Reported::Gone,
                },
            })
        };
        let reports = self.log.state.vnodes_on(worker).filter_map(report);
        Command::ReportVnodes {
            worker,
            reports: reports.collect(),
        }
    }

    fn enter(
        &mut self,
        who: Actor,
        request: Option<RequestId>,
        command: Command,
    ) -> Result<(), String> {
        let asker = permit::person(&self.log.state, who).cloned();
        let said = format!("{who:?}: {command:?}");
        let applied = self
            .log
            .enter(self.now, who, request, command)
            .map_err(|broken| format!("{broken}, by {said}"))?;
        let Ok(asker) = asker else { return Ok(()) };
        let mut change = applied.change;
        change.events.retain(|event| !tells_others(event));
        let seen = permit::visible_change(&asker, &change).map_or(0, |c| c.events.len());
        if seen == change.events.len() {
            return Ok(());
        }
        Err(format!("somebody else's things changed, by {said}"))
    }
}

/// Others are told something of what somebody does: that is no thing of theirs.
fn tells_others(event: &Event) -> bool {
    let Event::Notice(event) = event else {
        return false;
    };
    match event {
        NoticeEvent::Told { .. } | NoticeEvent::Gone { .. } | NoticeEvent::Mail(_) => true,
        NoticeEvent::ReaderSet { .. } | NoticeEvent::Bug(_) => false,
    }
}

fn new_user(name: &str) -> Command {
    Command::CreateUser {
        name: name.to_owned(),
        role: Role::User,
        password_hash: "hash".to_owned(),
    }
}

fn token(secret: u8, role: JoinRole) -> Command {
    Command::CreateJoinToken {
        secret_hash: SecretHash([secret; 32]),
        role,
        ttl_ms: 24 * 3_600_000,
        uses: 2,
    }
}

fn join(name: &str) -> Command {
    Command::JoinWorker {
        secret_hash: SecretHash([9; 32]),
        name: name.to_owned(),
        data_addr: "192.0.2.11:7444".to_owned(),
        underlay: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        capacity: capacity(),
    }
}

fn vcluster() -> Command {
    Command::CreateVcluster {
        name: "first".to_owned(),
        image: "busybox".to_owned(),
        vnodes: 2,
        size: docklet_control::amount::VnodeSize {
            memory_mib: docklet_control::amount::MemoryMib(1_024),
            ..docklet_control::amount::VnodeSize::default()
        },
    }
}

fn capacity() -> WorkerCapacity {
    WorkerCapacity {
        cpu_milli: docklet_control::amount::CpuMilli(4_000),
        memory_mib: docklet_control::amount::MemoryMib(2_048),
        disk_mib: docklet_control::amount::DiskMib(20_480),
        gpus: hostile::wishes::gpus(&["GPU-1", "GPU-2", "GPU-3"]),
    }
}

fn describe(worker: WorkerId) -> Command {
    let facts = WorkerFacts {
        capacity: capacity(),
        ..WorkerFacts::default()
    };
    Command::DescribeWorker { worker, facts }
}

fn image() -> Command {
    Command::RegisterImage {
        name: "busybox".to_owned(),
        digest: docklet_control::id::Digest([1; 32]),
        blob_bytes: 1,
        spec: docklet_control::model::ImageSpec::default(),
        description: String::new(),
        held_by: WorkerId(5),
    }
}
