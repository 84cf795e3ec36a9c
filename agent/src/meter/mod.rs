//! Meters: what each vnode and the worker use, each second, live and in files that reach back a year.
//!
//! One thread looks once a second: files of cgroups stay open, all devices are one read, and what is found is one
//! write for each vnode. Nothing of it is told to the masters unless one asks, at the data port.

mod cgroup;
mod counters;
mod gpu;
mod history;
pub(crate) mod layer;
mod machine;
pub(crate) mod parse;
mod slot;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use docklet_control::id::{UnixMs, VnodeId};
use docklet_control::meter::{Live, Measure, Series, Span, Subject, Usage, Values};
use tokio::sync::watch;

use crate::activity::Activity;
use crate::config::AgentConfig;
use crate::fault::AgentFault;
use crate::gpu::{Gpus, Sight};
use crate::lxcfs;
use crate::tally::{Running, Tallies, awake_ms};
use crate::vnode_dir::{StateDir, container_name};
use cgroup::{Buffer, Cgroup, Held, Layout};
use counters::Counters;
use history::History;
use layer::Layers;
use machine::Machine;

/// How often everything is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether lxcfs runs.
const LXCFS_EVERY: Duration = Duration::from_secs(30);

/// The meters of one worker. Clones are the same.
#[derive(Clone)]
pub struct Meter {
    inner: Arc<Mutex<Inner>>,
    layers: Arc<Layers>,
    gpus: Gpus,
    tallies: Option<Tallies>,
    activity: Activity,
    state: StateDir,
    live: watch::Sender<Arc<Live>>,
}

/// What is held between two looks.
struct Inner {
    layout: Layout,
    cgroup_prefix: String,
    devices: Held,
    machine: Machine,
    buffer: Buffer,
    worker: Watched,
    vnodes: BTreeMap<VnodeId, Vnode>,
    looked_at: Instant,
    /// Whether lxcfs runs, and when that was looked at.
    lxcfs: Option<(bool, Instant)>,
}

/// A subject's file, and what was read of it last.
struct Watched {
    history: Option<History>,
    before: Option<Counters>,
}

struct Vnode {
    watched: Watched,
    cgroup: Option<Cgroup>,
    /// GPUs that it runs with; they stay the same for as long as it runs.
    gpus: Vec<String>,
}

impl Meter {
    /// Takes up the files of an earlier agent.
    #[must_use]
    pub fn open(config: &AgentConfig, gpus: Gpus) -> Self {
        Self::of(config, gpus, Path::new("/sys/fs/cgroup"))
    }

    /// Adds what vnodes use to these tallies.
    #[must_use]
    pub fn counting(mut self, tallies: Tallies) -> Self {
        self.tallies = Some(tallies);
        self
    }

