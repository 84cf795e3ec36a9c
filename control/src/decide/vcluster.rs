//! What users do with vclusters. Asking for what is already so is accepted and changes nothing.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::{Decision, Ground, in_range, limit, moves, port, schedule, service, snapshot, wishes};
use crate::amount::VnodeSize;
use crate::bean;
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::id::{Digest, NetworkId, UserId, VclusterId, VnodeId};
use crate::image::{catalog, copies};
use crate::model::receipt::Subject;
use crate::model::{
    Image, KbitPerS, Network, Rules, Settings, User, Vcluster, VclusterWanted, Vnode, VnodeSeen,
    VnodeWanted, Wishes,
};
use crate::name::Name;
use crate::permit;
use crate::quota::{self, Amounts};
use crate::refusal::Refusal;

/// What is asked for of a new vcluster, whatever its vnodes are made of.
pub(super) struct Asked<'e> {
    pub(super) name: &'e str,
    pub(super) vnodes: u32,
    pub(super) size: VnodeSize,
    pub(super) wishes: &'e Wishes,
    /// The site's setting if none.
    pub(super) bandwidth: Option<KbitPerS>,
    pub(super) rules: &'e Rules,
}

/// What vnodes are made of.
pub(super) struct MadeOf {
    pub(super) image_name: Name,
    pub(super) image: Digest,
}

pub(super) fn create(
    ground: Ground<'_>,
    asked: &Asked<'_>,
    image: &str,
) -> Result<Decision, Refusal> {
    let owner = permit::person(ground.state, ground.entry.actor)?;
    let name = check(ground, owner, asked)?;
    let (image_name, image) = find_image(ground, owner, image)?;
    let made_of = MadeOf {
        image_name,
        image: image.digest,
    };
    make(ground, owner, asked, name, made_of)
}

/// For somebody, of an image that they may use, under the same rules.
pub(super) fn create_of(
    ground: Ground<'_>,
    owner: &User,
    asked: &Asked<'_>,
    made_of: MadeOf,
) -> Result<Decision, Refusal> {
    let name = check(ground, owner, asked)?;
    let image = ground.state.images.get(&made_of.image);
    if image.is_none_or(|image| image.holders.is_empty()) {
        return Err(Refusal::ImageNotHeld {
            name: made_of.image_name.to_string(),
        });
    }
    make(ground, owner, asked, name, made_of)
}

fn check(ground: Ground<'_>, owner: &User, asked: &Asked<'_>) -> Result<Name, Refusal> {
    let name = Name::parse("vcluster", asked.name)?;
    check_recipe(asked.vnodes, asked.size, asked.wishes, asked.rules)?;
    let allowed = |rate| limit::check_bandwidth(ground.state, owner.id, rate);
    asked.bandwidth.map_or(Ok(()), allowed)?;
    refuse_taken(ground, owner, &name)?;
    Ok(name)
}

/// Refuses what is no vcluster's, whoever's it is.
pub(super) fn check_recipe(
    vnodes: u32,
    size: VnodeSize,
    wishes: &Wishes,
    rules: &Rules,
) -> Result<(), Refusal> {
    check_count(vnodes)?;
    check_size(size)?;
    wishes::check(wishes)?;
    schedule::check(rules)
}

fn make(
    ground: Ground<'_>,
    owner: &User,
    asked: &Asked<'_>,
    name: Name,
    made_of: MadeOf,
) -> Result<Decision, Refusal> {
    let Asked {
        vnodes,
        size,
        wishes,
        bandwidth,
        rules,
        ..
    } = *asked;
    quota::check(ground.state, owner.id, &taken(vnodes, size, wishes))?;
    let (network, made) = network_for(ground, owner.id)?;
    let vcluster = Vcluster {
        id: VclusterId(ground.state.counters.vcluster + 1),
        owner: owner.id,
        name,
        network: network.id,
        image_name: made_of.image_name,
        image: made_of.image,
        size,
        wanted: VclusterWanted::Running,
        created_at: ground.entry.at,
        created_index: ground.index,
    };
    let mut events: Vec<Event> = made.into_iter().collect();
    events.push(Event::VclusterCreated {
        vcluster: vcluster.clone(),
    });
    events.extend(wishes::of_vcluster(&vcluster, wishes));
    events.extend(limit::of_vcluster(&vcluster, bandwidth));
    events.extend(schedule::of_vcluster(ground, &vcluster, rules));
    let made = new_vnodes(ground, &vcluster, wishes, &network, 0..vnodes)?;
    let services = service::of_image(ground, &vcluster, &made);
    events.extend(made.into_iter().chain(services));
    Ok(Decision::new(Subject::Vcluster(vcluster.id), events))
}

