//! One master: the handle that everything else holds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use docklet_control::command::InitCluster;
use docklet_control::decide::decide;
use docklet_control::duties::Soft;
use docklet_control::id::{LogIndex, MasterId, RequestId, SteadyMs, UnixMs};
use docklet_control::model::{ClusterVersion, Program, Receipt};
use docklet_control::{Actor, Command, Entry, Refusal};
use docklet_link::{Dialer, Gate, Identity, Own};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::ReadPolicy;
use openraft::{Instant as _, Raft, RaftMetrics};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::agreement::Agreement;
use crate::disk::{HostDisk, Work};
use crate::fault::{ProposeFault, RaftFault};
use crate::forward::ATTEMPT_DEADLINE;
use crate::links::Links;
use crate::membership::group::LastView;
use crate::membership::seats::Watched;
use crate::peer::Peers;
use crate::rebuild::Serving;
use crate::settings::{Settings, Sizes, Timing};
use crate::snapshot::{Arriving, Packing};
use crate::status::{MemberStatus, RaftStatus};
use crate::store::log::LogStore;
use crate::store::machine::{Machine, MachineView};
use crate::store::rows::HistoryLimits;
use crate::store::{Frozen, blocking};
use crate::types::{MasterAddress, Proposal, Types};
use crate::wire;
use crate::world::{World, machine_clock};
use crate::{
    agreement, drill, duties, lease, links, membership, rebuild, standing, trail, version,
};

/// Where in the data directory the log and the state are.
pub(crate) const STORE_DIR: &str = "store";

/// What a master needs to start.
pub struct MasterConfig {
    /// Holds the log and `state.redb` in a directory of their own; nobody else may have it open.
    pub data_dir: PathBuf,
    pub credentials: Own,
    pub timing: Timing,
    /// How far back the history may reach.
    pub history: HistoryLimits,
    /// The newest version of a cluster that this program knows.
    pub knows: ClusterVersion,
}

pub(crate) struct Inner {
    pub(crate) id: MasterId,
    pub(crate) raft: Raft<Types, Machine>,
    pub(crate) view: MachineView,
    pub(crate) soft: Mutex<Soft>,
    pub(crate) leases: lease::Leases,
    /// Since when this master runs.
    pub(crate) begun: Instant,
    pub(crate) arriving: Arriving,
    pub(crate) agreement: Agreement,
    pub(crate) serving: Serving,
    /// Whom this master's certificate names.
    pub(crate) identity: Identity,
    pub(crate) world: World,
    pub(crate) links: Links,
    /// Changes whenever a master or worker was removed.
    pub(crate) removals: watch::Sender<()>,
    pub(crate) tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) watched: Watched,
    pub(crate) desk: drill::Desk,
    /// The longest election timeout.
    pub(crate) election_ms: u64,
    /// Held while a removal is decided.
    pub(crate) removing: tokio::sync::Mutex<()>,
    pub(crate) last_view: LastView,
    /// What this master runs.
    pub(crate) program: Program,
    /// By which this master proves who it is, where there is something.
    pub(crate) own: OnceLock<Own>,
    /// Where its files are, where that is a directory of a machine.
    pub(crate) data_dir: OnceLock<PathBuf>,
}

/// A running master; clones are the same one.
#[derive(Clone)]
pub struct Master {
    pub(crate) inner: Arc<Inner>,
}

impl Master {
    /// Opens the files and takes part in the group as far as it is known there.
    ///
    /// # Errors
    /// The files are damaged or in use, or this program is too old for them.
    pub async fn start(config: MasterConfig) -> Result<Self, RaftFault> {
        let (dir, data_dir) = (config.data_dir.clone(), config.data_dir.clone());
        let open = move || {
            let disk = HostDisk::open(&dir.join(STORE_DIR))?;
            // Nobody else has the directory now.
            drill::remove_leftovers(&dir);
            Ok(disk)
        };
        let disk = blocking(open).await?;
        let settings = Settings {
            identity: config.credentials.identity,
            timing: config.timing,
            history: config.history,
            sizes: Sizes::default(),
            knows: config.knows,
        };
        let (gate, dialer) = (Gate::default(), Dialer::new(&config.credentials));
        let means = drill::Means {
            gate: gate.clone(),
            around: Arc::new(dialer.clone()),
            dir: config.data_dir,
        };
        let world = World {
            disk: Arc::new(disk),
            dial: Arc::new(dialer.through(gate)),
            clock: machine_clock(),
        };
        let master = Self::start_with(world, settings, Some(means)).await?;
        let _ = master.inner.own.set(config.credentials);
        let _ = master.inner.data_dir.set(data_dir);
        Ok(master)
    }

