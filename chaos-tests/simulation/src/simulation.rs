//! One run: a seed, its world, the steps of its time, and the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docklet_chaos_tests::History;
use docklet_control::command::InitCluster;
use docklet_control::id::{LogIndex, MasterId, UserId};
use docklet_control::model::{ClusterId, ClusterVersion};
use docklet_link::{Identity, PeerRole};
use docklet_raft::disk::MemoryDisk;
use docklet_raft::{Settings, StoreClient};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::mpsc;

use crate::clients::{self, Client, Crowd};
use crate::disk::SimDisk;
use crate::machine::{Driven, Machine, Site};
use crate::network::{Network, Place};
use crate::observe::Observations;
use crate::operator::{Bulletin, News, Operator, Wish};
use crate::oracle::{Oracle, Promises};
use crate::paths::FORGOTTEN;
use crate::profile::Profile;
use crate::stream::SimDial;
use crate::trace::Trace;
use crate::violation::{Law, Violation};
use crate::ways::Ways;
use crate::weather::{Weather, fork};

const CLUSTER: [u8; 16] = [7; 16];
/// A cluster must be made within this time, when nothing goes wrong.
const SETUP_MS: u64 = 30_000;
/// With all trouble over, everything must be well again within this time.
const SETTLE_MS: u64 = 60_000;

/// So often in a row everybody must have come as far as the leader was: a change of members takes two entries, and the
/// second is written only when the first is committed.
const CAUGHT_UP: u32 = 3;

/// How a run went.
pub struct Outcome {
    pub verdict: Result<(), Violation>,
    pub simulated_ms: u64,
    pub accepted: usize,
    pub troubles: u64,
    pub reigns: usize,
    pub fingerprint: u64,
    pub met: BTreeMap<String, u64>,
}

/// A run under way.
pub struct Simulation {
    trace: Trace,
    dice: SmallRng,
    pub(crate) profile: Profile,
    network: Network,
    pub(crate) machines: Vec<Machine>,
    clients: Driven,
    bulletin: Bulletin,
    wishes: mpsc::UnboundedSender<Wish>,
    /// Until the operator has it.
    wished: Option<mpsc::UnboundedReceiver<Wish>>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) oracle: Oracle,
    weather: Weather,
    /// Since nothing has been missing: how often everybody came as far as the leader was, and how far it was then.
    whole: Option<(u32, LogIndex)>,
    pub(crate) observations: Observations,
}

impl Simulation {
    pub fn new(seed: u64, trace: Trace) -> Self {
        let mut dice = SmallRng::seed_from_u64(seed);
        let profile = Profile::choose(&mut dice);
        trace.tell("seed", &format!("{seed}: {profile:?}"));
        let network = Network::new(trace.clone(), fork(&mut dice), profile.conditions);
        let observations = Observations::default();
        let site = Site {
            trace: trace.clone(),
            network: network.clone(),
            observations: observations.clone(),
        };
        let count = profile.masters + profile.spares;
        let machines = (0..count).map(|place| machine(place, &site, &profile, &mut dice));
        let machines = machines.collect();
        let ways = Ways {
            network: network.clone(),
            trace: trace.clone(),
            masters: count,
            clients: count,
        };
        let (wishes, wished) = mpsc::unbounded_channel();
        let promises = Promises::default();
        Self {
            weather: Weather::new(
                fork(&mut dice),
                profile.clone(),
                ways,
                trace.clone(),
                wishes.clone(),
            ),
            oracle: Oracle::new(observations.clone(), promises.clone()),
            crowd: Arc::new(Crowd {
                trace: trace.clone(),
                promises,
                history: History::default(),
                keys: std::sync::OnceLock::new(),
                began: Instant::now(),
                stop: AtomicBool::new(false),
                busy: AtomicUsize::new(0),
                masters: count,
            }),
            wishes,
            wished: Some(wished),
            whole: None,
            clients: Driven::new(0, 1_000_000),
            bulletin: Bulletin::default(),
            trace,
            dice,
            profile,
            network,
            machines,
            observations,
        }
    }

