//! The loop: receive, observe, plan, act, report.

mod able;
mod idle;
mod images;
mod keeping;
mod leases;
mod moves;
mod perform;
mod resizes;
mod saves;
mod sight;
mod snapshots;
mod sweep;
mod tallies;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use docklet_control::amount::VnodeSize;
use docklet_control::assignment::{AssignedVnode, Assignment};
use docklet_control::id::{Digest, Epoch, VnodeId};
use docklet_control::model::VnodeSeen;
use docklet_control::report::{Reported, SnapshotReport, VnodeReport};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::certificate::Renewal;
use crate::config::AgentConfig;
use crate::drill::Drills;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::host::{Act, Host, Observation};
use crate::lease::Lease;
use crate::masters::{self, MasterLink, Tell, Told};
use crate::members::Members;
use crate::meter::Meter;
use crate::plan::snapshots::restoring;
use crate::plan::{Plan, plan, report};
use crate::tally::Tallies;
use crate::transfer::Departures;
use crate::{boot, door, inventory, open_files};
use images::fetching;
use keeping::{Keeping, Kept};
use perform::{perform, perform_all};
use sight::Sight;

/// Vnodes that are acted upon at once.
const PARALLEL: usize = 8;
/// Images that come or go at once, beside those that a vnode waits for.
const PARALLEL_IMAGES: usize = 2;
/// Without any news, the machine is looked at this often: a container may end by itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What nothing uses any more is removed after this: often the next vcluster comes at once, and needs it again.
const SWEEP_AFTER: Duration = Duration::from_secs(1);
/// A failed vnode is tried again after 1, 2, 4, … seconds, at most this many.
const BACKOFF_MAX_S: u64 = 30;

/// Runs an agent on this machine until it is aborted.
///
/// # Errors
/// It cannot begin: state directory, data port or stored assignment are unusable.
pub async fn run(config: AgentConfig) -> Result<(), AgentFault> {
    open_files::raise()?;
    let host = Arc::new(LinuxHost::open(config.clone())?);
    let gpus = host.gpus().clone();
    gpus.first().await;
    let (facts, facts_watch) =
        watch::channel(inventory::facts(config.capacity.clone(), &gpus.now()));
    let tallies = Tallies::open(host.state(), boot::id()?)?;
    let meter = Meter::open(&config, gpus.clone()).counting(tallies.clone());
    let path = host.state().assignment();
    let known = masters::load(&path)?;
    let (images, images_watch) = watch::channel(host.images().list()?);
    let (told, receive_told) = mpsc::channel(16);
    let (tell, receive_tell) = mpsc::channel(64);
    let members = Members::default();
    known.iter().for_each(|known| members.learn(known));
    let lease = host.lease().clone();
    let link = MasterLink {
        members: members.clone(),
        lease: lease.clone(),
        facts: facts_watch,
        images: images_watch,
        told,
        tell: receive_tell,
        known: known.clone(),
        drills: Drills::default(),
        renewal: Renewal::new(config.credentials.clone()),
        config: config.clone(),
    };
    let departures = Departures::default();
    let door = door::serve(
        config,
        host.clone(),
        images.clone(),
        tell.clone(),
        members,
        meter.clone(),
        departures.clone(),
    )
    .await?;
    let mut agent = Agent::new(host, lease, known, tell, images);
    agent.departures = departures;
    agent.tallies = Some(tallies);
    agent.assign_tallies();
    agent.idle.activity = Some(meter.activity().clone());
    agent.able.find_out();
    let keep = move |assignment: Assignment| {
        let path = path.clone();
        Kept::begin(move || masters::store(&path, &assignment))
    };
    tokio::select! {
        () = link.run() => {}
        () = door => {}
        () = meter.run() => {}
        () = gpus.keep_told(&facts) => {}
        () = agent.reconcile(receive_told, keep) => {}
    }
    Ok(())
}