/// What so many vnodes take of their owner's quota.
fn taken(vnodes: u32, size: VnodeSize, wishes: &Wishes) -> Amounts {
    let one = Amounts::of_vnode(size, wishes);
    std::iter::repeat_n(one, vnodes as usize).sum()
}

fn check_count(vnodes: u32) -> Result<(), Refusal> {
    let most = u64::from(Vcluster::VNODES_MAX);
    in_range("size", u64::from(vnodes), 1..=most, "vnodes")
}

pub(super) fn check_size(size: VnodeSize) -> Result<(), Refusal> {
    let wide =
        |range: std::ops::RangeInclusive<u32>| u64::from(*range.start())..=u64::from(*range.end());
    let (cpu, memory) = (u64::from(size.cpu_milli.0), u64::from(size.memory_mib.0));
    in_range(
        "CPU",
        cpu,
        wide(VnodeSize::CPU_MILLI_RANGE),
        "thousandths of a core",
    )?;
    in_range("memory", memory, wide(VnodeSize::MEMORY_MIB_RANGE), "MiB")?;
    in_range(
        "process limit",
        u64::from(size.pids_max),
        wide(VnodeSize::PIDS_RANGE),
        "processes",
    )
}

pub(super) fn refuse_taken(ground: Ground<'_>, owner: &User, name: &Name) -> Result<(), Refusal> {
    match ground.state.vcluster_named(owner.id, name) {
        None => Ok(()),
        Some(vcluster) if vcluster.wanted == VclusterWanted::Deleted => {
            Err(Refusal::BeingDeleted {
                name: name.to_string(),
            })
        }
        Some(_) => Err(Refusal::NameTaken {
            kind: "vcluster".to_owned(),
            name: name.to_string(),
        }),
    }
}

/// What the asker means, by its name, if some worker holds it.
fn find_image<'e>(
    ground: Ground<'e>,
    asker: &User,
    text: &str,
) -> Result<(Name, &'e Image), Refusal> {
    let state = ground.state;
    let title = catalog::find(state, asker, text).filter(|_| state.version() >= copies::SINCE);
    let (name, image) = match title {
        Some(title) => (title.name.clone(), state.images.get(&title.current)),
        // Registered before there were titles, and not given one yet.
        None if state.version() < copies::SINCE || !text.contains('/') => {
            let name = Name::parse("image", text)?;
            let image = state.image_named(&name);
            (name, image)
        }
        None => return Err(Refusal::not_found("image", text.escape_debug())),
    };
    let image = image.ok_or_else(|| Refusal::not_found("image", &name))?;
    if image.holders.is_empty() {
        return Err(Refusal::ImageNotHeld {
            name: name.to_string(),
        });
    }
    Ok((name, image))
}

/// The owner's segment, and the event that makes it if there is none yet.
fn network_for(ground: Ground<'_>, owner: UserId) -> Result<(Network, Option<Event>), Refusal> {
    if let Some(network) = ground.state.network_of(owner) {
        return Ok((network.clone(), None));
    }
    let settings = ground
        .state
        .settings
        .as_ref()
        .ok_or(Refusal::ClusterMissing)?;
    let network = Network {
        id: NetworkId(ground.state.counters.network + 1),
        owner,
        subnet: free_subnet(ground, settings)?,
        addresses: imbl::OrdMap::new(),
    };
    let made = Event::NetworkCreated {
        network: network.clone(),
    };
    Ok((network, Some(made)))
}

