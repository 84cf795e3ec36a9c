//! Vclusters and their vnodes as their owner sees them.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::amount::{DiskMib, VnodeSize};
use crate::id::{Epoch, LogIndex, UnixMs, UserId, VclusterId, VnodeId};
use crate::model::{
    Bandwidth, Gpu, KbitPerS, MoveStage, Rules, User, Vcluster, VclusterWanted, Vnode, VnodeSeen,
    VnodeWanted, Wishes, Worker, WorkerStatus,
};
use crate::name::Name;
use crate::permit;
use crate::state::State;
use crate::view::explain::words;
use crate::view::lost;
use crate::view::moves::{self, MoveView};
use crate::view::part::{Part, Wanted};
use crate::view::port::{self, PortView};

/// Where a vnode is on its way, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Waits for a worker that can take it.
    Pending,
    /// Its worker makes it ready.
    Starting,
    /// Init is up and its network answers.
    Running,
    /// Its processes are being ended.
    Stopping,
    /// Stands still; its files are kept.
    Stopped,
    /// An act failed; its worker tries again.
    Failed,
    /// Goes away.
    Removing,
    /// Its worker is out of touch: it may well be running.
    Unknown,
}

impl Phase {
    /// The word itself.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Removing => "removing",
            Self::Unknown => "unknown",
        }
    }
}

/// One vnode as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VnodeView {
    pub id: VnodeId,
    /// `host-0`, `host-1`, …
    pub name: String,
    pub phase: Phase,
    /// Why it is not as wanted, in a sentence; empty if there is nothing to say.
    pub reason: String,
    pub wanted: VnodeWanted,
    pub address: Ipv4Addr,
    /// Name of its worker; none while it waits for one.
    pub worker: Option<String>,
    pub epoch: Option<Epoch>,
    pub size: VnodeSize,
    /// What its disk holds.
    #[serde(default)]
    pub disk_mib: DiskMib,
    /// GPUs that are its own.
    #[serde(default)]
    pub gpus: Vec<GpuView>,
    /// How much it may send and receive.
    #[serde(default)]
    pub bandwidth: Bandwidth,
    /// There while not all of these limits are in force: why not, as far as its worker has said.
    #[serde(default)]
    pub resizing: Option<String>,
    /// Its last move, if it has ever been moved.
    #[serde(default)]
    pub moving: Option<MoveView>,
    /// That it has another disk than it had, because its worker was lost with it.
    #[serde(default)]
    pub began_anew: Option<String>,
    /// Since when the worker's last report holds.
    pub seen_at: UnixMs,
}

/// One GPU of a vnode as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GpuView {
    /// The driver's unique name of it.
    pub uuid: String,
    /// The product's name; none while the vnode's worker does not have it.
    pub model: Option<String>,
}

/// One vcluster as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VclusterView {
    pub id: VclusterId,
    pub name: String,
    pub owner: String,
    pub image: String,
    pub size: VnodeSize,
    /// What vnodes that are added want beyond it.
    #[serde(default)]
    pub wishes: Wishes,
    /// What its vnodes may send and receive by its owner's wish; the site's setting holds if none.
    #[serde(default)]
    pub bandwidth: Option<KbitPerS>,
    /// Where its owner wants its vnodes.
    #[serde(default)]
    pub rules: Rules,
    pub wanted: VclusterWanted,
    /// The phase of the vnode that is furthest from what is wanted.
    pub phase: Phase,
    /// Vnodes running.
    pub running: u32,
    pub vnodes: Vec<VnodeView>,
    /// Ports of them that are open to the outside.
    #[serde(default)]
    pub ports: Vec<PortView>,
    pub created_at: UnixMs,
    pub created_index: LogIndex,
}

impl VclusterView {
    /// Whether everything is as its owner wants it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let goal = match self.wanted {
            VclusterWanted::Running => Phase::Running,
            VclusterWanted::Stopped => Phase::Stopped,
            VclusterWanted::Deleted => return false,
        };
        self.vnodes.iter().all(|vnode| vnode.phase == goal)
    }

    /// Whether the limits of all vnodes that some worker has are in force.
    #[must_use]
    pub fn is_resized(&self) -> bool {
        self.vnodes.iter().all(|vnode| vnode.resizing.is_none())
    }
}

/// Whether `asker` may see it, and it is not in the trash.
fn is_listed(state: &State, asker: &User, vcluster: &Vcluster) -> bool {
    permit::watches(asker, vcluster.owner) && !state.is_trashed(vcluster.id)
}