    /// Runs it all.
    pub fn run(mut self) -> Outcome {
        let verdict = self
            .set_up()
            .and_then(|()| self.storm())
            .and_then(|()| self.settle());
        Outcome {
            verdict,
            simulated_ms: self.trace.now_ms(),
            accepted: self.crowd.promises.count(),
            troubles: self.weather.troubles(),
            reigns: self.oracle.reigns(),
            fingerprint: self.trace.fingerprint(),
            met: self.trace.met(),
        }
    }

    /// Makes the cluster, and waits until clients can work on it.
    fn set_up(&mut self) -> Result<(), Violation> {
        let first = identity(1);
        self.machines[0].installed = Some(first);
        let init = init(&self.machines[0].addr);
        let settings = self.settings(first);
        self.machines[0].start(settings, Some(init));
        let operator = Operator {
            store: self.store(),
            dice: fork(&mut self.dice),
            addrs: self.addrs(),
            wishes: self.wished.take().expect("there is one operator"),
            bulletin: self.bulletin.clone(),
        };
        self.clients.spawn(operator.work(self.profile.keys));
        for place in 1..self.profile.masters {
            self.wishes.send(Wish::Admit(place)).expect("it listens");
        }
        let early = self.profile.early;
        self.run_until(SETUP_MS, "the cluster is made", |run| {
            run.crowd.keys.get().is_some() && (early || run.is_whole())
        })
    }

    /// The time of trouble.
    fn storm(&mut self) -> Result<(), Violation> {
        self.trace.tell("storm", "trouble begins");
        let end = self.trace.now_ms() + self.profile.trouble_ms;
        while self.trace.now_ms() < end {
            let whole = self.has_been_whole();
            self.weather.blow(&mut self.machines, whole);
            self.step()?;
        }
        Ok(())
    }

    /// Whether nothing is missing, and everybody knows it and has it on disk.
    fn has_been_whole(&mut self) -> bool {
        let reached = self.reached().filter(|_| self.is_whole());
        let Some((least, leader)) = reached else {
            self.whole = None;
            return false;
        };
        let (times, goal) = self.whole.get_or_insert((0, leader));
        if least >= *goal && *times < CAUGHT_UP {
            (*times, *goal) = (*times + 1, leader);
        }
        *times == CAUGHT_UP
    }

    /// All trouble is over, and everything must be well again.
    fn settle(&mut self) -> Result<(), Violation> {
        self.trace.tell("calm", "all trouble is over");
        self.weather.clear(&mut self.machines);
        self.crowd.stop.store(true, Ordering::Relaxed);
        self.run_until(SETTLE_MS, "everything settles", Self::is_settled)?;
        let reader = Reader::begin(self);
        self.run_until(SETTLE_MS, "each key is read", |_| reader.is_done())?;
        self.oracle.finish()?;
        let verdict = self.crowd.history.check();
        self.trace.tell("history", &verdict.to_string());
        if !verdict.broken.is_empty() {
            let what = format!(
                "no order explains what clients saw of keys {:?}",
                verdict.broken
            );
            return Err(Violation::of(Law::Linearizable, what));
        }
        Ok(())
    }

    fn run_until(
        &mut self,
        limit_ms: u64,
        what: &str,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), Violation> {
        let give_up = self.trace.now_ms() + limit_ms;
        while !done(self) {
            if self.trace.now_ms() >= give_up {
                let still = self.unsettled();
                let what = format!("{limit_ms} ms were not enough until {what}: {still}");
                return Err(Violation::of(Law::Settles, what));
            }
            self.step()?;
        }
        Ok(())
    }

    /// One millisecond.
    fn step(&mut self) -> Result<(), Violation> {
        let now_ms = self.trace.now_ms() + 1;
        self.trace.set_now_ms(now_ms);
        self.network.deliver();
        self.heed_news();
        self.run_machines();
        self.clients.run_until(now_ms);
        // A panic explains whatever follows from it.
        if let Some(panic) = crate::panicked() {
            return Err(Violation::of(Law::Panics, panic));
        }
        if self.trace.has_met(FORGOTTEN) {
            return Err(Violation::of(Law::OnDisk, FORGOTTEN));
        }
        let newest = self.oracle.newest();
        self.weather.supervise(&mut self.machines, &newest)?;
        if let Some((place, term)) = self.oracle.look(&self.machines)? {
            self.machines[place].tell(&format!("leads in term {term}"));
        }
        Ok(())
    }

