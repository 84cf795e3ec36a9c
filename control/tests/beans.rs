//! The ledger: whatever happens, each balance is the sum of the events that changed it, at every entry; and what was charged
//! for a placement is what its last reading costs, however often, late or twice its worker told.
//!
//! The seed is fixed, so that a run repeats. `PROPTEST_CASES` (64 if not given) and `PROPTEST_RNG_SEED` widen the search.

mod begun;
mod check;
mod hostile;

use std::collections::{BTreeMap, BTreeSet};

use check::Log;
use docklet_control::bean::audit::{self, Sums};
use docklet_control::bean::command::{BeanCommand, RatesChange, SettingsChange};
use docklet_control::bean::event::{BeanEvent, ChargeId};
use docklet_control::bean::formula;
use docklet_control::duties::{self, Soft};
use docklet_control::event::Event;
use docklet_control::id::{
    DrillId, Epoch, MasterId, SecretHash, SteadyMs, UnixMs, UserId, VnodeId, WorkerId,
};
use docklet_control::model::{
    ClusterVersion, JoinRole, MicroBeans, Program, PurseOf, Role, Used, VnodeWanted,
    WorkerCapacity, WorkerFacts,
};
use docklet_control::report::{Reading, Reported, VnodeReport};
use docklet_control::{Actor, Applied, Command};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn config() -> ProptestConfig {
    let number = |name| std::env::var(name).ok().map(|text| text.parse());
    let cases = number("PROPTEST_CASES").and_then(Result::ok);
    let seed = number("PROPTEST_RNG_SEED").and_then(Result::ok);
    ProptestConfig {
        cases: u32::try_from(cases.unwrap_or(64_u64)).unwrap_or(64),
        rng_seed: RngSeed::Fixed(seed.unwrap_or(0xbea25)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_sum_of_the_ledger_is_the_balance_at_every_entry(
        steps in prop::collection::vec((0..4_000_000_u64, step()), 1..60)
    ) {
        let mut site = Site::begun().map_err(TestCaseError::fail)?;
        site.place().map_err(TestCaseError::fail)?;
        for (later_ms, step) in steps {
            site.now = site.now.plus_ms(later_ms);
            site.take(step).map_err(TestCaseError::fail)?;
        }
        prop_assert!(site.charged.0 >= 0);
    }

    #[test]
    fn readings_cost_the_same_however_they_come(
        amounts in prop::collection::vec((0..9_000_000_u64, 0..9_000_000_u64), 1..12),
        order in prop::collection::vec(0..12_usize, 1..40),
    ) {
        let mut total = Used::default();
        let mut totals = Vec::new();
        for (run_ms, cpu_ms) in amounts {
            let more = Used { run_ms, cpu_ms, disk_mib_ms: run_ms * 2_000, ..Used::default() };
            total = total.plus(&more);
            totals.push(total.clone());
        }
        let mut site = Site::begun().map_err(TestCaseError::fail)?;
        // To the millionth: hours are rounded only where one ends between two readings.
        let exact = RatesChange { whole_hours: Some(false), ..RatesChange::default() };
        site.enter(ADMIN, Command::Bean(BeanCommand::SetRates(exact))).map_err(TestCaseError::fail)?;
        let (vnode, epoch) = site.place().map_err(TestCaseError::fail)?;
        for which in order {
            let used = totals[which % totals.len()].clone();
            site.read(vnode, epoch, used, false).map_err(TestCaseError::fail)?;
        }
        site.delete(vnode, epoch).map_err(TestCaseError::fail)?;
        site.read(vnode, epoch, total.clone(), true).map_err(TestCaseError::fail)?;
        site.read(vnode, epoch, total.clone(), true).map_err(TestCaseError::fail)?;
        let rates = &site.log.state.bean_settings.as_ref().expect("set").rates;
        let whole = formula::cost(rates, &Used::default(), &total, MicroBeans(0), true).0;
        prop_assert_eq!(site.charged, whole.sum());
    }
}

const ADMIN: Actor = Actor::User(UserId(1));
const ADA: Actor = Actor::User(UserId(2));
const WORKER: WorkerId = WorkerId(5);

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody asks for something, mostly about beans.
    Ask(Actor, Box<Command>),
    /// A worker tells of one of the tallies that there are: so much more than is known.
    Read(usize, Used, bool),
    /// A worker says that what is to be gone is gone.
    Report(WorkerId),
    /// The leader does its duties.
    Due,
    /// One master goes on alone.
    Anew,
}

fn step() -> BoxedStrategy<Step> {
    let asked = prop_oneof![
        4 => hostile::bean::asked(),
        3 => hostile::asked(),
        1 => hostile::group::asked(),
    ];
    let amount = || prop_oneof![6 => 0..9_000_000_u64, 1 => Just(Used::MOST)];
    let more = (amount(), amount(), amount()).prop_map(|(run_ms, cpu_ms, port_ms)| Used {
        run_ms,
        cpu_ms,
        port_ms,
        disk_mib_ms: run_ms.saturating_mul(100),
        gpu_ms: [("A100".to_owned(), port_ms)].into(),
        ..Used::default()
    });
    let worker = prop::sample::select(vec![5, 6]).prop_map(WorkerId);
    prop_oneof![
        4 => asked.prop_map(|(who, command)| Step::Ask(who, Box::new(command))),
        5 => (0..8_usize, more, any::<bool>()).prop_map(|(which, more, ended)| Step::Read(which, more, ended)),
        1 => worker.prop_map(Step::Report),
        2 => Just(Step::Due),
        1 => Just(Step::Anew),
    ]
    .boxed()
}

/// A cluster with beans, and its ledger as anybody could keep it who is told of everything.
struct Site {
    log: Log,
    now: UnixMs,
    ledger: BTreeMap<PurseOf, i64>,
    charges: BTreeSet<ChargeId>,
    charged: MicroBeans,
    sums: BTreeMap<PurseOf, Sums>,
}

impl Site {
    fn begun() -> Result<Self, String> {
        let mut site = Self {
            log: Log::default(),
            now: UnixMs(1_700_000_000_000),
            ledger: BTreeMap::new(),
            charges: BTreeSet::new(),
            charged: MicroBeans(0),
            sums: BTreeMap::new(),
        };
        let door = Actor::Door(MasterId(1));
        let init = hostile::sound_beginning();
        site.enter(door, Command::InitCluster(init))?;
        for name in ["ada", "bob"] {
            let command = Command::CreateUser {
                name: name.to_owned(),
                role: Role::User,
                password_hash: "hash".to_owned(),
            };
            site.enter(ADMIN, command)?;
        }
        let secret_hash = SecretHash([9; 32]);
        let token = Command::CreateJoinToken {
            secret_hash,
            role: JoinRole::Agent,
            ttl_ms: 60_000,
            uses: 5,
        };
        site.enter(ADMIN, token)?;
        for name in ["w1", "w2"] {
            site.enter(door, join(name, secret_hash))?;
        }
        let program = Program {
            master: MasterId(1),
            name: "newest".to_owned(),
            knows: ClusterVersion::CURRENT,
        };
        site.enter(door, Command::ReportProgram { program })?;
        let to = ClusterVersion::CURRENT;
        site.enter(Actor::Duty, Command::RaiseVersion { to })?;
        for worker in [WORKER, WorkerId(6)] {
            let facts = WorkerFacts {
                capacity: capacity(),
                ..WorkerFacts::default()
            };
            let describe = Command::DescribeWorker { worker, facts };
            site.enter(Actor::Worker(worker), describe)?;
        }
        let image = Command::RegisterImage {
            name: "busybox".to_owned(),
            digest: docklet_control::id::Digest([1; 32]),
            blob_bytes: 1,
            spec: docklet_control::model::ImageSpec::default(),
            description: String::new(),
            held_by: WORKER,
        };
        site.enter(ADMIN, image)?;
        let on = SettingsChange {
            on: Some(true),
            ..SettingsChange::default()
        };
        site.enter(ADMIN, Command::Bean(BeanCommand::Set(on)))?;
        site.enter(Actor::Duty, Command::Bean(BeanCommand::OpenPurses))?;
        Ok(site)
    }

    fn take(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Ask(mut who, mut command) => {
                let (state, at) = (&self.log.state, self.log.index.0);
                hostile::bean::aim(&mut command, state);
                hostile::trash::aim(&mut command, state);
                hostile::service::aim(&mut command, state, self.log.index);
                hostile::idle::aim(&mut command, state);
                hostile::terminal::aim(&mut command, state);
                hostile::notice::aim(&mut command, state);
                hostile::snapshot::aim(&mut command, state);
                hostile::limit::aim(&mut command, state);
                hostile::moves::aim(&mut command, state);
                hostile::drill::aim(&mut command, DrillId(0));
                hostile::identity::aim(&mut command, state, self.now, at);
                hostile::account::aim(&mut who, &mut command, state, at);
                self.enter(who, *command)
            }
            Step::Read(which, more, ended) => {
                let tallies = &self.log.state.tallies;
                let Some(tally) = tallies.values().nth(which % tallies.len().max(1)) else {
                    return Ok(());
                };
                let (worker, known) = (tally.worker, tally.used.clone().unwrap_or_default());
                let reading = Reading {
                    vnode: tally.vnode,
                    epoch: tally.epoch,
                    used: known.plus(&more),
                    ended,
                };
                // Some are told twice in one go.
                let readings = vec![reading.clone(), reading];
                let meter = BeanCommand::Meter { worker, readings };
                self.enter(Actor::Worker(worker), Command::Bean(meter))
            }
            Step::Report(worker) => {
                let on = self.log.state.vnodes_on(worker);
                let gone = on.filter(|vnode| vnode.wanted == VnodeWanted::Removed);
                let reports = gone.filter_map(|vnode| {
                    Some(VnodeReport {
                        vnode: vnode.id,
                        epoch: vnode.placement?.epoch,
                        seen: Reported::Gone,
                    })
                });
                let reports = reports.collect();
                self.enter(
                    Actor::Worker(worker),
                    Command::ReportVnodes { worker, reports },
                )
            }
            Step::Due => self.due(),
            Step::Anew => self.anew(),
        }
    }

    /// Nobody's beans are others after it.
    fn anew(&mut self) -> Result<(), String> {
        let last = self.log.index;
        let Some(master) = self.log.state.masters.keys().next().copied() else {
            return Ok(());
        };
        self.log.jump();
        self.enter(
            Actor::Door(master),
            Command::RecoverCluster { master, last },
        )
    }

    fn due(&mut self) -> Result<(), String> {
        let steady = SteadyMs(self.now.0);
        let mut soft = Soft::leading(steady);
        let workers = self.log.state.workers.keys();
        soft.heard = workers.map(|worker| (*worker, steady)).collect();
        soft.observe(&self.log.state, steady);
        for command in duties::due(&self.log.state, &soft, self.now, steady) {
            self.enter(Actor::Duty, command)?;
        }
        Ok(())
    }

    /// A vnode of ada's on the worker.
    fn place(&mut self) -> Result<(VnodeId, Epoch), String> {
        let create = Command::CreateVcluster {
            name: "lab".to_owned(),
            image: "busybox".to_owned(),
            vnodes: 1,
            size: docklet_control::amount::VnodeSize::default(),
        };
        self.enter(ADA, create)?;
        let vnode = VnodeId(self.log.state.counters.vnode);
        let placed = vec![(vnode, WORKER)];
        let unplaced = Vec::new();
        self.enter(Actor::Duty, Command::PlaceVnodes { placed, unplaced })?;
        let placement = self.log.state.vnodes[&vnode].placement;
        Ok((vnode, placement.ok_or("it is not placed")?.epoch))
    }

    fn delete(&mut self, vnode: VnodeId, epoch: Epoch) -> Result<(), String> {
        let vcluster = self.log.state.vnodes[&vnode].vcluster;
        self.enter(ADA, Command::DeleteVcluster { vcluster })?;
        let (worker, seen) = (WORKER, Reported::Gone);
        let reports = vec![VnodeReport { vnode, epoch, seen }];
        self.enter(
            Actor::Worker(worker),
            Command::ReportVnodes { worker, reports },
        )
    }

    fn read(
        &mut self,
        vnode: VnodeId,
        epoch: Epoch,
        used: Used,
        ended: bool,
    ) -> Result<(), String> {
        let reading = Reading {
            vnode,
            epoch,
            used,
            ended,
        };
        let (worker, readings) = (WORKER, vec![reading]);
        let meter = BeanCommand::Meter { worker, readings };
        self.enter(Actor::Worker(WORKER), Command::Bean(meter))
    }

    fn enter(&mut self, who: Actor, command: Command) -> Result<(), String> {
        let said = format!("{who:?}: {command:?}");
        let applied = self
            .log
            .enter(self.now, who, None, command)
            .map_err(|broken| format!("{broken}, by {said}"))?;
        self.keep(&applied)?;
        self.compare()
            .map_err(|wrong| format!("{wrong}, after {said}"))
    }

    /// Adds what happened to the ledger.
    fn keep(&mut self, applied: &Applied) -> Result<(), String> {
        for event in &applied.change.events {
            let Event::Bean(event) = event else { continue };
            match event {
                BeanEvent::Opened { of, beans, .. } => self.add(*of, beans.0),
                BeanEvent::Closed { of, beans, .. } => {
                    self.add(*of, -beans.0);
                    if self.ledger.remove(of) != Some(0) {
                        return Err(format!("{of:?} was closed with something in it"));
                    }
                }
                BeanEvent::Charged { charge } => {
                    if charge.id.index != applied.change.index || !self.charges.insert(charge.id) {
                        return Err(format!("{:?} is the number of two charges", charge.id));
                    }
                    self.charged = self.charged.plus(charge.cost.sum());
                    let parts = charge.cost.parts().into_iter().map(|(_, beans)| beans.0);
                    let sum = parts.sum::<i64>();
                    if sum < 0 {
                        return Err("a charge gave something".to_owned());
                    }
                    self.add(PurseOf::User(charge.about.owner), -sum);
                }
                BeanEvent::Granted { grant, .. } => {
                    let beans = i64::try_from(grant.beans).map_err(|fault| fault.to_string())?;
                    let beans = beans * MicroBeans::ONE;
                    self.add(grant.to, beans);
                    grant
                        .from
                        .into_iter()
                        .for_each(|from| self.add(from, -beans));
                }
                BeanEvent::TakenBack { taken, .. } => {
                    let beans = i64::try_from(taken.beans).map_err(|fault| fault.to_string())?;
                    self.add(taken.of, -beans * MicroBeans::ONE);
                }
                BeanEvent::Set { .. }
                | BeanEvent::Withdrawn { .. }
                | BeanEvent::RanLow { .. }
                | BeanEvent::Requested { .. }
                | BeanEvent::Decided { .. }
                | BeanEvent::TallyBegun { .. }
                | BeanEvent::TallyBehind { .. }
                | BeanEvent::TallyEnded { .. }
                | BeanEvent::Stopped { .. } => {}
            }
        }
        for of in self.log.state.purses.keys() {
            let sums = self.sums.entry(*of).or_default();
            audit::add(sums, *of, &applied.change);
        }
        self.sums
            .retain(|of, _| self.log.state.purses.contains_key(of));
        Ok(())
    }

    fn add(&mut self, of: PurseOf, beans: i64) {
        *self.ledger.entry(of).or_default() += beans;
    }

    fn compare(&self) -> Result<(), String> {
        let purses = self.log.state.purses.values();
        let balances: BTreeMap<_, _> = purses.map(|purse| (purse.of, purse.balance.0)).collect();
        if balances != self.ledger {
            return Err(format!("purses {balances:?}, ledger {:?}", self.ledger));
        }
        for (of, sums) in &self.sums {
            let kept = audit::kept(self.log.state.bean_lines_of(*of));
            if kept != *sums {
                return Err(format!("lines {kept:?} of {of:?}, recomputed {sums:?}"));
            }
        }
        Ok(())
    }
}

fn join(name: &str, secret_hash: SecretHash) -> Command {
    Command::JoinWorker {
        secret_hash,
        name: name.to_owned(),
        data_addr: "192.0.2.11:7444".to_owned(),
        underlay: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        capacity: capacity(),
    }
}

fn capacity() -> WorkerCapacity {
    WorkerCapacity {
        cpu_milli: docklet_control::amount::CpuMilli(4_000),
        memory_mib: docklet_control::amount::MemoryMib(4_096),
        disk_mib: docklet_control::amount::DiskMib(40_960),
        gpus: Vec::new(),
    }
}