/// The lowest block of `cluster_net` that no user has.
fn free_subnet(ground: Ground<'_>, settings: &Settings) -> Result<Ipv4Network, Refusal> {
    let taken: BTreeSet<Ipv4Network> = ground.state.networks.values().map(|n| n.subnet).collect();
    let blocks = 1_u64 << (settings.user_prefix - settings.cluster_net.prefix());
    let block_size = 1_u64 << (32 - settings.user_prefix);
    let base = u64::from(u32::from(settings.cluster_net.network()));
    (0..blocks)
        .filter_map(|block| u32::try_from(base + block * block_size).ok())
        .filter_map(|start| Ipv4Network::new(start.into(), settings.user_prefix).ok())
        .find(|subnet| !taken.contains(subnet))
        .ok_or_else(|| Refusal::Exhausted {
            what: "subnet".to_owned(),
            scope: format!("cluster_net {}", settings.cluster_net),
        })
}

/// Makes vnodes with these ordinals, each with the lowest free address.
fn new_vnodes(
    ground: Ground<'_>,
    vcluster: &Vcluster,
    wishes: &Wishes,
    network: &Network,
    ordinals: impl IntoIterator<Item = u32>,
) -> Result<Vec<Event>, Refusal> {
    let mut free = free_addresses(network);
    let mut id = ground.state.counters.vnode;
    let mut events = Vec::new();
    for ordinal in ordinals {
        id += 1;
        let address = free.next().ok_or_else(|| Refusal::Exhausted {
            what: "address".to_owned(),
            scope: format!("your subnet {}", network.subnet),
        })?;
        let vnode = new_vnode(ground, vcluster, VnodeId(id), ordinal, address);
        let wished = wishes::of_vnode(&vnode, wishes);
        events.push(Event::VnodeCreated { vnode });
        events.extend(wished);
    }
    Ok(events)
}

/// Unused addresses, ascending; the first host address is the gateway's, network and broadcast are nobody's.
fn free_addresses(network: &Network) -> impl Iterator<Item = Ipv4Addr> + '_ {
    let first = u32::from(network.subnet.network()) + 2;
    let last = u32::from(network.subnet.broadcast());
    (first..last)
        .map(Ipv4Addr::from)
        .filter(|address| !network.addresses.contains_key(address))
}

fn new_vnode(
    ground: Ground<'_>,
    vcluster: &Vcluster,
    id: VnodeId,
    ordinal: u32,
    address: Ipv4Addr,
) -> Vnode {
    let wanted = match vcluster.wanted {
        VclusterWanted::Running => VnodeWanted::Running,
        VclusterWanted::Stopped => VnodeWanted::Stopped,
        VclusterWanted::Deleted => VnodeWanted::Removed,
    };
    Vnode {
        id,
        vcluster: vcluster.id,
        owner: vcluster.owner,
        ordinal,
        wanted,
        image: vcluster.image,
        size: vcluster.size,
        address,
        placement: None,
        obstacles: Vec::new(),
        seen: VnodeSeen::Pending,
        seen_at: ground.entry.at,
        created_at: ground.entry.at,
    }
}

pub(super) fn start(ground: Ground<'_>, id: VclusterId) -> Result<Decision, Refusal> {
    let vcluster = changeable(ground, id)?;
    bean::check(ground.state, vcluster.owner)?;
    let events = want(
        ground,
        vcluster,
        VclusterWanted::Running,
        VnodeWanted::Running,
    );
    Ok(Decision::new(Subject::Vcluster(id), events))
}

pub(super) fn stop(ground: Ground<'_>, id: VclusterId) -> Result<Decision, Refusal> {
    let vcluster = changeable(ground, id)?;
    let events = stopped(ground, vcluster);
    Ok(Decision::new(Subject::Vcluster(id), events))
}

/// What stops it, whoever asks.
pub(super) fn stopped(ground: Ground<'_>, vcluster: &Vcluster) -> Vec<Event> {
    let (all, each) = (VclusterWanted::Stopped, VnodeWanted::Stopped);
    want(ground, vcluster, all, each)
}

/// The vcluster, unless it is on its way out.
pub(super) fn changeable(ground: Ground<'_>, id: VclusterId) -> Result<&Vcluster, Refusal> {
    let vcluster = permit::visible_vcluster(ground.state, ground.entry.actor, id)?;
    if vcluster.wanted == VclusterWanted::Deleted {
        return Err(Refusal::BeingDeleted {
            name: vcluster.name.to_string(),
        });
    }
    Ok(vcluster)
}