/// What the loop remembers between two looks.
struct Agent<H> {
    host: Arc<H>,
    lease: leases::Leases,
    wanted: Option<Assignment>,
    /// If it is not known yet whether that is on the disk.
    keeping: Option<Keeping>,
    /// Assignment whose networks are in place.
    done: Option<Assignment>,
    tell: mpsc::Sender<Tell>,
    images: watch::Sender<Vec<Digest>>,
    sight: Sight,
    busy: BTreeSet<VnodeId>,
    failed: BTreeMap<VnodeId, Failure>,
    /// Images that are coming or going, and those of which that failed: how often, and when it is tried again.
    busy_images: BTreeSet<Digest>,
    failed_images: BTreeMap<Digest, (u32, Instant)>,
    image_turns: Arc<Semaphore>,
    saves: saves::Saves,
    snapshots: snapshots::Snapshots,
    resizes: resizes::Resizes,
    moves: moves::Moves,
    able: able::Able,
    /// What vnodes use, for the masters to charge.
    tallies: Option<Tallies>,
    idle: idle::Idle,
    /// Vnodes that leave, for the data port to give.
    departures: Departures,
    reported: BTreeMap<VnodeId, (Epoch, Reported)>,
    turns: Arc<Semaphore>,
    /// Since when no vnode was in motion.
    idle_since: Option<Instant>,
}

/// A vnode whose acts failed.
struct Failure {
    attempts: u32,
    retry_at: Instant,
    /// The assignment of the vnode that failed: another one is tried at once.
    vnode: Option<AssignedVnode>,
    seen: VnodeSeen,
}

/// Acts have ended.
enum Done {
    Vnode {
        id: VnodeId,
        outcome: Result<(), VnodeSeen>,
    },
    Image {
        digest: Digest,
        well: bool,
    },
    Save(VnodeId),
    Snapshots(VnodeId, Vec<SnapshotReport>),
    /// Why not, if not.
    Resize(VnodeId, VnodeSize, Option<String>),
    /// Why not, if not.
    Move(VnodeId, Option<String>),
}

impl<H: Host> Agent<H> {
    fn new(
        host: Arc<H>,
        lease: Arc<Lease>,
        wanted: Option<Assignment>,
        tell: mpsc::Sender<Tell>,
        images: watch::Sender<Vec<Digest>>,
    ) -> Self {
        Self {
            host,
            lease: leases::Leases::new(lease, wanted.as_ref()),
            wanted,
            keeping: None,
            done: None,
            tell,
            images,
            sight: Sight::default(),
            busy: BTreeSet::new(),
            failed: BTreeMap::new(),
            busy_images: BTreeSet::new(),
            failed_images: BTreeMap::new(),
            image_turns: Arc::new(Semaphore::new(PARALLEL_IMAGES)),
            saves: saves::Saves::default(),
            snapshots: snapshots::Snapshots::default(),
            resizes: resizes::Resizes::default(),
            moves: moves::Moves::default(),
            able: able::Able::default(),
            tallies: None,
            idle: idle::Idle::default(),
            departures: Departures::default(),
            reported: BTreeMap::new(),
            turns: Arc::new(Semaphore::new(PARALLEL)),
            idle_since: None,
        }
    }

    /// Goes on until the link to the masters is gone. `keep` stores each new assignment.
    async fn reconcile(
        &mut self,
        mut told: mpsc::Receiver<Told>,
        keep: impl Fn(Assignment) -> Kept,
    ) {
        let (done, mut finished) = mpsc::channel(PARALLEL * 2);
        loop {
            self.look(&done).await;
            tokio::select! {
                news = told.recv() => match news {
                    None => return,
                    Some(Told::Connected) => {
                        self.reported.clear();
                        self.saves.tell_anew();
                        self.snapshots.tell_anew();
                        self.resizes.tell_anew();
                        self.moves.tell_anew();
                        self.able.tell_anew();
                        self.lease.tell_anew();
                        self.tallies.iter().for_each(Tallies::tell_anew);
                        self.idle.tell_anew();
                    }
                    Some(Told::Assignment(assignment)) => {
                        self.host.expect();
                        self.take(*assignment, &keep).await;
                    }
                    Some(Told::Lease { sent_ms }) => self.lease.granted(sent_ms).await,
                },
                Some(done) = finished.recv() => {
                    self.settle(done);
                    // Whatever else has ended is looked at together with it.
                    while let Ok(done) = finished.try_recv() {
                        self.settle(done);
                    }
                }
                () = tokio::time::sleep(self.pause()) => {}
            }
        }
    }

