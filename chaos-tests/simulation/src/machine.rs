//! One machine: an address, a disk and a clock, and while it runs a process with a tokio runtime of its own, so that a
//! crash ends all of it at once and a pause holds all of it. Time passes in the runtime only as far as it is driven.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docklet_control::command::InitCluster;
use docklet_control::id::UnixMs;
use docklet_link::rpc;
use docklet_link::{Channel, Identity, Purpose};
use docklet_raft::disk::MemoryDisk;
use docklet_raft::{Master, Settings, World};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::disk::SimDisk;
use crate::network::{Network, Place, Visitor};
use crate::observe::{self, Observations};
use crate::stream::SimDial;
use crate::trace::Trace;

/// When the simulated world begins, by right clocks.
const EPOCH_MS: u64 = 1_800_000_000_000;

/// As in production.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// What all machines share.
#[derive(Clone)]
pub struct Site {
    pub trace: Trace,
    pub network: Network,
    pub observations: Observations,
}

/// A runtime whose time is driven from outside.
pub struct Driven {
    runtime: Runtime,
    origin: Instant,
    started_ms: u64,
    /// How fast its clock runs: 1,000,000 is right.
    rate_ppm: u64,
    paused_ms: Option<u64>,
}

impl Driven {
    pub fn new(now_ms: u64, rate_ppm: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let origin = runtime.block_on(async { Instant::now() });
        Self {
            runtime,
            origin,
            started_ms: now_ms,
            rate_ppm,
            paused_ms: None,
        }
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    fn local(&self, now_ms: u64) -> Instant {
        let passed = (now_ms - self.started_ms) * self.rate_ppm / 1_000_000;
        self.origin + Duration::from_millis(passed)
    }

    /// Runs whatever there is to run until then.
    pub fn run_until(&self, now_ms: u64) {
        if self.paused_ms.is_none() {
            let until = self.local(now_ms);
            self.runtime
                .block_on(async move { tokio::time::sleep_until(until).await });
        }
    }

    pub fn is_paused(&self) -> bool {
        self.paused_ms.is_some()
    }

    pub fn pause(&mut self, now_ms: u64) {
        self.paused_ms.get_or_insert(now_ms);
    }

    /// Goes on; for the process the time in between has passed in one moment.
    pub fn resume(&mut self, now_ms: u64) {
        if let Some(paused_ms) = self.paused_ms.take() {
            let slept = self.local(now_ms) - self.local(paused_ms);
            self.runtime.block_on(tokio::time::advance(slept));
        }
    }
}

/// How a process is doing.
#[derive(Clone)]
pub enum Condition {
    Starting,
    Running(Master),
    /// It has ended by itself; why.
    Ended(String),
}

/// A running process.
struct Process {
    driven: Driven,
    condition: Arc<Mutex<Condition>>,
    /// It was told to stop.
    stopping: bool,
}

/// The machine.
pub struct Machine {
    pub place: Place,
    pub name: String,
    pub addr: String,
    pub disk: SimDisk,
    /// Whom the master on it is, once one was installed.
    pub installed: Option<Identity>,
    /// There is to be one.
    pub promised: bool,
    /// Starts by itself at this time.
    pub start_at_ms: Option<u64>,
    /// How fast the clock runs in the next process.
    pub rate_ppm: u64,
    skew_ms: Arc<AtomicI64>,
    process: Option<Process>,
    site: Site,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    pub fn new(place: Place, addr: String, disk: SimDisk, site: Site) -> Self {
        site.network.plug_in(place, &addr);
        Self {
            place,
            name: format!("m{}", place + 1),
            addr,
            disk,
            installed: None,
            promised: false,
            start_at_ms: None,
            rate_ppm: 1_000_000,
            skew_ms: Arc::default(),
            process: None,
            site,
        }
    }

    pub fn tell(&self, what: &str) {
        self.site.trace.tell(&self.name, what);
    }

    pub fn set_skew_ms(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// Whether nothing is on it, nor is to be.
    pub fn is_spare(&self) -> bool {
        self.installed.is_none() && !self.promised
    }

    pub fn is_on(&self) -> bool {
        self.process.is_some()
    }

    pub fn is_paused(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.driven.is_paused())
    }

    /// The master, if it runs.
    pub fn master(&self) -> Option<Master> {
        match self.condition()? {
            Condition::Running(master) => Some(master),
            Condition::Starting | Condition::Ended(_) => None,
        }
    }

    pub fn condition(&self) -> Option<Condition> {
        let process = self.process.as_ref()?;
        Some(lock(&process.condition).clone())
    }

