//! The difference between what is assigned and what is seen, as acts in order. Pure: no act has a choice left.

pub mod moves;
pub mod resizes;
pub mod snapshots;

use std::collections::{BTreeMap, BTreeSet};

use docklet_control::assignment::{AssignedImage, AssignedVnode, Assignment};
use docklet_control::id::{Digest, UserId, VnodeId};
use docklet_control::model::{ImageRun, ImageSpec, VnodeSeen, VnodeWanted};
use docklet_control::report::Reported;

use crate::host::{Act, Observation, SeenVnode};
use crate::network::dns::answer::zones;

/// What to do: networks first, then each vnode's acts in order and vnodes beside each other, then what is left over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub networks: Vec<Act>,
    pub vnodes: BTreeMap<VnodeId, Vec<Act>>,
    /// Images that shall be here, or shall not; none of them is waited for by a vnode.
    pub images: BTreeMap<Digest, Act>,
    /// Vnodes of which images are to be made; none of them is in motion.
    pub saves: BTreeMap<VnodeId, Act>,
    /// Limits of vnodes that run and are not in motion.
    pub resizes: BTreeMap<VnodeId, Act>,
    /// Snapshots that shall be here, or shall not, of vnodes that are not in motion.
    pub snapshots: BTreeMap<VnodeId, Vec<Act>>,
    /// Copies of vnodes that come from other workers.
    pub arrivals: BTreeMap<VnodeId, Act>,
    pub sweep: Vec<Act>,
}

impl Plan {
    /// Whether all is as assigned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
            && self.vnodes.is_empty()
            && self.images.is_empty()
            && self.saves.is_empty()
            && self.resizes.is_empty()
            && self.snapshots.is_empty()
            && self.arrivals.is_empty()
            && self.sweep.is_empty()
    }
}

/// Plans. `last` is the assignment of the last plan that was carried out, so that peers are set only when they change.
#[must_use]
pub fn plan(wanted: &Assignment, seen: &Observation, last: Option<&Assignment>) -> Plan {
    let mut plan = Plan {
        networks: network_acts(wanted, seen, last),
        ..Plan::default()
    };
    for vnode in &wanted.vnodes {
        let acts = moves::acts_of_vnode(wanted, vnode, seen)
            .unwrap_or_else(|| snapshots::acts_of_vnode(wanted, vnode, seen));
        if !acts.is_empty() {
            plan.vnodes.insert(vnode.id, acts);
        }
    }
    for id in seen.vnodes.keys() {
        let acts = match wanted.vnodes.iter().any(|vnode| vnode.id == *id) {
            true => None,
            false if moves::is_kept(wanted, *id) => moves::acts_of_kept(*id, seen),
            false => Some(vec![Act::Remove(*id)]),
        };
        plan.vnodes.extend(acts.map(|acts| (*id, acts)));
    }
    plan.images = image_acts(wanted, seen, &plan);
    plan.saves = save_acts(wanted, seen, &plan);
    plan.resizes = resizes::acts(wanted, seen, &plan);
    plan.snapshots = snapshots::acts(wanted, seen, &plan);
    plan.arrivals = moves::arrivals(wanted, seen);
    plan.sweep = sweep(wanted, seen, &plan);
    plan
}

/// Saves of which nothing is noted yet, of vnodes that are as they shall be.
fn save_acts(wanted: &Assignment, seen: &Observation, plan: &Plan) -> BTreeMap<VnodeId, Act> {
    let mut acts = BTreeMap::new();
    for save in &wanted.saves {
        let noted = seen.saves.get(&save.vnode).map(|note| note.save);
        let vnode = wanted.vnodes.iter().find(|vnode| vnode.id == save.vnode);
        let Some(vnode) = vnode.filter(|_| noted != Some(*save)) else {
            continue;
        };
        let here = seen.vnodes.get(&vnode.id);
        let current = here.is_some_and(|here| here.epoch == Some(vnode.epoch));
        if current && !plan.vnodes.contains_key(&vnode.id) {
            acts.insert(vnode.id, Act::Save(Box::new(vnode.clone()), *save));
        }
    }
    acts
}

