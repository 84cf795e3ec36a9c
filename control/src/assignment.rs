//! What one worker must make true: a pure function of the state, level-triggered.

mod metering;
pub mod moves;
mod snapshots;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::ops::Bound;

use imbl::OrdSet;
use ipnetwork::Ipv4Network;
use serde::{Deserialize, Serialize};

use crate::amount::{DiskMib, VnodeSize};
use crate::drill;
use crate::id::{
    Digest, Epoch, LogIndex, MasterId, NetworkId, UserId, VclusterId, VnodeId, WorkerId,
};
use crate::image::copies;
use crate::model::vnode::MacAddress;
use crate::model::{
    Bandwidth, ClusterId, DrillOrder, HomeUsual, ImageRun, ImageSpec, Network, PortNumber,
    PublicPort, SaveSeen, Vnode, VnodeWanted,
};
use crate::state::State;
pub use metering::{AssignedTally, Metering};
use moves::{AssignedArrival, AssignedDeparture};
pub use snapshots::{AssignedCopy, AssignedRestore, AssignedSnapshot};
use snapshots::{assigned_copy, assigned_restore, assigned_snapshots};

/// Everything that one worker has to make true, and all it needs to know for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The cluster it comes from.
    pub cluster: ClusterId,
    /// State that it was computed from. An agent never goes back.
    pub index: LogIndex,
    /// Whom it is for.
    pub worker: WorkerId,
    /// Cluster listeners of all masters, to dial next time.
    pub masters: Vec<String>,
    /// Ids of all masters: who is missing here and older than `index` was removed.
    #[serde(default)]
    pub master_ids: Vec<MasterId>,
    /// Vnodes that must be there, running or stopped, or must go. One that is not listed must not exist.
    pub vnodes: Vec<AssignedVnode>,
    /// Segments of those vnodes.
    pub networks: Vec<AssignedNetwork>,
    /// Images of those vnodes, and others that it must hold.
    pub images: Vec<AssignedImage>,
    /// What those vnodes must not reach; empty where there are none.
    #[serde(default)]
    pub fabric: Fabric,
    /// How some of those images are run, beyond what each says. What is new is at the end: older agents read up to here.
    #[serde(default)]
    pub image_runs: Vec<ImageRun>,
    /// Whether images that are not listed must go, once they are old enough to be no news.
    #[serde(default)]
    pub drops_images: bool,
    /// Vnodes of which images are to be made.
    #[serde(default)]
    pub saves: Vec<AssignedSave>,
    /// Snapshots of those vnodes that must be there; all others of them go. None from masters that know of no snapshots.
    #[serde(default)]
    pub snapshots: Option<Vec<AssignedSnapshot>>,
    /// Vnodes that are to get back what a snapshot has.
    #[serde(default)]
    pub restores: Vec<AssignedRestore>,
    /// Vnodes of which the masters wait to hear that all limits are in force.
    #[serde(default)]
    pub resizes: Vec<AssignedResize>,
    /// Vnodes that come from other workers, and are not placed here yet.
    #[serde(default)]
    pub arrivals: Vec<AssignedArrival>,
    /// Vnodes that go to other workers.
    #[serde(default)]
    pub departures: Vec<AssignedDeparture>,
    /// Its lease, and the vnodes that need it.
    #[serde(default)]
    pub fencing: crate::lost::Fencing,
    /// What it is to do to itself for a drill.
    #[serde(default)]
    pub drill: Option<DrillOrder>,
    /// What it is to tell of what vnodes use.
    #[serde(default)]
    pub metering: Metering,
    /// Whether it is to tell which vnodes do nothing.
    #[serde(default)]
    pub tells_idle: bool,
}

/// New limits of a vnode: those that the assignment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignedResize {
    pub vnode: VnodeId,
    /// The entry that asked for it.
    pub number: LogIndex,
}

/// An image of a vnode that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignedSave {
    pub vnode: VnodeId,
    /// The entry that asked for it.
    pub number: LogIndex,
    /// The snapshot of which it is to be made; of what is in the vnode now if none.
    #[serde(default)]
    pub snapshot: Option<LogIndex>,
    /// How many bytes the image may have when it is packed; as many as it likes if none.
    #[serde(default)]
    pub blob_bytes_max: Option<u64>,
}

/// What the cluster itself runs on. Vnodes reach the outside through their gateways, and nothing of this but what is
/// made for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fabric {
    /// Addresses of all masters and workers, as ranges with their ends, ascending.
    pub machines: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// All users' segments.
    pub cluster_net: Option<Ipv4Network>,
    /// Where masters serve people: open to vnodes too.
    pub portals: Vec<SocketAddrV4>,
}