/// Part of the vclusters that `asker` may see, own ones first, then by owner and name. Names are looked for, and names of owners.
#[must_use]
pub fn part(state: &State, asker: &User, wanted: &Wanted) -> Part<VclusterView> {
    let owner = |id: UserId| state.users.get(&id).map_or("", |user| user.name.as_str());
    let shown = state.vclusters.values().filter(|vcluster| {
        is_listed(state, asker, vcluster)
            && (wanted.finds(vcluster.name.as_str()) || wanted.finds(owner(vcluster.owner)))
    });
    let key = |owner: UserId, name| (owner != asker.id, owner, name);
    let rows = shown.map(|vcluster| (key(vcluster.owner, Cow::Borrowed(&vcluster.name)), vcluster));
    let read = |text: &str| {
        let (owner, name) = text.split_once('.')?;
        let name = Name::parse("vcluster", name).ok()?;
        Some(key(UserId(owner.parse().ok()?), Cow::Owned(name)))
    };
    let tell = |(_, owner, name): &(bool, UserId, Cow<'_, Name>)| format!("{owner}.{name}");
    wanted.of(rows.collect(), read, tell, |vcluster| show(state, vcluster))
}

/// How many vclusters of others `asker` may see.
#[must_use]
pub fn count_of_others(state: &State, asker: &User) -> usize {
    let others = state.vclusters.values();
    let others = others.filter(|one| one.owner != asker.id && is_listed(state, asker, one));
    others.count()
}

/// The asker's own, by name.
#[must_use]
pub fn own(state: &State, asker: &User) -> Vec<VclusterView> {
    let own = state.vclusters_of(asker.id);
    let mut own: Vec<&Vcluster> = own.filter(|own| !state.is_trashed(own.id)).collect();
    own.sort_by_key(|vcluster| &vcluster.name);
    own.into_iter().map(|own| show(state, own)).collect()
}

/// One vcluster.
#[must_use]
pub fn show(state: &State, vcluster: &Vcluster) -> VclusterView {
    let mut rows: Vec<&Vnode> = state.vnodes_of(vcluster.id).collect();
    rows.sort_by_key(|vnode| (vnode.ordinal, vnode.id));
    let vnodes: Vec<VnodeView> = rows.iter().map(|vnode| show_vnode(state, vnode)).collect();
    let running = vnodes.iter().filter(|v| v.phase == Phase::Running).count();
    VclusterView {
        id: vcluster.id,
        name: vcluster.name.to_string(),
        owner: state
            .users
            .get(&vcluster.owner)
            .map(|user| user.name.to_string())
            .unwrap_or_default(),
        image: vcluster.image_name.to_string(),
        size: vcluster.size,
        wishes: state.wishes_of_vcluster(vcluster.id).clone(),
        bandwidth: state.wished_bandwidth(vcluster.id),
        rules: state.rules_of(vcluster.id).clone(),
        wanted: vcluster.wanted,
        phase: overall(vcluster.wanted, &vnodes),
        running: u32::try_from(running).unwrap_or(u32::MAX),
        vnodes,
        ports: port::of_vcluster(state, vcluster.id),
        created_at: vcluster.created_at,
        created_index: vcluster.created_index,
    }
}

impl VclusterView {
    /// Part of its vnodes, in their order.
    #[must_use]
    pub fn part_of_vnodes(&self, wanted: &Wanted) -> Part<&VnodeView> {
        let ordinal = |name: &str| {
            name.rsplit_once('-')
                .and_then(|(_, number)| number.parse().ok())
        };
        let found = self.vnodes.iter().filter(|vnode| wanted.finds(&vnode.name));
        let rows = found.map(|vnode| ((ordinal(&vnode.name).unwrap_or(0_u64), vnode.id), vnode));
        let read = |text: &str| {
            let (ordinal, id) = text.split_once('.')?;
            Some((ordinal.parse().ok()?, id.parse().ok()?))
        };
        let tell = |(ordinal, id): &(u64, VnodeId)| format!("{ordinal}.{id}");
        wanted.of(rows.collect(), read, tell, |vnode| vnode)
    }
}

/// The phase that an owner should look at first.
fn overall(wanted: VclusterWanted, vnodes: &[VnodeView]) -> Phase {
    if wanted == VclusterWanted::Deleted {
        return Phase::Removing;
    }
    [
        Phase::Failed,
        Phase::Unknown,
        Phase::Pending,
        Phase::Starting,
        Phase::Stopping,
        Phase::Removing,
        Phase::Stopped,
    ]
    .into_iter()
    .find(|phase| vnodes.iter().any(|vnode| vnode.phase == *phase))
    .unwrap_or(Phase::Running)
}

/// One vnode.
#[must_use]
pub fn show_vnode(state: &State, vnode: &Vnode) -> VnodeView {
    let worker = worker_of(state, vnode);
    let moving = state.moves.get(&vnode.id);
    VnodeView {
        id: vnode.id,
        name: vnode.hostname(),
        phase: phase_of(state, vnode),
        reason: reason(state, vnode, worker.filter(|worker| is_lost(worker))),
        wanted: vnode.wanted,
        address: vnode.address,
        worker: worker.map(|worker| worker.name.to_string()),
        epoch: vnode.placement.map(|placement| placement.epoch),
        size: vnode.size,
        disk_mib: state.wishes_of(vnode.id).disk_mib,
        gpus: gpus(state, vnode),
        bandwidth: state.bandwidth_of(vnode.vcluster),
        resizing: resizing(state, vnode),
        moving: moving.map(|moving| moves::show(state, moving)),
        began_anew: lost::began_anew(state, vnode),
        seen_at: vnode.seen_at,
    }
}

fn resizing(state: &State, vnode: &Vnode) -> Option<String> {
    let resize = state.vnode_resizes.get(&vnode.id)?;
    Some(resize.waits.clone())
}

fn gpus(state: &State, vnode: &Vnode) -> Vec<GpuView> {
    let given = state.gpus_of(vnode.id).iter();
    given
        .map(|uuid| GpuView {
            uuid: uuid.clone(),
            model: gpu_here(state, vnode, uuid).map(|gpu| gpu.model.clone()),
        })
        .collect()
}

/// The GPU, if the vnode's worker has it.
fn gpu_here<'s>(state: &'s State, vnode: &Vnode, uuid: &str) -> Option<&'s Gpu> {
    let worker = state.workers.get(&vnode.placement?.worker)?;
    let mut gpus = worker.facts.capacity.gpus.iter();
    gpus.find(|gpu| gpu.uuid == uuid)
}