    fn run_machines(&mut self) {
        let now_ms = self.trace.now_ms();
        for machine in &mut self.machines {
            if machine.start_at_ms.is_some_and(|at| at <= now_ms) {
                machine.tell("starts");
                self.trace.count("master: started");
                let identity = machine.installed.expect("what starts was installed");
                machine.start(settings(&self.profile, identity), None);
            }
            machine.run();
        }
    }

    fn heed_news(&mut self) {
        while let Some(news) = self.bulletin.take() {
            match news {
                News::Ready(keys) => self.begin(keys),
                News::Admitted(place, id) => {
                    let machine = &mut self.machines[place];
                    machine.tell(&format!("is installed as master {id}"));
                    machine.installed = Some(identity(id));
                    machine.promised = false;
                    machine.start_at_ms = Some(self.trace.now_ms() + 1);
                }
            }
        }
    }

    /// Clients begin.
    fn begin(&mut self, keys: Vec<UserId>) {
        self.crowd.keys.set(keys).expect("set once");
        for number in 1..=self.profile.clients {
            let client = Client {
                number,
                store: self.store(),
                dice: fork(&mut self.dice),
                rest_ms: self.profile.rest_ms,
                crowd: self.crowd.clone(),
                done: 0,
            };
            self.crowd.busy.fetch_add(1, Ordering::Relaxed);
            self.clients.spawn(client.work());
        }
    }

    fn addrs(&self) -> Vec<String> {
        self.machines
            .iter()
            .map(|machine| machine.addr.clone())
            .collect()
    }

    pub(crate) fn store(&self) -> StoreClient {
        let dial = SimDial {
            network: self.network.clone(),
            from: self.machines.len(),
            // No master has this number: nobody has removed it.
            identity: identity(u64::MAX),
        };
        StoreClient::over(Arc::new(dial), &self.addrs(), 1)
    }

    fn settings(&self, identity: Identity) -> Settings {
        settings(&self.profile, identity)
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.clients.spawn(future);
    }
}

fn settings(profile: &Profile, identity: Identity) -> Settings {
    Settings {
        identity,
        timing: profile.timing,
        history: profile.history,
        sizes: profile.sizes,
        // Whoever knows more says so, which would make another run of every seed that is kept.
        knows: ClusterVersion::FIRST,
    }
}

fn machine(place: Place, site: &Site, profile: &Profile, dice: &mut SmallRng) -> Machine {
    let disk = SimDisk::new(
        MemoryDisk::default(),
        site.network.clone(),
        place,
        fork(dice),
        profile.latency_ms,
    );
    let addr = format!("10.0.0.{}:7000", place + 1);
    Machine::new(place, addr, disk, site.clone())
}

fn identity(id: u64) -> Identity {
    Identity {
        role: PeerRole::Master,
        id,
        cluster: CLUSTER,
    }
}

fn init(cluster_addr: &str) -> InitCluster {
    InitCluster {
        cluster: ClusterId(CLUSTER),
        cluster_name: "simulated".to_owned(),
        cluster_net: "10.64.0.0/10".parse().expect("a network"),
        user_prefix: 22,
        cpu_overcommit_percent: 100,
        memory_overcommit_percent: 100,
        worker_timeout_ms: 5_000,
        admin_name: "admin".to_owned(),
        admin_password_hash: "x".to_owned(),
        master: MasterId(1),
        master_name: "m1".to_owned(),
        cluster_addr: cluster_addr.to_owned(),
        public_addr: cluster_addr.to_owned(),
    }
}

/// Somebody who reads every key once more.
struct Reader {
    left: Arc<AtomicUsize>,
}

impl Reader {
    fn begin(run: &Simulation) -> Self {
        let keys = run.profile.keys;
        let left = Arc::new(AtomicUsize::new(keys));
        let (store, crowd, counted) = (run.store(), run.crowd.clone(), left.clone());
        run.spawn(async move {
            for key in 0..keys {
                while !clients::read(&store, &crowd, key, Duration::from_secs(3)).await {}
                counted.fetch_sub(1, Ordering::Relaxed);
            }
        });
        Self { left }
    }

    fn is_done(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}