/// One vnode of an assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedVnode {
    pub id: VnodeId,
    pub epoch: Epoch,
    pub wanted: VnodeWanted,
    pub owner: UserId,
    /// First host user id of the owner's range of 65,536.
    pub uid_base: u32,
    pub vcluster: VclusterId,
    pub vcluster_name: String,
    /// `host-0`, `host-1`, …
    pub hostname: String,
    pub image: Digest,
    pub size: VnodeSize,
    /// What its disk holds.
    #[serde(default = "usual_disk")]
    pub disk_mib: DiskMib,
    pub network: NetworkId,
    pub address: Ipv4Addr,
    /// Prefix length of the segment's subnet.
    pub prefix: u8,
    pub mac: MacAddress,
    /// Names and addresses of all vnodes of its vcluster, itself included, by ordinal.
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// How much it may send and receive.
    #[serde(default)]
    pub bandwidth: Bandwidth,
    /// Unique names of the GPUs that are its own.
    #[serde(default)]
    pub gpus: Vec<String>,
    /// The snapshot of which its disk is made, if it has none yet.
    #[serde(default)]
    pub copy_of: Option<AssignedCopy>,
    /// What the vcluster's keys are made of. Never part of the state: the door that sends this adds it.
    #[serde(default)]
    pub secret: Option<VclusterSecret>,
    /// What its owner's home may hold; none from masters that give homes no size.
    #[serde(default)]
    pub home_mib: Option<DiskMib>,
    /// The move by which it came: it begins with what was copied by it, and with nothing else.
    #[serde(default)]
    pub arrived_by: Option<LogIndex>,
}

impl AssignedVnode {
    /// The address of its segment's gateway, which is also its name server.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Network::new(self.address, self.prefix).map_or(self.address, Network::gateway_of)
    }
}

/// What all vnodes of a vcluster know and nobody else does. Masters derive it from the authority's key, so that it is
/// in no log, no backup and no view; a worker is told those of its own vnodes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VclusterSecret(pub [u8; 32]);

impl std::fmt::Debug for VclusterSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("VclusterSecret(…)")
    }
}

/// What vnodes of masters that told no disk had.
fn usual_disk() -> DiskMib {
    VnodeSize::DISK
}

/// One segment of an assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedNetwork {
    /// Also the VXLAN network identifier.
    pub id: NetworkId,
    /// Underlay addresses of the other workers that have vnodes in it, ascending.
    pub peers: Vec<IpAddr>,
    /// Its range of addresses; none if the master is too old to tell. Then it has no gateway.
    #[serde(default)]
    pub subnet: Option<Ipv4Network>,
    /// Public ports of this worker's vnodes in it, ascending.
    #[serde(default)]
    pub ports: Vec<AssignedPort>,
}

/// One public port of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignedPort {
    pub public: PublicPort,
    /// The vnode's address.
    pub address: Ipv4Addr,
    /// The vnode's own port.
    pub number: PortNumber,
}

/// One image of an assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedImage {
    pub digest: Digest,
    pub blob_bytes: u64,
    pub spec: ImageSpec,
    /// Some workers to fetch it from, and their data ports: at most [`AssignedImage::HOLDERS_MAX`].
    pub holders: Vec<(WorkerId, String)>,
}

impl AssignedImage {
    /// Holders that a worker is told of. Enough to find one that answers; few enough that a worker which comes to hold
    /// an image changes the assignments of few others.
    pub const HOLDERS_MAX: usize = 8;
}