    /// The same in a world of one's own.
    ///
    /// # Errors
    /// The files are damaged.
    pub async fn start_in(world: World, settings: Settings) -> Result<Self, RaftFault> {
        Self::start_with(world, settings, None).await
    }

    async fn start_with(
        world: World,
        settings: Settings,
        means: Option<drill::Means>,
    ) -> Result<Self, RaftFault> {
        let desk = drill::Desk::new(means, (world.clock)());
        if rebuild::is_marked(world.disk.as_ref())? {
            rebuild::run(&world, settings).await?;
        }
        let (log, machine, view) = match open_store(&world, settings).await {
            Err(fault) if fault.is_of_rows() => {
                tracing::error!(%fault, "the rows on disk are not those that were written");
                rebuild::run(&world, settings).await?;
                open_store(&world, settings).await?
            }
            opened => opened?,
        };
        let own = settings.identity;
        let links = Links::new(world.dial.clone(), own);
        let peers = Peers {
            links: links.clone(),
            packing: Packing {
                part_bytes: settings.sizes.snapshot_part_bytes,
                on_thread: world.disk.work() == Work::Threads,
            },
        };
        let raft = Raft::new(own.id, settings.raft()?, peers, log, machine)
            .await
            .map_err(|fatal| RaftFault::Raft(fatal.to_string()))?;
        let master = Self {
            inner: Arc::new(Inner {
                id: MasterId(own.id),
                raft,
                view,
                soft: Mutex::default(),
                leases: lease::Leases::default(),
                begun: Instant::now(),
                arriving: Arriving::default(),
                agreement: Agreement::default(),
                serving: Serving::default(),
                identity: own,
                world,
                links,
                removals: watch::Sender::new(()),
                watched: Watched::default(),
                desk,
                election_ms: settings.timing.election_max_ms,
                removing: tokio::sync::Mutex::default(),
                last_view: LastView::default(),
                own: OnceLock::new(),
                data_dir: OnceLock::new(),
                program: Program {
                    master: MasterId(own.id),
                    name: env!("CARGO_PKG_VERSION").to_owned(),
                    knows: settings.knows,
                },
                tasks: Mutex::default(),
            }),
        };
        master.spawn_tasks();
        Ok(master)
    }

    fn spawn_tasks(&self) {
        let tasks = [
            tokio::spawn(duties::run(self.clone())),
            tokio::spawn(duties::forward_heard(self.clone())),
            tokio::spawn(lease::run(self.clone())),
            tokio::spawn(membership::run(self.clone())),
            tokio::spawn(membership::group::keep_view(self.clone())),
            tokio::spawn(links::keep_open(self.clone())),
            tokio::spawn(agreement::run(self.clone())),
            tokio::spawn(rebuild::remember_masters(self.clone())),
            tokio::spawn(standing::tell_removals(self.clone())),
            tokio::spawn(drill::run(self.clone())),
            tokio::spawn(version::report(self.clone())),
            tokio::spawn(trail::run(self.clone())),
        ];
        let mut kept = self
            .inner
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.extend(tasks);
    }

    /// Makes a new group of one, with this as its first entry.
    ///
    /// # Errors
    /// The group exists already.
    pub async fn initialize(&self, first: InitCluster) -> Result<Receipt, ProposeFault> {
        let unknown = |text: String| ProposeFault::Unknown(RaftFault::Raft(text));
        let address = MasterAddress(first.cluster_addr.clone());
        self.inner
            .raft
            .initialize(BTreeMap::from([(self.inner.id.0, address)]))
            .await
            .map_err(|error| unknown(error.to_string()))?;
        let actor = Actor::Door(self.inner.id);
        let command = Command::InitCluster(first);
        let request = RequestId::issued(LogIndex(0), rand::random());
        self.propose(actor, request, command, Duration::from_secs(10))
            .await
    }