fn fetched(act: &Act) -> Option<Digest> {
    if let Act::FetchImage(image) = act {
        return Some(image.digest);
    }
    None
}

/// Images that are assigned and not here come; those that are here and not assigned go, unless they are news that the
/// masters may not know of yet, or a vnode is here that was made of who knows what.
fn image_acts(wanted: &Assignment, seen: &Observation, plan: &Plan) -> BTreeMap<Digest, Act> {
    let mut acts = BTreeMap::new();
    let acts_of_vnodes = plan.vnodes.values().flatten();
    let with_vnodes: BTreeSet<Digest> = acts_of_vnodes.filter_map(fetched).collect();
    for image in &wanted.images {
        let here = seen.images.contains(&image.digest) || with_vnodes.contains(&image.digest);
        if !here && !image.holders.is_empty() {
            acts.insert(image.digest, Act::FetchImage(image.clone()));
        }
    }
    let all_known = seen
        .vnodes
        .keys()
        .all(|id| wanted.vnodes.iter().any(|vnode| vnode.id == *id));
    if wanted.drops_images && all_known {
        let assigned = |digest: &Digest| wanted.images.iter().any(|i| i.digest == *digest);
        let used = |digest: &Digest| wanted.vnodes.iter().any(|v| v.image == *digest);
        let here = seen
            .images
            .difference(&seen.new_images)
            .chain(&seen.begun_images);
        for digest in here.filter(|digest| !assigned(digest) && !used(digest)) {
            acts.insert(*digest, Act::RemoveImage(*digest));
        }
    }
    acts
}

/// Segments that are not as wanted, or not known to be, and names that changed.
fn network_acts(wanted: &Assignment, seen: &Observation, last: Option<&Assignment>) -> Vec<Act> {
    let mut acts = Vec::new();
    let same_fabric = last.is_some_and(|last| last.fabric == wanted.fabric);
    for network in &wanted.networks {
        let id = network.id;
        let unchanged = last.is_some_and(|last| last.networks.contains(network));
        let whole = seen.networks.contains(&id) && !seen.torn.contains(&id);
        let ensured = same_fabric && unchanged && whole;
        if !ensured {
            let fabric = wanted.fabric.clone();
            acts.push(Act::EnsureNetwork(network.clone(), fabric));
        }
        let names = zones(wanted, id);
        if !ensured || last.is_none_or(|last| zones(last, id) != names) {
            acts.push(Act::TellNames(id, names));
        }
    }
    acts
}

fn vnode_acts(wanted: &Assignment, vnode: &AssignedVnode, seen: &Observation) -> Vec<Act> {
    let here = seen.vnodes.get(&vnode.id);
    if here.is_some_and(|here| here.epoch > Some(vnode.epoch)) {
        // Whoever assigned this knows less than what is here.
        return Vec::new();
    }
    let image = wanted
        .images
        .iter()
        .find(|image| image.digest == vnode.image);
    let spec = image.map(|image| image.spec.clone()).unwrap_or_default();
    match vnode.wanted {
        VnodeWanted::Removed => here.map(|_| Act::Remove(vnode.id)).into_iter().collect(),
        VnodeWanted::Stopped => match here {
            Some(here) if here.running || here.orphaned => vec![Act::Stop(vnode.id, spec)],
            Some(_) | None => moves::adopting(vnode, seen)
                .map(|adopt| vec![adopt, Act::Prepare(Box::new(vnode.clone()))])
                .unwrap_or_default(),
        },
        VnodeWanted::Running => {
            let runs = &wanted.image_runs;
            let run = runs.iter().find(|run| run.digest == vnode.image);
            run_acts(vnode, here, image, (spec, run.cloned()), seen)
        }
    }
}