/// Computes what `worker` must make true; `index` is the state's own.
#[must_use]
pub fn assignment(state: &State, worker: WorkerId, index: LogIndex) -> Assignment {
    let vnodes: Vec<&Vnode> = state.vnodes_on(worker).collect();
    let coming: Vec<&Vnode> = moves::coming(state, worker).collect();
    let known = || vnodes.iter().chain(&coming);
    let networks: BTreeSet<NetworkId> = known()
        .filter_map(|vnode| state.network_of(vnode.owner).map(|network| network.id))
        .collect();
    let mut images: BTreeSet<Digest> = known().map(|vnode| vnode.image).collect();
    let drops_images = state.version() >= copies::SINCE;
    if drops_images {
        images.extend(kept_by(state, worker));
    }
    Assignment {
        cluster: state
            .settings
            .as_ref()
            .map(|s| s.cluster)
            .unwrap_or_default(),
        index,
        worker,
        fabric: fabric_of(state, known().next().is_some()),
        masters: state
            .masters
            .values()
            .map(|m| m.cluster_addr.clone())
            .collect(),
        master_ids: state.masters.keys().copied().collect(),
        vnodes: vnodes
            .iter()
            .filter_map(|v| assigned_vnode(state, v))
            .collect(),
        networks: networks
            .iter()
            .filter_map(|id| state.networks.get(id))
            .map(|network| assigned_network(state, network, worker))
            .collect(),
        images: images
            .iter()
            .filter_map(|digest| assigned_image(state, *digest, worker))
            .collect(),
        image_runs: images
            .iter()
            .filter_map(|digest| state.image_runs.get(digest).cloned())
            .collect(),
        drops_images,
        saves: vnodes
            .iter()
            .filter_map(|vnode| assigned_save(state, vnode))
            .collect(),
        snapshots: drops_images.then(|| {
            let snapshots = vnodes.iter().flat_map(|v| assigned_snapshots(state, v));
            snapshots.collect()
        }),
        restores: vnodes
            .iter()
            .filter_map(|vnode| assigned_restore(state, vnode))
            .collect(),
        resizes: vnodes
            .iter()
            .filter_map(|vnode| assigned_resize(state, vnode))
            .collect(),
        arrivals: moves::arrivals(state, worker),
        departures: moves::departures(state, worker),
        fencing: crate::lost::fencing(state, &vnodes),
        drill: drill::loss::order(state, worker),
        metering: metering::metering(state, worker),
        tells_idle: state.version() >= crate::idle::SINCE,
    }
}

fn assigned_resize(state: &State, vnode: &Vnode) -> Option<AssignedResize> {
    let resize = state.vnode_resizes.get(&vnode.id)?;
    let placed = vnode.placement?;
    (placed.epoch == resize.epoch).then_some(AssignedResize {
        vnode: vnode.id,
        number: resize.number,
    })
}

fn assigned_save(state: &State, vnode: &Vnode) -> Option<AssignedSave> {
    let save = state.image_saves.get(&vnode.id)?;
    let still = vnode
        .placement
        .is_some_and(|placed| placed.epoch == save.epoch);
    let fails = matches!(save.seen, SaveSeen::Failed { .. });
    let source = state.snapshot_saves.get(&vnode.id);
    let source = source.filter(|source| source.save == save.number);
    let bound = state.image_save_bounds.get(&vnode.id);
    let bound = bound.filter(|bound| bound.save == save.number);
    (still && !fails).then_some(AssignedSave {
        vnode: vnode.id,
        number: save.number,
        snapshot: source.map(|source| source.snapshot),
        blob_bytes_max: bound.map(|bound| bound.blob_bytes_max),
    })
}

/// Images that a worker must hold, used or not.
fn kept_by(state: &State, worker: WorkerId) -> impl Iterator<Item = Digest> + '_ {
    let digests = state.images.keys().copied();
    digests.filter(move |digest| copies::keeps(state, *digest, worker))
}

fn assigned_vnode(state: &State, vnode: &Vnode) -> Option<AssignedVnode> {
    let vcluster = state.vclusters.get(&vnode.vcluster)?;
    Some(AssignedVnode {
        id: vnode.id,
        epoch: vnode.placement?.epoch,
        wanted: moves::wanted(state, vnode),
        owner: vnode.owner,
        uid_base: state.users.get(&vnode.owner)?.uid_base(),
        vcluster: vnode.vcluster,
        vcluster_name: vcluster.name.to_string(),
        hostname: vnode.hostname(),
        image: vnode.image,
        size: vnode.size,
        disk_mib: state.wishes_of(vnode.id).disk_mib,
        network: vcluster.network,
        address: vnode.address,
        prefix: state.networks.get(&vcluster.network)?.subnet.prefix(),
        mac: vnode.mac(),
        hosts: hosts_of(state, vnode.vcluster),
        bandwidth: state.bandwidth_of(vnode.vcluster),
        gpus: state.gpus_of(vnode.id).to_vec(),
        copy_of: assigned_copy(state, vnode),
        secret: None,
        home_mib: (state.version() >= HomeUsual::SINCE).then(|| state.home_of(vnode.owner)),
        arrived_by: moves::arrived_by(state, vnode),
    })
}