    /// This master's identity.
    #[must_use]
    pub fn id(&self) -> MasterId {
        self.inner.id
    }

    /// Milliseconds since 1970 by this master's clock.
    #[must_use]
    pub fn now(&self) -> UnixMs {
        (self.inner.world.clock)()
    }

    /// The same moment by a clock that nobody sets.
    pub(crate) fn steady(&self) -> SteadyMs {
        let ms = self.inner.begun.elapsed().as_millis();
        SteadyMs(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// Whether this master leads, as far as it knows.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.inner.raft.is_leader()
    }

    /// The term that this master is in, as far as it knows.
    pub(crate) fn term(&self) -> u64 {
        self.inner.raft.metrics().borrow_watched().current_term
    }

    /// Puts a command into the log, through whoever leads, and waits until it is applied there. An election in
    /// between is waited out and the command tried again under the same request id, so that it takes effect once.
    ///
    /// # Errors
    /// A refusal of the fold; or no answer in time, and then whether it took effect is not known.
    pub async fn propose(
        &self,
        actor: Actor,
        request: RequestId,
        command: Command,
        deadline: Duration,
    ) -> Result<Receipt, ProposeFault> {
        let ask = wire::Propose {
            actor,
            request,
            command,
        };
        if let Some(refusal) = self.refused_now(&ask, deadline).await? {
            return Err(refusal.into());
        }
        let receipt = self.until(deadline, || self.propose_once(&ask)).await;
        let receipt = receipt.map_err(ProposeFault::Unknown)?;
        match receipt.accepted() {
            Ok(_) => Ok(receipt),
            Err(refusal) => Err(refusal.clone().into()),
        }
    }

    /// The refusal that the command would meet at a current state. So what is refused costs no entry: bad input
    /// leaves no trace, and nobody fills the log with it.
    async fn refused_now(
        &self,
        ask: &wire::Propose,
        deadline: Duration,
    ) -> Result<Option<Refusal>, ProposeFault> {
        if try_out(&self.local(), ask, self.now()).is_none() {
            return Ok(None);
        }
        // This master may lag behind what the asker has seen.
        let current = self.read(deadline).await.map_err(ProposeFault::Unknown)?;
        Ok(try_out(&current, ask, self.now()))
    }

    async fn propose_once(&self, ask: &wire::Propose) -> Result<Receipt, RaftFault> {
        if self.is_leader() {
            return self.propose_here(ask).await;
        }
        self.call_leader(wire::PROPOSE, ask, ATTEMPT_DEADLINE).await
    }

    /// On the leader: stamps the command and replicates it.
    pub(crate) async fn propose_here(&self, ask: &wire::Propose) -> Result<Receipt, RaftFault> {
        let entry = stamp(&self.local(), ask, self.now());
        let written = self
            .inner
            .raft
            .client_write(Proposal(Arc::new(entry)))
            .await;
        let written = written.map_err(|error| RaftFault::Raft(error.to_string()))?;
        written
            .data
            .ok_or_else(|| RaftFault::Raft("the entry came back without a receipt".to_owned()))
    }

    pub(crate) fn metrics(&self) -> RaftMetrics<Types> {
        self.inner.raft.metrics().borrow_watched().clone()
    }

    /// The state, at least as new as every write that was acknowledged before this call, by whichever master.
    ///
    /// # Errors
    /// No quorum answered in time.
    pub async fn read(&self, deadline: Duration) -> Result<Frozen, RaftFault> {
        let index = self.until(deadline, || self.read_index()).await?;
        self.wait_applied(index, deadline).await
    }

    async fn read_index(&self) -> Result<LogIndex, RaftFault> {
        if self.is_leader() {
            return self.read_index_here().await;
        }
        let wire::ReadIndex(index) = self
            .call_leader(wire::READ_INDEX, &(), ATTEMPT_DEADLINE)
            .await?;
        Ok(index)
    }

    /// On the leader: the index that a quorum has confirmed to be current.
    pub(crate) async fn read_index_here(&self) -> Result<LogIndex, RaftFault> {
        let linearizer = self
            .inner
            .raft
            .get_read_linearizer(ReadPolicy::ReadIndex)
            .await
            .map_err(|error| RaftFault::Raft(error.to_string()))?;
        let ready = linearizer
            .await_ready(&self.inner.raft)
            .await
            .map_err(|error| RaftFault::Raft(error.to_string()))?;
        Ok(LogIndex(ready.read_log_id().index()))
    }

    /// This master's own state, which may lag behind.
    #[must_use]
    pub fn local(&self) -> Frozen {
        self.inner.view.frozen()
    }

    /// Wakes at each new state of this master.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Frozen> {
        self.inner.view.watch()
    }