fn run_acts(
    vnode: &AssignedVnode,
    here: Option<&SeenVnode>,
    image: Option<&AssignedImage>,
    (spec, run): (ImageSpec, Option<ImageRun>),
    seen: &Observation,
) -> Vec<Act> {
    let mut acts = Vec::new();
    if here.is_some_and(|here| here.orphaned) {
        // Nothing begins beside it on the same files.
        acts.push(Act::Stop(vnode.id, spec.clone()));
    }
    let current = here.is_some_and(|here| here.epoch == Some(vnode.epoch));
    if let Some(here) = here.filter(|here| here.running) {
        if current {
            if here.hosts != vnode.hosts {
                acts.push(Act::WriteHosts(vnode.id, vnode.hosts.clone()));
            }
            if here.bandwidth != vnode.bandwidth {
                acts.push(Act::LimitBandwidth(vnode.id, vnode.bandwidth));
            }
            if let Some(home) = vnode.home_mib.filter(|home| here.home_mib != Some(*home)) {
                acts.push(Act::SizeHome(vnode.id, vnode.owner, home));
            }
            if here.disk_mib < vnode.disk_mib && seen.grows_disks {
                acts.push(Act::GrowDisk(vnode.id, vnode.disk_mib));
            }
            if let Some(secret) = vnode
                .secret
                .as_ref()
                .filter(|s| here.secret.as_ref() != Some(s))
            {
                acts.push(Act::WriteKeys(vnode.id, secret.clone()));
            }
            return acts;
        }
        // It runs for a placement that is over: that run ends before the new one begins.
        acts.push(Act::Stop(vnode.id, spec.clone()));
    }
    if let Some(image) = image.filter(|image| !seen.images.contains(&image.digest)) {
        acts.push(Act::FetchImage(image.clone()));
    }
    acts.extend(moves::adopting(vnode, seen));
    acts.push(Act::Prepare(Box::new(vnode.clone())));
    acts.push(Act::Start(Box::new(vnode.clone()), spec, run));
    acts
}

/// Segments and mounted images that nothing uses any more, once no vnode is in motion.
fn sweep(wanted: &Assignment, seen: &Observation, plan: &Plan) -> Vec<Act> {
    if !plan.vnodes.is_empty() {
        return Vec::new();
    }
    let used: Vec<(Digest, u32)> = wanted
        .vnodes
        .iter()
        .filter(|vnode| seen.vnodes.contains_key(&vnode.id))
        .map(|vnode| (vnode.image, vnode.uid_base))
        .collect();
    let unused = |id: &&docklet_control::id::NetworkId| {
        !wanted.networks.iter().any(|network| network.id == **id)
    };
    let mut acts: Vec<Act> = seen
        .networks
        .iter()
        .filter(unused)
        .map(|id| Act::RemoveNetwork(*id))
        .collect();
    if !acts.is_empty() {
        // Before them: by what is left of a segment an agent that comes after a crash knows that images are to be unmounted.
        acts.insert(0, Act::SweepImages(used));
    }
    let here = |vnode: &&AssignedVnode| seen.vnodes.contains_key(&vnode.id);
    let owners: BTreeSet<UserId> = wanted.vnodes.iter().filter(here).map(|v| v.owner).collect();
    if !seen.homes.is_subset(&owners) {
        acts.push(Act::SweepHomes(owners.into_iter().collect()));
    }
    acts
}

/// What to tell the masters of a vnode that is seen so, when nothing is being done to it.
#[must_use]
pub fn report(vnode: &AssignedVnode, seen: &Observation) -> Option<Reported> {
    let here = seen.vnodes.get(&vnode.id);
    match (vnode.wanted, here) {
        (VnodeWanted::Removed, None) => Some(Reported::Gone),
        (VnodeWanted::Removed, Some(_)) => None,
        (VnodeWanted::Stopped, None) => Some(Reported::Present(VnodeSeen::Stopped)),
        (_, Some(here)) if here.epoch != Some(vnode.epoch) => None,
        (VnodeWanted::Stopped, Some(here)) if !here.running && !here.orphaned => {
            Some(Reported::Present(VnodeSeen::Stopped))
        }
        (VnodeWanted::Running, Some(here)) if here.running => {
            Some(Reported::Present(VnodeSeen::Running))
        }
        (VnodeWanted::Stopped | VnodeWanted::Running, Some(_)) | (VnodeWanted::Running, None) => {
            None
        }
    }
}