fn worker_of<'s>(state: &'s State, vnode: &Vnode) -> Option<&'s Worker> {
    state.workers.get(&vnode.placement?.worker)
}

fn is_lost(worker: &Worker) -> bool {
    matches!(worker.status, WorkerStatus::Down | WorkerStatus::Unadmitted)
}

/// The phase alone, for whoever asks for it often.
#[must_use]
pub fn phase_of(state: &State, vnode: &Vnode) -> Phase {
    let moving = state.moves.get(&vnode.id);
    let between = moving.is_some_and(|moving| moving.stage == MoveStage::Switching && moving.ran);
    let seen = phase(vnode);
    if worker_of(state, vnode).is_some_and(is_lost) {
        Phase::Unknown
    } else if between && seen == Phase::Running {
        Phase::Starting
    } else {
        seen
    }
}

fn phase(vnode: &Vnode) -> Phase {
    match (vnode.wanted, &vnode.seen) {
        (VnodeWanted::Removed, _) => Phase::Removing,
        (_, VnodeSeen::Failed { .. }) => Phase::Failed,
        (VnodeWanted::Running, VnodeSeen::Running) => Phase::Running,
        (VnodeWanted::Running, _) if vnode.placement.is_none() => Phase::Pending,
        (
            VnodeWanted::Running,
            VnodeSeen::Pending | VnodeSeen::Preparing { .. } | VnodeSeen::Stopped,
        ) => Phase::Starting,
        (VnodeWanted::Stopped, VnodeSeen::Stopped) => Phase::Stopped,
        (VnodeWanted::Stopped, _) if vnode.placement.is_none() => Phase::Stopped,
        (
            VnodeWanted::Stopped,
            VnodeSeen::Pending | VnodeSeen::Preparing { .. } | VnodeSeen::Running,
        ) => Phase::Stopping,
    }
}

fn reason(state: &State, vnode: &Vnode, lost: Option<&Worker>) -> String {
    if let Some(worker) = lost {
        return lost::of_vnode(state, vnode, worker);
    }
    if let Some(moving) = state.open_move(vnode.id) {
        return moves::show(state, moving).sentence();
    }
    match &vnode.seen {
        VnodeSeen::Failed { step, cause } => format!("{step}: {cause}"),
        VnodeSeen::Preparing { step } => step.clone(),
        VnodeSeen::Pending | VnodeSeen::Running | VnodeSeen::Stopped => {
            if vnode.placement.is_none() && vnode.wanted == VnodeWanted::Running {
                words::no_worker(state, &vnode.obstacles)
            } else {
                copying(state, vnode).unwrap_or_else(|| what_it_lacks(state, vnode))
            }
        }
    }
}

/// What its disk is being made of, if that is a snapshot.
fn copying(state: &State, vnode: &Vnode) -> Option<String> {
    let source = state.copied_for(vnode.id)?;
    Some(format!("its disk is being copied of {source}"))
}

/// GPUs that are gone, and limits that wait.
fn what_it_lacks(state: &State, vnode: &Vnode) -> String {
    let missing = Some(missing_gpus(state, vnode));
    let texts = missing.into_iter().chain(resizing(state, vnode));
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    texts.join("; ")
}

/// GPUs that are the vnode's and that its worker does not have any more; empty if there are none.
fn missing_gpus(state: &State, vnode: &Vnode) -> String {
    let missing = state.gpus_of(vnode.id).iter();
    let missing = missing.filter(|uuid| gpu_here(state, vnode, uuid).is_none());
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    if missing.is_empty() {
        return String::new();
    }
    format!("its worker does not have {} any more", missing.join(", "))
}