/// Where there are no vnodes it is not needed: a worker that joins changes few others' assignments.
fn fabric_of(state: &State, any_vnodes: bool) -> Fabric {
    if !any_vnodes {
        return Fabric::default();
    }
    let outside = |address: &Ipv4Addr| !address.is_loopback() && !address.is_unspecified();
    let at = |text: &String| text.parse::<SocketAddrV4>().ok();
    let masters = state.masters.values();
    let masters = masters.filter_map(|master| Some(*at(&master.cluster_addr)?.ip()));
    let workers = state.workers.values().flat_map(|worker| {
        let data = at(&worker.data_addr).map(|address| *address.ip());
        let underlay = match worker.underlay {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        };
        data.into_iter().chain(underlay)
    });
    let machines = masters.chain(workers).filter(outside).collect();
    let portals = state.masters.values();
    let portals = portals.filter_map(|master| at(&master.public_addr));
    let portals: BTreeSet<SocketAddrV4> = portals.filter(|at| outside(at.ip())).collect();
    Fabric {
        machines: ranges(machines),
        cluster_net: state.settings.as_ref().map(|settings| settings.cluster_net),
        portals: portals.into_iter().collect(),
    }
}

/// Neighbouring addresses are told as one range.
fn ranges(addresses: BTreeSet<Ipv4Addr>) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let mut ranges: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::new();
    for address in addresses {
        match ranges.last_mut() {
            Some((_, last)) if u32::from(*last).checked_add(1) == Some(address.into()) => {
                *last = address;
            }
            _ => ranges.push((address, address)),
        }
    }
    ranges
}

/// Names and addresses of a vcluster's vnodes that are there to stay.
fn hosts_of(state: &State, vcluster: VclusterId) -> Vec<(String, Ipv4Addr)> {
    state
        .live_vnodes_of(vcluster)
        .into_iter()
        .map(|vnode| (vnode.hostname(), vnode.address))
        .collect()
}

fn assigned_network(state: &State, network: &Network, worker: WorkerId) -> AssignedNetwork {
    let workers: BTreeSet<WorkerId> = network
        .addresses
        .values()
        .filter_map(|vnode| state.vnodes.get(vnode))
        .flat_map(|vnode| state.workers_of(vnode))
        .filter(|other| *other != worker)
        .collect();
    let peers: BTreeSet<IpAddr> = workers
        .iter()
        .filter_map(|other| state.workers.get(other))
        .map(|other| other.underlay)
        .collect();
    AssignedNetwork {
        id: network.id,
        peers: peers.into_iter().collect(),
        subnet: Some(network.subnet),
        ports: ports_of(state, network, worker),
    }
}

fn ports_of(state: &State, network: &Network, worker: WorkerId) -> Vec<AssignedPort> {
    let here = state
        .vnodes_on(worker)
        .filter(|vnode| vnode.owner == network.owner);
    let ports = here.flat_map(|vnode| {
        state.ports_of(vnode.id).map(|port| AssignedPort {
            public: port.public,
            address: vnode.address,
            number: port.number,
        })
    });
    let mut ports: Vec<AssignedPort> = ports.collect();
    ports.sort_unstable();
    ports
}

fn assigned_image(state: &State, digest: Digest, worker: WorkerId) -> Option<AssignedImage> {
    let image = state.images.get(&digest)?;
    let holders = holders_after(&image.holders, worker)
        .filter_map(|holder| state.workers.get(&holder))
        .map(|holder| (holder.id, holder.data_addr.clone()))
        .collect();
    Some(AssignedImage {
        digest,
        blob_bytes: image.blob_bytes,
        spec: image.spec.clone(),
        holders,
    })
}

/// The holders that `worker` is told of: those that follow it in the order of identities, and from the first again
/// after the last. So each worker asks others first, and the load is spread.
fn holders_after(
    holders: &OrdSet<WorkerId>,
    worker: WorkerId,
) -> impl Iterator<Item = WorkerId> + '_ {
    let above = holders.range((Bound::Excluded(worker), Bound::Unbounded));
    let below = holders.range(..worker);
    above.chain(below).copied().take(AssignedImage::HOLDERS_MAX)
}

/// The first of the workers that may be told of `holder`, going back in the order of holders; none if all may.
pub(crate) fn holders_before(holders: &OrdSet<WorkerId>, holder: WorkerId) -> Option<WorkerId> {
    let below = holders.range(..holder).rev();
    let above = holders
        .range((Bound::Excluded(holder), Bound::Unbounded))
        .rev();
    // A worker that holds the image itself is not told of itself, and may be one further away.
    below.chain(above).copied().nth(AssignedImage::HOLDERS_MAX)
}