    /// Which vnodes do nothing.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    fn of(config: &AgentConfig, gpus: Gpus, cgroups: &Path) -> Self {
        let state = StateDir(config.state_dir.clone());
        let inner = Inner {
            layout: Layout::of(cgroups),
            cgroup_prefix: config.cgroup_prefix.clone(),
            devices: Held::open(Path::new("/proc/thread-self/net/dev")),
            machine: Machine::open(&config.state_dir),
            buffer: Buffer::default(),
            worker: Watched::open(&state.worker_meter()),
            vnodes: BTreeMap::new(),
            looked_at: Instant::now(),
            lxcfs: None,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            layers: Arc::default(),
            gpus,
            tallies: None,
            activity: Activity::default(),
            state,
            live: watch::Sender::new(Arc::default()),
        }
    }

    /// Looks once a second until it is dropped.
    pub async fn run(&self) {
        tokio::join!(self.look_always(), self.walk_always());
    }

    async fn look_always(&self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let meter = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || meter.look()).await {
                tracing::error!(%error, "a look at the meters panicked");
            }
        }
    }

    async fn walk_always(&self) {
        loop {
            let meter = self.clone();
            let walked = tokio::task::spawn_blocking(move || {
                let vnodes = meter.state.vnodes().unwrap_or_default();
                let dirs = vnodes.into_iter().map(|id| (id, meter.state.vnode(id)));
                meter.layers.walk(&dirs.collect::<Vec<_>>())
            });
            let rest = walked.await.unwrap_or(EVERY);
            tokio::time::sleep(rest).await;
        }
    }

    /// Looks at everything once.
    pub fn look(&self) {
        let vnodes = match self.state.vnodes() {
            Ok(vnodes) => vnodes,
            Err(fault) => {
                tracing::warn!(fault = fault.full_text(), "vnodes are not measured");
                return;
            }
        };
        let mut inner = self.inner();
        inner
            .vnodes
            .retain(|id, _| vnodes.binary_search(id).is_ok());
        let (live, running) = inner.look(
            &vnodes,
            &self.state,
            &self.layers,
            &self.gpus.now(),
            self.tallies.as_ref(),
        );
        if let Some(tallies) = &self.tallies {
            tallies.look(&running, awake_ms());
        }
        self.activity.observe(&live, Instant::now());
        self.live.send_replace(Arc::new(live));
    }

    /// What is in use now, anew each second.
    #[must_use]
    pub fn live(&self) -> watch::Receiver<Arc<Live>> {
        self.live.subscribe()
    }

    /// What was in use. Vnodes that are not here add nothing.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn history(
        &self,
        of: &Subject,
        span: Span,
        measures: &[Measure],
    ) -> Result<Series, AgentFault> {
        let now_s = seconds(now());
        let mut rows: Vec<Option<Values>> = vec![None; span.slots() as usize];
        let mut add = |part: Vec<Option<Values>>| {
            for (row, more) in rows.iter_mut().zip(part) {
                if let Some(more) = more {
                    row.get_or_insert_default().add(&more);
                }
            }
        };
        match of {
            Subject::Worker => add(self.inner().worker.span(span, now_s)?),
            Subject::Vnodes(ids) => {
                for id in ids {
                    // The lock is taken for one file at a time: looks go on in between.
                    let part = match self.inner().vnodes.get(id) {
                        Some(vnode) => vnode.watched.span(span, now_s)?,
                        None => Vec::new(),
                    };
                    add(part);
                }
            }
        }
        Ok(history::series(span, now_s, measures, &rows))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether lxcfs runs, as of a while ago at most.
    fn lxcfs(&mut self) -> Option<bool> {
        if let Some((runs, at)) = self.lxcfs
            && at.elapsed() < LXCFS_EVERY
        {
            return Some(runs);
        }
        let runs = !lxcfs::files().ok()?.is_empty();
        self.lxcfs = Some((runs, Instant::now()));
        Some(runs)
    }

    fn look(
        &mut self,
        vnodes: &[VnodeId],
        state: &StateDir,
        layers: &Layers,
        gpus: &Sight,
        tallies: Option<&Tallies>,
    ) -> (Live, BTreeMap<VnodeId, Running>) {
        let at = now();
        let elapsed_s = self.looked_at.elapsed().as_secs_f64();
        self.looked_at = Instant::now();
        let mut devices = BTreeMap::new();
        let mut own = None;
        if let Some(text) = self.devices.read(&mut self.buffer) {
            own = Some(machine::network(text, |id, totals| {
                devices.insert(VnodeId(id), totals);
            }));
        }
        let mut live = Live {
            at,
            worker: Usage::default(),
            vnodes: Vec::with_capacity(vnodes.len()),
            gpus: gpus.cards.iter().map(gpu::now).collect(),
            gpu_problem: gpus.problem.clone(),
            lxcfs: self.lxcfs(),
        };
        let mut running = BTreeMap::new();
        for id in vnodes {
            let vnode = self.vnodes.entry(*id).or_insert_with(|| Vnode {
                watched: Watched::open(&state.meter(*id)),
                cgroup: None,
                gpus: Vec::new(),
            });
            let (layout, prefix) = (&self.layout, &self.cgroup_prefix);
            let mut counters = vnode.read(layout, prefix, *id, state, &mut self.buffer);
            counters.gpu = gpu::used_by(*id, &vnode.gpus, &mut live.gpus);
            counters.network = devices.get(id).copied();
            counters.disk_bytes = layers.bytes(*id, &state.vnode(*id));
            if tallies.is_some_and(|tallies| tallies.counts(*id))
                && let Some(seen) = vnode.running(&counters, gpus)
            {
                running.insert(*id, seen);
            }
            let usage = vnode.watched.record(counters, elapsed_s, at);
            live.vnodes.push((*id, usage));
        }
        let mut counters = self.machine.read(&mut self.buffer);
        counters.network = own;
        counters.gpu = gpu::sum(&live.gpus);
        live.worker = self.worker.record(counters, elapsed_s, at);
        (live, running)
    }
}