    /// Waits until this master has applied `index`: so a client sees its own write on any master.
    ///
    /// # Errors
    /// It has not in time.
    pub async fn wait_applied(
        &self,
        index: LogIndex,
        deadline: Duration,
    ) -> Result<Frozen, RaftFault> {
        let mut watch = self.watch();
        let reached = watch.wait_for(|frozen| frozen.index >= index);
        match tokio::time::timeout(deadline, reached).await {
            Ok(Ok(frozen)) => Ok(frozen.clone()),
            Ok(Err(_)) | Err(_) => Err(RaftFault::Behind {
                wanted: index,
                applied: self.local().index,
            }),
        }
    }

    /// A worker's heartbeat arrived at this master.
    pub fn heard(&self, worker: docklet_control::id::WorkerId) {
        let mut soft = self
            .inner
            .soft
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        soft.heard.insert(worker, self.steady());
    }

    /// How this master and its group are doing. Hashing costs in proportion to what changed since the last
    /// checkpoint.
    #[must_use]
    pub fn status(&self) -> RaftStatus {
        let frozen = self.local();
        RaftStatus {
            applied: frozen.index,
            state_hash: frozen.hash().to_string(),
            ..self.brief_status()
        }
    }

    /// The same without the state's hash, for whoever looks often.
    #[must_use]
    pub fn brief_status(&self) -> RaftStatus {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let members = membership.nodes().map(|(id, address)| MemberStatus {
            id: MasterId(*id),
            cluster_addr: address.0.clone(),
            voter: voters.contains(id),
            matched: metrics
                .replication
                .as_ref()
                .and_then(|all| all.get(id).copied().flatten())
                .map(|log_id| LogIndex(log_id.index())),
            heard_ms_ago: metrics
                .heartbeat
                .as_ref()
                .and_then(|all| all.get(id).copied().flatten())
                .and_then(|at| u64::try_from(at.elapsed().as_millis()).ok()),
        });
        RaftStatus {
            id: self.inner.id,
            role: format!("{:?}", metrics.state).to_lowercase(),
            term: metrics.current_term,
            leader: metrics.current_leader.map(MasterId),
            members: members.collect(),
            changing: membership.get_joint_config().len() > 1,
            last_log: LogIndex(metrics.last_log_index.unwrap_or(0)),
            applied: self.local().index,
            state_hash: String::new(),
        }
    }
}

/// Decides an entry without anything coming of it.
pub(crate) fn try_out(frozen: &Frozen, ask: &wire::Propose, now: UnixMs) -> Option<Refusal> {
    if frozen.state.receipt_of(ask.request).is_some() {
        return None;
    }
    let index = LogIndex(frozen.index.0 + 1);
    decide(&frozen.state, index, &stamp(frozen, ask, now)).err()
}

/// The entry that the leader makes of a command.
fn stamp(frozen: &Frozen, ask: &wire::Propose, now: UnixMs) -> Entry {
    Entry {
        version: frozen.state.version().0,
        request: ask.request,
        at: now,
        actor: ask.actor,
        command: ask.command.clone(),
    }
}

/// Opens log and state; on a thread of its own where the disk takes its time.
async fn open_store(
    world: &World,
    settings: Settings,
) -> Result<(LogStore, Machine, MachineView), RaftFault> {
    let disk = world.disk.clone();
    let runtime = tokio::runtime::Handle::current();
    let threads = disk.work() == Work::Threads;
    let open = move || {
        let _entered = runtime.enter();
        let (machine, view) = Machine::open(disk.as_ref(), settings.history, settings.knows)?;
        let log = LogStore::open(disk, settings.sizes.segment_bytes)?;
        Ok((log, machine, view))
    };
    if threads {
        blocking(open).await.map_err(RaftFault::of_thread)
    } else {
        open()
    }
}