    /// Starts the process; with `first`, it makes the cluster.
    pub fn start(&mut self, settings: Settings, first: Option<InitCluster>) {
        let now_ms = self.site.trace.now_ms();
        self.start_at_ms = None;
        self.site.network.lighten(self.place);
        let driven = Driven::new(now_ms, self.rate_ppm);
        let condition = Arc::new(Mutex::new(Condition::Starting));
        let (trace, skew) = (self.site.trace.clone(), self.skew_ms.clone());
        let clock = move || {
            let right = EPOCH_MS + trace.now_ms();
            UnixMs(right.saturating_add_signed(skew.load(Ordering::Relaxed)))
        };
        let world = World {
            disk: Arc::new(self.disk.clone()),
            dial: Arc::new(SimDial {
                network: self.site.network.clone(),
                from: self.place,
                identity: settings.identity,
            }),
            clock: Arc::new(clock),
        };
        let arrivals = self
            .site
            .network
            .open_door(self.place, &self.addr, settings.identity);
        let life = Life {
            place: self.place,
            world,
            settings,
            first,
            arrivals,
            site: self.site.clone(),
            condition: condition.clone(),
        };
        driven.spawn(life.live());
        self.process = Some(Process {
            driven,
            condition,
            stopping: false,
        });
    }

    /// Lets the process run until now.
    pub fn run(&self) {
        if let Some(process) = &self.process {
            let _speaks = crate::logs::as_machine(&self.name);
            process.driven.run_until(self.site.trace.now_ms());
        }
    }

    pub fn pause(&mut self) {
        if let Some(process) = &mut self.process {
            process.driven.pause(self.site.trace.now_ms());
        }
    }

    pub fn resume(&mut self) {
        if let Some(process) = &mut self.process {
            process.driven.resume(self.site.trace.now_ms());
        }
    }

    /// Runs something in the process, if there is one.
    pub fn ask<F>(&self, what: impl FnOnce(Master) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let (Some(process), Some(master)) = (&self.process, self.master()) {
            process.driven.spawn(what(master));
        }
    }

    /// Tells the process to stop in order.
    pub fn stop(&mut self) {
        let master = self.master();
        let (Some(process), Some(master)) = (&mut self.process, master) else {
            return;
        };
        if std::mem::replace(&mut process.stopping, true) {
            return;
        }
        let condition = process.condition.clone();
        process.driven.spawn(async move {
            master.hand_over().await;
            drop(tokio::time::timeout(STOP_DEADLINE, master.shutdown()).await);
            *lock(&condition) = Condition::Ended("stopped in order".to_owned());
        });
    }

    pub fn is_stopping(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.stopping)
    }

    /// The process ends at once; what it wrote, synced or not, stays.
    pub fn kill(&mut self) {
        // What is dropped must not write any more.
        self.disk.fail_after(0);
        self.site.network.close_door(&self.addr);
        self.process = None;
        self.disk.repair();
    }

    /// The machine goes dark; of what was not synced some is there afterwards.
    pub fn lose_power(&mut self, survivor: u64) {
        self.site.network.darken(self.place);
        let left = self.disk.memory().after_power_loss(survivor);
        self.kill();
        self.disk = self.disk.holding(left);
    }

    /// Everything on it is gone, with the master that it was.
    pub fn wipe(&mut self) {
        self.kill();
        self.disk = self.disk.holding(MemoryDisk::default());
        self.installed = None;
        self.start_at_ms = None;
        self.site.observations.forget(self.place);
    }
}

/// A process from its start on.
struct Life {
    place: Place,
    world: World,
    settings: Settings,
    first: Option<InitCluster>,
    arrivals: mpsc::UnboundedReceiver<Visitor>,
    site: Site,
    condition: Arc<Mutex<Condition>>,
}

impl Life {
    async fn live(self) {
        let Self {
            place,
            world,
            settings,
            first,
            arrivals,
            site,
            condition,
        } = self;
        let master = match Master::start_in(world, settings).await {
            Ok(master) => master,
            Err(fault) => {
                *lock(&condition) = Condition::Ended(observe::with_causes(&fault));
                return;
            }
        };
        *lock(&condition) = Condition::Running(master.clone());
        if let Some(first) = first {
            let master = master.clone();
            tokio::spawn(async move {
                let made = master.initialize(first).await;
                made.expect("nothing goes wrong before there is a cluster");
            });
        }
        tokio::spawn(observe::follow(
            master.clone(),
            place,
            site.observations,
            site.trace,
        ));
        tokio::select! {
            biased;
            why = ending(&master) => *lock(&condition) = Condition::Ended(why),
            () = serve(&master, arrivals) => {}
        }
    }
}

/// Why a master ends by itself, when it does.
async fn ending(master: &Master) -> String {
    tokio::select! {
        biased;
        fault = master.failed() => observe::with_causes(&fault),
        divergence = master.diverged() => format!("its state differs: {divergence:?}"),
    }
}

/// Takes in visitors as the cluster listener does behind TLS.
async fn serve(master: &Master, mut arrivals: mpsc::UnboundedReceiver<Visitor>) {
    let mut visits = JoinSet::new();
    while let Some(visitor) = arrivals.recv().await {
        while visits.try_join_next().is_some() {}
        visits.spawn(visit(master.clone(), visitor));
    }
}

async fn visit(master: Master, visitor: Visitor) {
    let (deny, peer) = (master.deny(), Some(visitor.identity));
    if deny.denies(peer, Purpose::Raft) {
        return;
    }
    let answer = move |method, body| {
        let master = master.clone();
        async move { master.answer(method, body).await }
    };
    tokio::select! {
        biased;
        () = deny.comes_to(peer, Purpose::Raft) => {}
        () = rpc::serve(Channel::new(visitor.stream), answer) => {}
    }
}