impl Vnode {
    /// What it used. One without a cgroup does not run, and uses nothing but its disk.
    fn read(
        &mut self,
        layout: &Layout,
        prefix: &str,
        id: VnodeId,
        state: &StateDir,
        buffer: &mut Buffer,
    ) -> Counters {
        if self.cgroup.is_none() {
            self.cgroup = Cgroup::open(layout, prefix, &container_name(id));
            let placed = self.cgroup.is_some().then(|| state.placed(id)).flatten();
            self.gpus = placed.map(|placed| placed.gpus).unwrap_or_default();
        }
        if let Some(counters) = self.cgroup.as_mut().and_then(|cgroup| cgroup.read(buffer)) {
            return counters;
        }
        self.cgroup = None;
        self.gpus.clear();
        Counters {
            cpu_us: Some(0),
            memory_bytes: Some(0),
            processes: Some(0),
            ..Counters::default()
        }
    }
}

impl Vnode {
    /// What is charged of it; none while it does not run.
    fn running(&self, counters: &Counters, gpus: &Sight) -> Option<Running> {
        let cgroup = self.cgroup.as_ref()?;
        let network = counters.network.unwrap_or_default();
        let held = gpus.cards.iter();
        let held = held.filter(|card| self.gpus.contains(&card.gpu.uuid));
        Some(Running {
            cgroup: cgroup.number(),
            cpu_us: counters.cpu_us.unwrap_or(0),
            memory_bytes: counters.memory_bytes.unwrap_or(0),
            network_bytes: network.received_bytes.saturating_add(network.sent_bytes),
            gpus: held.map(|card| card.gpu.model.clone()).collect(),
        })
    }
}

impl Watched {
    fn open(path: &Path) -> Self {
        let history = History::open(path, seconds(now()));
        let history = history.inspect_err(|error| not_kept(path, error)).ok();
        Self {
            history,
            before: None,
        }
    }

    /// Takes what was read now; answers what that means for the time since the last look.
    fn record(&mut self, counters: Counters, elapsed_s: f64, at: UnixMs) -> Usage {
        let before = self.before.replace(counters);
        let usage = counters.since(&before.unwrap_or_default(), elapsed_s);
        if let Some(history) = self.history.as_mut()
            && before.is_some()
            && let Err(error) = history.record(seconds(at), &usage.values)
        {
            tracing::warn!(%error, "a second of the meters is not kept");
        }
        usage
    }

    fn span(&self, span: Span, now_s: u32) -> Result<Vec<Option<Values>>, AgentFault> {
        match &self.history {
            Some(history) => Ok(history.span(span, now_s)?),
            None => Ok(Vec::new()),
        }
    }
}

fn not_kept(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), %error, "meters are live only, their file cannot be used");
}

/// By this machine's clock, as the reader of a chart expects it.
fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMs(since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }))
}

fn seconds(at: UnixMs) -> u32 {
    u32::try_from(at.0 / 1_000).unwrap_or(u32::MAX)
}

impl StateDir {
    /// A vnode's meters: they go with its directory.
    fn meter(&self, id: VnodeId) -> PathBuf {
        self.vnode(id).join("meter")
    }

    /// The worker's own.
    fn worker_meter(&self) -> PathBuf {
        self.0.join("meter")
    }
}
