//! What a worker's machine is to the agent: something to observe and to act upon. One is real Linux, one lives in
//! memory, for simulations and for tests of the loop; neither decides anything.

pub mod linux;
pub mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use docklet_control::amount::{DiskMib, VnodeSize};
use docklet_control::assignment::moves::AssignedArrival;
use docklet_control::assignment::{
    AssignedImage, AssignedNetwork, AssignedRestore, AssignedSave, AssignedVnode, Fabric,
    VclusterSecret,
};
use docklet_control::id::{Digest, Epoch, LogIndex, NetworkId, UserId, VnodeId};
use docklet_control::model::{Bandwidth, Copied, ImageRun, ImageSpec};

use crate::fault::AgentFault;
use crate::network::dns::answer::Zone;
use crate::save::Note;
use crate::snapshot::notes::SeenSnapshots;

/// What there is of one vnode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenVnode {
    /// The placement it was prepared for; none if preparing never ended.
    pub epoch: Option<Epoch>,
    /// Whether its init runs.
    pub running: bool,
    /// Whether processes of it are left of which liblxc knows nothing: its monitor died, or a stop was cut short.
    pub orphaned: bool,
    /// Whether its disk is mounted, here or in a mount namespace that has a copy of the mount: then what is written to it may
    /// still change it.
    pub mounted: bool,
    /// Names and addresses in its hosts file.
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// What it may use of CPU and memory, and how many processes.
    pub size: VnodeSize,
    /// Limits of its network device.
    pub bandwidth: Bandwidth,
    /// What its disk was made for, or has grown to since.
    pub disk_mib: DiskMib,
    /// What its owner's home may hold, as far as it was told.
    pub home_mib: Option<DiskMib>,
    /// What its vcluster's keys were made of.
    pub secret: Option<VclusterSecret>,
}

/// What there is of a vnode that comes from another worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenArrival {
    /// So little is missing that the vnode may be let stand still for it.
    pub near: bool,
    /// Nothing is missing.
    pub whole: bool,
    pub copied: Copied,
}

/// What is true on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    pub vnodes: BTreeMap<VnodeId, SeenVnode>,
    /// People whose homes are mounted.
    pub homes: BTreeSet<UserId>,
    /// Segments of which there is anything.
    pub networks: BTreeSet<NetworkId>,
    /// Segments of which something is missing.
    pub torn: BTreeSet<NetworkId>,
    pub images: BTreeSet<Digest>,
    /// Those of them that came a short while ago.
    pub new_images: BTreeSet<Digest>,
    /// What came of saves of vnodes.
    pub saves: BTreeMap<VnodeId, Note>,
    /// What there is of vnodes' snapshots.
    pub snapshots: BTreeMap<VnodeId, SeenSnapshots>,
    /// Images of which there is a part.
    pub begun_images: BTreeSet<Digest>,
    /// Those of them that are coming now: bytes that came, and in all.
    pub coming_images: BTreeMap<Digest, (u64, u64)>,
    /// What there is of vnodes that come from other workers, by the move.
    pub arrivals: BTreeMap<(VnodeId, LogIndex), SeenArrival>,
    /// Whether disks can grow while their vnodes run.
    pub grows_disks: bool,
}

/// One thing to do. Each may be repeated, and repairs what a crash in an earlier attempt left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Makes a segment and its gateway; from there nothing of the fabric is reached.
    EnsureNetwork(AssignedNetwork, Fabric),
    /// Tells a segment's gateway what names there are.
    TellNames(NetworkId, Vec<Zone>),
    RemoveNetwork(NetworkId),
    FetchImage(AssignedImage),
    /// Makes its files and root file system.
    Prepare(Box<AssignedVnode>),
    Start(Box<AssignedVnode>, ImageSpec, Option<ImageRun>),
    Stop(VnodeId, ImageSpec),
    WriteHosts(VnodeId, Vec<(String, Ipv4Addr)>),
    LimitBandwidth(VnodeId, Bandwidth),
    /// Lets its disk grow while it runs.
    GrowDisk(VnodeId, DiskMib),
    /// Lets the home of a vnode's owner hold so much.
    SizeHome(VnodeId, UserId, DiskMib),
    /// Puts other limits of CPU, memory and processes in force while it runs.
    Resize(VnodeId, VnodeSize),
    /// Replaces its vcluster's keys.
    WriteKeys(VnodeId, VclusterSecret),
    /// Leaves nothing of it.
    Remove(VnodeId),
    /// Makes an image of a vnode, or notes why there is none.
    Save(Box<AssignedVnode>, AssignedSave),
    /// Ends such a save at once, if it has not ended.
    CancelSave(AssignedSave),
    /// Takes a snapshot of a vnode, or notes why there is none.
    TakeSnapshot(Box<AssignedVnode>, LogIndex),
    DeleteSnapshot(VnodeId, LogIndex),
    /// Gives a vnode that does not run the disk of a snapshot, or notes why not.
    Restore(Box<AssignedVnode>, AssignedRestore),
    /// Writes what runs in a vnode to files, and ends it.
    Checkpoint(Box<AssignedVnode>),
    /// Lets go of the files of a vnode that does not run: nothing changes them any more.
    Release(VnodeId),
    /// Copies a vnode from another worker until little is missing.
    Copy(Box<AssignedArrival>),
    /// Copies what is missing as soon as it stands still there.
    CopyRest(Box<AssignedArrival>),
    /// Ends copying at once.
    CancelCopy(VnodeId, LogIndex),
    /// Deletes what was copied.
    ForgetArrival(VnodeId, LogIndex),
    /// Makes what was copied the vnode's files, whose root has this id.
    Adopt(VnodeId, LogIndex, u32),
    /// Deletes an image that no vnode here uses.
    RemoveImage(Digest),
    /// Unmounts homes of whoever is none of these.
    SweepHomes(Vec<UserId>),
    /// Unmounts images that none of these vnodes uses.
    SweepImages(Vec<(Digest, u32)>),
}