pub(super) fn want(
    ground: Ground<'_>,
    vcluster: &Vcluster,
    wanted: VclusterWanted,
    vnodes: VnodeWanted,
) -> Vec<Event> {
    let mut events = Vec::new();
    if vcluster.wanted != wanted {
        events.push(Event::VclusterWantedChanged {
            about: VclusterRef::from(vcluster),
            wanted,
        });
    }
    for vnode in ground.state.live_vnodes_of(vcluster.id) {
        if vnode.wanted != vnodes {
            events.push(wanted_changed(vnode, vnodes));
        }
    }
    events
}

fn wanted_changed(vnode: &Vnode, wanted: VnodeWanted) -> Event {
    Event::VnodeWantedChanged {
        about: VnodeRef::from(vnode),
        wanted,
    }
}

/// Adds vnodes with the lowest free ordinals, or removes those with the highest.
pub(super) fn scale(ground: Ground<'_>, id: VclusterId, vnodes: u32) -> Result<Decision, Refusal> {
    let vcluster = changeable(ground, id)?;
    check_count(vnodes)?;
    let live = ground.state.live_vnodes_of(id);
    let keep = vnodes as usize;
    let gone = live.iter().skip(keep);
    snapshot::refuse_sources(ground.state, gone.clone().copied())?;
    let mut events: Vec<Event> = gone.flat_map(|v| remove(ground, v)).collect();
    if live.len() < keep {
        let network = ground
            .state
            .networks
            .get(&vcluster.network)
            .ok_or_else(|| Refusal::not_found("network", vcluster.network))?;
        let used: BTreeSet<u32> = live.iter().map(|vnode| vnode.ordinal).collect();
        let ordinals = (0..).filter(|n| !used.contains(n)).take(keep - live.len());
        let wishes = ground.state.wishes_of_vcluster(id);
        let more = u32::try_from(keep - live.len()).unwrap_or(u32::MAX);
        let taken = taken(more, vcluster.size, wishes);
        quota::check(ground.state, vcluster.owner, &taken)?;
        events.extend(new_vnodes(ground, vcluster, wishes, network, ordinals)?);
    }
    Ok(Decision::new(Subject::Vcluster(id), events))
}

pub(super) fn delete(ground: Ground<'_>, id: VclusterId) -> Result<Decision, Refusal> {
    let vcluster = permit::visible_vcluster(ground.state, ground.entry.actor, id)?;
    let events = delete_now(ground, vcluster)?;
    Ok(Decision::new(Subject::Vcluster(id), events))
}

/// It goes for good, whoever asks, and from wherever.
pub(super) fn delete_now(ground: Ground<'_>, vcluster: &Vcluster) -> Result<Vec<Event>, Refusal> {
    let (id, about) = (vcluster.id, VclusterRef::from(vcluster));
    let mut events = Vec::new();
    if vcluster.wanted != VclusterWanted::Deleted {
        let wanted = VclusterWanted::Deleted;
        events.push(Event::VclusterWantedChanged { about, wanted });
        let live = ground.state.live_vnodes_of(id);
        snapshot::refuse_sources(ground.state, live.iter().copied())?;
        events.extend(live.iter().flat_map(|vnode| remove(ground, vnode)));
        let leaves_something = ground.state.vnodes_of(id).any(|v| v.placement.is_some());
        if !leaves_something {
            events.push(Event::VclusterDeleted { about });
        }
    }
    Ok(events)
}

/// A vnode that no worker has is gone at once; the others when their worker says so. Its ports are closed now.
fn remove(ground: Ground<'_>, vnode: &Vnode) -> Vec<Event> {
    let about = VnodeRef::from(vnode);
    let mut events: Vec<Event> = port::remove_all(ground.state, vnode).collect();
    events.extend(service::of_vnode_removed(ground.state, vnode));
    events.extend(moves::removed(ground.state, vnode));
    events.push(match vnode.placement {
        Some(_) => wanted_changed(vnode, VnodeWanted::Removed),
        None => Event::VnodeRemoved { about },
    });
    events
}