    /// Until when nothing needs to be looked at.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let retries = self
            .failed
            .values()
            .map(|f| f.retry_at.saturating_duration_since(now));
        let copies = self.moves.retries();
        let retries = retries.chain(copies.map(|at| at.saturating_duration_since(now)));
        let pause = retries.chain(self.next_progress()).min();
        let pause = pause.unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
        let pause = self.lease.left().map_or(pause, |left| pause.min(left));
        pause.max(Duration::from_millis(20))
    }

    /// One round: observe, plan, begin what is to be done, report what is true.
    async fn look(&mut self, done: &mpsc::Sender<Done>) {
        let Some(wanted) = self.wanted.clone() else {
            return;
        };
        let wanted = self.lease.allowed(wanted);
        let Some((at, seen)) = self.sight.look(&self.host).await else {
            return;
        };
        let plan = plan(&wanted, &seen, self.done.as_ref());
        if self.networks(&plan).await {
            self.done = Some(wanted.clone());
        }
        self.tell_able().await;
        self.tell_departures(&wanted, &seen);
        self.cancel_copies(&wanted).await;
        self.begin(&wanted, &plan, done);
        if !self.settle_keeping().await {
            return;
        }
        self.begin_moves(&plan, done);
        self.begin_images(&plan, done);
        self.cancel_saves(&wanted).await;
        self.begin_saves(&plan, done);
        self.begin_snapshots(&plan, done);
        self.begin_resizes(&plan, done);
        self.report(&wanted, &seen, &plan).await;
        self.tell_readings().await;
        self.tell_idle().await;
        self.sweep_when_idle(&plan).await;
        if plan.sweep.is_empty() && !plan.networks.iter().any(changes_sight) {
            self.sight.keep((at, seen));
        }
    }

    /// Answers whether all segments are as wanted.
    async fn networks(&self, plan: &Plan) -> bool {
        let mut all = true;
        for act in &plan.networks {
            if let Err((step, fault)) = perform(self.host.clone(), act.clone()).await {
                tracing::error!(step, fault, "act failed");
                all = false;
            }
        }
        all
    }

    /// Begins the acts of every vnode that is neither busy nor waiting after a failure.
    fn begin(&mut self, wanted: &Assignment, plan: &Plan, done: &mpsc::Sender<Done>) {
        for (id, acts) in &plan.vnodes {
            let vnode = wanted.vnodes.iter().find(|vnode| vnode.id == *id);
            let read = self.saves.is_busy(*id) || self.snapshots.is_busy(*id);
            let used = read || self.resizes.is_busy(*id);
            let stays = self.moves.is_not_live(*id, acts);
            if used || stays || self.busy.contains(id) || self.waits(*id, vnode) {
                continue;
            }
            self.busy.insert(*id);
            if let Some(failure) = self.failed.get_mut(id) {
                failure.vnode = vnode.cloned();
            }
            let (host, turns) = (self.host.clone(), self.turns.clone());
            let (id, acts, done) = (*id, acts.clone(), done.clone());
            let kept = self.keeping.as_ref().map(|keeping| keeping.kept.clone());
            tokio::spawn(async move {
                let outcome = perform_all(host, turns, acts, kept).await;
                // The loop is gone only when the process ends.
                drop(done.send(Done::Vnode { id, outcome }).await);
            });
        }
    }

    fn waits(&self, id: VnodeId, vnode: Option<&AssignedVnode>) -> bool {
        self.failed.get(&id).is_some_and(|failure| {
            let same = failure.vnode.as_ref() == vnode;
            // One that came from another worker goes back there.
            let came = vnode.is_some_and(|vnode| vnode.arrived_by.is_some());
            same && (came || Instant::now() < failure.retry_at)
        })
    }

    fn settle(&mut self, done: Done) {
        let (id, outcome) = match done {
            Done::Vnode { id, outcome } => (id, outcome),
            Done::Image { digest, well } => return self.settle_image(digest, well),
            Done::Save(id) => {
                self.sight.changed(id);
                return self.saves.settle(id);
            }
            Done::Snapshots(id, failed) => {
                self.sight.changed(id);
                return self.snapshots.settle(id, failed);
            }
            Done::Move(id, cause) => {
                self.sight.changed(id);
                return self.moves.settle(id, cause);
            }
            Done::Resize(id, size, cause) => {
                self.sight.changed(id);
                return self.resizes.settle(id, size, cause);
            }
        };
        self.sight.changed(id);
        self.busy.remove(&id);
        match outcome {
            Ok(()) => {
                self.failed.remove(&id);
            }
            Err(VnodeSeen::Failed { step, cause }) if step == Act::CHECKPOINT => {
                let wanted = self.wanted.as_ref();
                self.moves.not_live(wanted, id, &cause);
            }
            Err(seen) => {
                let attempts = self.failed.get(&id).map_or(0, |f| f.attempts) + 1;
                let wanted = self.wanted.as_ref();
                let vnode = wanted.and_then(|w| w.vnodes.iter().find(|v| v.id == id));
                let failure = Failure {
                    attempts,
                    retry_at: Instant::now() + backoff(attempts),
                    vnode: vnode.cloned(),
                    seen,
                };
                self.failed.insert(id, failure);
            }
        }
    }

    /// Tells the masters what changed since they were told last.
    async fn report(&mut self, wanted: &Assignment, seen: &Observation, plan: &Plan) {
        let mut reports = Vec::new();
        for vnode in &wanted.vnodes {
            let Some(reported) = self.condition(vnode, seen, plan) else {
                continue;
            };
            let now = (vnode.epoch, reported);
            if self.reported.get(&vnode.id) != Some(&now) {
                reports.push(VnodeReport {
                    vnode: vnode.id,
                    epoch: vnode.epoch,
                    seen: now.1.clone(),
                });
                self.reported.insert(vnode.id, now);
            }
        }
        self.reported
            .retain(|id, _| wanted.vnodes.iter().any(|vnode| vnode.id == *id));
        let held: Vec<Digest> = seen.images.iter().copied().collect();
        self.report_images(&held).await;
        self.report_saves(wanted, seen).await;
        if !reports.is_empty() {
            drop(self.tell.send(Tell::Reports(reports)).await);
        }
        let news = self.snapshots.news(wanted, seen);
        if !news.is_empty() {
            drop(self.tell.send(Tell::Snapshots(news)).await);
        }
        let news = self.moves.news(wanted, seen);
        if !news.is_empty() {
            drop(self.tell.send(Tell::Moves(news)).await);
        }
        if let Some(fences) = self.lease.news() {
            drop(self.tell.send(Tell::Fences(fences)).await);
        }
        let news = self.resizes.news(wanted, seen);
        if !news.is_empty() {
            drop(self.tell.send(Tell::Resizes(news)).await);
        }
    }

    fn condition(
        &self,
        vnode: &AssignedVnode,
        seen: &Observation,
        plan: &Plan,
    ) -> Option<Reported> {
        if let Some(failure) = self.failed.get(&vnode.id) {
            return Some(Reported::Present(failure.seen.clone()));
        }
        if let Some(wanted) = &self.wanted
            && restoring(wanted, vnode, seen).is_some()
        {
            let step = "restoring a snapshot".to_owned();
            return Some(Reported::Present(VnodeSeen::Preparing { step }));
        }
        match plan.vnodes.get(&vnode.id).and_then(|acts| acts.first()) {
            Some(Act::FetchImage(image)) => Some(Reported::Present(VnodeSeen::Preparing {
                step: fetching(image.digest, seen),
            })),
            Some(
                Act::WriteHosts(..)
                | Act::LimitBandwidth(..)
                | Act::SizeHome(..)
                | Act::WriteKeys(..),
            )
            | None => report(vnode, seen),
            Some(_) => None,
        }
    }
}

/// Whether a network is seen otherwise after this act on it: names are not looked at.
fn changes_sight(act: &Act) -> bool {
    !matches!(act, Act::TellNames(..))
}

/// How long to wait after so many failed attempts.
fn backoff(attempts: u32) -> Duration {
    let wait_s = 1_u64
        .checked_shl(attempts.saturating_sub(1))
        .unwrap_or(u64::MAX)
        .min(BACKOFF_MAX_S);
    Duration::from_secs(wait_s)
}