impl Act {
    /// The step that a vnode survives if it fails.
    pub const CHECKPOINT: &'static str = "checkpoint";

    /// What people are told while it goes on, or when it failed.
    #[must_use]
    pub fn step(&self) -> &'static str {
        match self {
            Self::EnsureNetwork(..) => "make network",
            Self::TellNames(..) => "tell names",
            Self::RemoveNetwork(_) => "remove network",
            Self::FetchImage(_) => "fetch image",
            Self::Prepare(_) => "prepare files",
            Self::Start(..) => "start container",
            Self::Stop(..) => "stop container",
            Self::WriteHosts(..) => "write hosts",
            Self::LimitBandwidth(..) => "limit bandwidth",
            Self::GrowDisk(..) => "grow disk",
            Self::SizeHome(..) => "size home",
            Self::Resize(..) => "resize",
            Self::WriteKeys(..) => "write keys",
            Self::Remove(_) => "remove",
            Self::Save(..) => "save",
            Self::CancelSave(_) => "cancel a save",
            Self::TakeSnapshot(..) => "take snapshot",
            Self::DeleteSnapshot(..) => "delete snapshot",
            Self::Restore(..) => "restore snapshot",
            Self::Checkpoint(_) => Self::CHECKPOINT,
            Self::Release(_) => "let go of files",
            Self::Copy(_) => "copy from another worker",
            Self::CopyRest(_) => "copy the rest from another worker",
            Self::CancelCopy(..) => "cancel copying",
            Self::ForgetArrival(..) => "delete what was copied",
            Self::Adopt(..) => "take over what was copied",
            Self::RemoveImage(_) => "remove image",
            Self::SweepHomes(_) => "unmount homes",
            Self::SweepImages(_) => "unmount images",
        }
    }
}

/// Enters what was seen of one vnode, or that there is nothing.
fn put<T>(all: &mut BTreeMap<VnodeId, T>, id: VnodeId, seen: Option<T>) {
    match seen {
        Some(seen) => all.insert(id, seen),
        None => all.remove(&id),
    };
}

/// A machine. Calls block; the loop makes them on threads of their own, at most one at a time for a vnode.
pub trait Host: Send + Sync + 'static {
    /// What is true now.
    ///
    /// # Errors
    /// The machine cannot be looked at.
    fn observe(&self) -> Result<Observation, AgentFault>;

    /// Brings an observation up to date where acts on these vnodes may have changed it: in the vnodes themselves and in
    /// images. What it costs does not grow with the other vnodes.
    ///
    /// # Errors
    /// The machine cannot be looked at.
    fn observe_again(
        &self,
        seen: &mut Observation,
        vnodes: &BTreeSet<VnodeId>,
    ) -> Result<(), AgentFault>;

    /// Makes one thing true.
    ///
    /// # Errors
    /// It could not be done; trying again is right.
    fn act(&self, act: &Act) -> Result<(), AgentFault>;

    /// Acts are to come: asks already what takes long to answer.
    fn expect(&self) {}

    /// Makes what the next acts will need, while there is nothing to do. Without it they take longer.
    ///
    /// # Errors
    /// It cannot be made.
    fn make_ahead(&self) -> Result<(), AgentFault> {
        Ok(())
    }
}
