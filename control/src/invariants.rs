//! What must hold of every reachable state, and of every step from one to the next; tests and simulations call both
//! after each entry.

mod accounts;
mod acme;
mod beans;
mod certificates;
mod drills;
mod identities;
mod idles;
mod images;
mod kept;
mod lost;
mod moves;
mod notices;
mod quotas;
mod rebalance;
mod services;
mod settings;
mod snapshots;
mod templates;
mod terminals;
mod trash;

use std::collections::BTreeSet;

use crate::model::{
    HomeUsual, ImageTitle, KbitPerS, Network, PublicPort, VclusterWanted, Visibility, VnodeWanted,
    Wishes,
};
use crate::place;
use crate::state::State;
use crate::version;

/// Every broken invariant, one sentence each; empty for a sound state.
#[must_use]
pub fn broken(state: &State) -> Vec<String> {
    let mut broken = Vec::new();
    vnodes_fit_their_vcluster(state, &mut broken);
    addresses_are_given_once(state, &mut broken);
    ordinals_are_unique(state, &mut broken);
    holders_are_workers(state, &mut broken);
    titles_are_sound(state, &mut broken);
    images::groups_are_sound(state, &mut broken);
    subnets_are_disjoint(state, &mut broken);
    ports_lead_to_own_vnodes(state, &mut broken);
    wishes_are_of_somebody(state, &mut broken);
    gpus_are_given_once(state, &mut broken);
    limits_are_of_somebody(state, &mut broken);
    snapshots::snapshots_are_sound(state, &mut broken);
    moves::moves_are_sound(state, &mut broken);
    lost::rows_are_of_somebody(state, &mut broken);
    rebalance::row_is_sound(state, &mut broken);
    quotas::rows_are_of_somebody(state, &mut broken);
    templates::templates_are_sound(state, &mut broken);
    terminals::shares_are_sound(state, &mut broken);
    settings::histories_lead_here(state, &mut broken);
    trash::rows_are_of_vclusters(state, &mut broken);
    kept::rows_are_sound(state, &mut broken);
    idles::rows_are_of_vnodes(state, &mut broken);
    notices::rows_are_sound(state, &mut broken);
    services::services_are_sound(state, &mut broken);
    acme::row_is_sound(state, &mut broken);
    certificates::rows_are_of_workers(state, &mut broken);
    beans::balances_are_right(state, &mut broken);
    beans::days_are_as_lines(state, &mut broken);
    beans::rows_are_of_somebody(state, &mut broken);
    quotas::sums_are_right(state, &mut broken);
    quotas::an_admin_remains(state, &mut broken);
    accounts::accounts_are_sound(state, &mut broken);
    identities::identities_are_of_somebody(state, &mut broken);
    masters_remain(state, &mut broken);
    drills::drills_are_sound(state, &mut broken);
    programs_know_enough(state, &mut broken);
    rows_rebuild_the_state(state, &mut broken);
    broken
}

/// Everything that the step from `before` to `after` broke, one sentence each; empty for a sound step.
#[must_use]
pub fn broken_by(before: &State, after: &State) -> Vec<String> {
    let mut broken = Vec::new();
    new_promises_fit_workers(before, after, &mut broken);
    new_gpus_are_there(before, after, &mut broken);
    disks_do_not_shrink(before, after, &mut broken);
    lost::vnodes_stay_where_they_run(before, after, &mut broken);
    images::stay_within_quotas(before, after, &mut broken);
    quotas::nobody_takes_too_much(before, after, &mut broken);
    notices::mails_are_begun_once(before, after, &mut broken);
    masters_never_return(before, after, &mut broken);
    drills::drills_go_forward(before, after, &mut broken);
    versions_rise(before, after, &mut broken);
    broken
}

/// Of a state alone this cannot be asked: a worker that comes back smaller has been promised more than it has now.
fn new_promises_fit_workers(before: &State, after: &State, broken: &mut Vec<String>) {
    for worker in after.workers.values() {
        let (old, new) = (place::load(before, worker), place::load(after, worker));
        let memory = new.memory_mib > old.memory_mib.max(new.memory_mib_max);
        let cpu = new.cpu_milli > old.cpu_milli.max(new.cpu_milli_max);
        let counted = after.version() >= Wishes::SINCE;
        let disk = counted && new.disk_mib > old.disk_mib.max(new.disk_mib_max);
        if memory || cpu || disk {
            broken.push(format!("worker {} is promised more than it may", worker.id));
        }
    }
}

/// Of a state alone this cannot be asked either: a GPU may vanish from its worker.
fn new_gpus_are_there(before: &State, after: &State, broken: &mut Vec<String>) {
    for row in after.vnode_wishes.values() {
        let had = lost::gpus_kept(before, after, row.vnode);
        let vnode = after.vnodes.get(&row.vnode);
        let placed = vnode.and_then(|vnode| vnode.placement);
        let worker = placed.and_then(|placed| after.workers.get(&placed.worker));
        let gpus = worker.map_or(&[][..], |worker| worker.facts.capacity.gpus.as_slice());
        let fits = |uuid: &String| {
            let here = gpus.iter().find(|gpu| gpu.uuid == *uuid);
            here.is_some_and(|gpu| row.wishes.gpus.fits(gpu))
        };
        let kept = had.is_empty() || had == row.gpus;
        if !kept || had.is_empty() && !row.gpus.iter().all(fits) {
            broken.push(format!("vnode {} was given GPUs it cannot have", row.vnode));
        }
    }
}

/// What is written may be anywhere on them.
fn disks_do_not_shrink(before: &State, after: &State, broken: &mut Vec<String>) {
    for vnode in before.vnodes.values().filter(|v| v.placement.is_some()) {
        let (old, new) = (before.wishes_of(vnode.id), after.wishes_of(vnode.id));
        if after.vnodes.contains_key(&vnode.id) && new.disk_mib < old.disk_mib {
            broken.push(format!("the disk of vnode {} shrank", vnode.id));
        }
    }
}

/// Whoever comes is newer than all that were ever there, so that no number means two masters.
fn masters_never_return(before: &State, after: &State, broken: &mut Vec<String>) {
    let newest = before.masters.keys().next_back();
    for id in after.masters.keys() {
        if !before.masters.contains_key(id) && newest.is_some_and(|newest| id < newest) {
            broken.push(format!("master {id} has come back"));
        }
    }
}

/// A cluster has a master, and only masters that are there are being replaced, by one that is there.
fn masters_remain(state: &State, broken: &mut Vec<String>) {
    if state.settings.is_some() && state.masters.is_empty() {
        broken.push("the cluster has no master".to_owned());
    }
    for replacement in state.replacements.values() {
        let new = replacement.new.unwrap_or(replacement.old);
        let there = |id| state.masters.contains_key(id);
        if !there(&replacement.old) || !there(&new) {
            broken.push(format!(
                "master {} is replaced by {new}, and one of them is gone",
                replacement.old
            ));
        }
    }
}

/// Only members have said what they run, and none of it is too old for what the cluster has agreed on.
fn programs_know_enough(state: &State, broken: &mut Vec<String>) {
    for program in state.programs.values() {
        let member = state.masters.contains_key(&program.master);
        if !member || program.knows < state.version() {
            broken.push(format!("master {} runs what it must not", program.master));
        }
    }
}

/// What was agreed on stays so, and rises only to what every master knows.
fn versions_rise(before: &State, after: &State, broken: &mut Vec<String>) {
    let (old, new) = (before.version(), after.version());
    let known = |master| version::known_by(after, master) >= new;
    if new < old || new > old && !after.masters.values().all(known) {
        broken.push(format!("the version went from {old} to {new}"));
    }
}

fn vnodes_fit_their_vcluster(state: &State, broken: &mut Vec<String>) {
    for vnode in state.vnodes.values() {
        match state.vclusters.get(&vnode.vcluster) {
            None => broken.push(format!("vnode {} has no vcluster", vnode.id)),
            Some(vcluster) if vcluster.owner != vnode.owner => {
                broken.push(format!(
                    "vnode {} has another owner than its vcluster",
                    vnode.id
                ));
            }
            Some(vcluster)
                if vcluster.wanted == VclusterWanted::Deleted
                    && vnode.wanted != VnodeWanted::Removed =>
            {
                broken.push(format!("vnode {} outlives its vcluster", vnode.id));
            }
            Some(_) => {}
        }
    }
    for vcluster in state.vclusters.values() {
        if state.vnodes_of(vcluster.id).next().is_none() {
            broken.push(format!("vcluster {} has no vnode", vcluster.id));
        }
    }
}

fn addresses_are_given_once(state: &State, broken: &mut Vec<String>) {
    for network in state.networks.values() {
        for (address, id) in &network.addresses {
            let holds = state.vnodes.get(id).is_some_and(|v| v.address == *address);
            if !holds || !network.subnet.contains(*address) {
                broken.push(format!("address {address} is not that of vnode {id}"));
            }
        }
    }
    for vnode in state.vnodes.values() {
        let holder = state
            .network_of(vnode.owner)
            .and_then(|network| network.addresses.get(&vnode.address));
        if holder != Some(&vnode.id) {
            broken.push(format!("vnode {} does not hold its address", vnode.id));
        }
    }
}

fn ordinals_are_unique(state: &State, broken: &mut Vec<String>) {
    for vcluster in state.vclusters.keys() {
        let live = state.live_vnodes_of(*vcluster);
        let ordinals: BTreeSet<u32> = live.iter().map(|vnode| vnode.ordinal).collect();
        if ordinals.len() != live.len() {
            broken.push(format!("vcluster {vcluster} has a host name twice"));
        }
    }
}

fn holders_are_workers(state: &State, broken: &mut Vec<String>) {
    for image in state.images.values() {
        for holder in &image.holders {
            if !state.workers.contains_key(holder) {
                broken.push(format!(
                    "image {} is held by {holder}, which is no worker",
                    image.name
                ));
            }
        }
    }
}

/// A name means one of its versions, which is there; what is public has its name alone; copies are on workers.
fn titles_are_sound(state: &State, broken: &mut Vec<String>) {
    let mut public = BTreeSet::new();
    for title in state.image_titles.values() {
        let there = title
            .versions
            .iter()
            .all(|v| state.images.contains_key(&v.digest));
        let bounded = title.versions.len() <= ImageTitle::VERSIONS_MAX;
        if !title.has(title.current) || !there || !bounded {
            broken.push(format!(
                "image {} of {} is not sound",
                title.name, title.owner
            ));
        }
        let is_public = title.visibility == Visibility::Public;
        if is_public && !public.insert(&title.name) {
            broken.push(format!("two public images are called {}", title.name));
        }
    }
    for vnode in state.vnodes.values() {
        if !state.images.contains_key(&vnode.image) {
            broken.push(format!("vnode {} is made of nothing", vnode.id));
        }
    }
    for copies in state.image_copies.values() {
        let mut workers = copies.copies.iter().chain(&copies.pulled);
        let there = state.images.contains_key(&copies.digest);
        if !there || !workers.all(|worker| state.workers.contains_key(worker)) {
            broken.push(format!("copies of {} are nowhere", copies.digest));
        }
    }
}

fn subnets_are_disjoint(state: &State, broken: &mut Vec<String>) {
    let subnets: BTreeSet<_> = state.networks.values().map(|n| n.subnet).collect();
    if subnets.len() != state.networks.len() {
        broken.push("two users have the same subnet".to_owned());
    }
    let neighbours = subnets.iter().zip(subnets.iter().skip(1));
    for (one, next) in neighbours {
        if one.broadcast() >= next.network() {
            broken.push(format!("subnets {one} and {next} overlap"));
        }
    }
    let Some(settings) = &state.settings else {
        return;
    };
    for network in state.networks.values() {
        let inside = settings.cluster_net.contains(network.subnet.network())
            && settings.cluster_net.contains(network.subnet.broadcast());
        if !inside {
            broken.push(format!("subnet {} is not of cluster_net", network.subnet));
        }
        if network
            .addresses
            .contains_key(&Network::gateway_of(network.subnet))
        {
            broken.push(format!(
                "a vnode has the gateway's address in {}",
                network.subnet
            ));
        }
    }
}

/// Each leads to a vnode that stays, of the same owner, and is one of those that are given out.
fn ports_lead_to_own_vnodes(state: &State, broken: &mut Vec<String>) {
    for port in state.ports.values() {
        let vnode = state.vnodes.get(&port.vnode);
        let leads = vnode.is_some_and(|vnode| {
            vnode.wanted != VnodeWanted::Removed
                && (vnode.owner, vnode.vcluster) == (port.owner, port.vcluster)
        });
        if !leads || !PublicPort::RANGE.contains(&port.public.number.0) {
            broken.push(format!("public port {} leads nowhere", port.public));
        }
    }
}

/// Each wish is of a vcluster or vnode that is there.
fn wishes_are_of_somebody(state: &State, broken: &mut Vec<String>) {
    for vcluster in state.vcluster_wishes.keys() {
        if !state.vclusters.contains_key(vcluster) {
            broken.push(format!("vcluster {vcluster} wishes and is not there"));
        }
    }
    for vnode in state.vnode_wishes.keys() {
        if !state.vnodes.contains_key(vnode) {
            broken.push(format!("vnode {vnode} wishes and is not there"));
        }
    }
}

/// Each is of a vcluster or vnode that is there, no vnode has more than the site lets it, and only who has a vnode is to
/// put new limits in force.
fn limits_are_of_somebody(state: &State, broken: &mut Vec<String>) {
    let ceiling = state.bandwidth_ceiling();
    let above = |rate: Option<KbitPerS>, most: Option<KbitPerS>| {
        most.is_some_and(|most| rate.is_none_or(|rate| rate > most))
    };
    for vcluster in state.vclusters.keys() {
        let has = state.bandwidth_of(*vcluster);
        if above(has.sent, ceiling.sent) || above(has.received, ceiling.received) {
            broken.push(format!(
                "vcluster {vcluster} has more than the site lets it"
            ));
        }
    }
    for home in state.user_homes.values() {
        let sound = HomeUsual::DISK_MIB_RANGE.contains(&home.disk_mib.0);
        if !sound || !state.users.contains_key(&home.user) {
            broken.push(format!("the home of user {} is not sound", home.user));
        }
    }
    for vcluster in state.vcluster_bandwidths.keys() {
        if !state.vclusters.contains_key(vcluster) {
            broken.push(format!("vcluster {vcluster} is limited and is not there"));
        }
    }
    for vcluster in state.vcluster_rules.keys() {
        if !state.vclusters.contains_key(vcluster) {
            broken.push(format!("vcluster {vcluster} has rules and is not there"));
        }
    }
    for traits in state.worker_traits.values() {
        let there = state.workers.contains_key(&traits.worker);
        if !there || traits.says_nothing() {
            broken.push(format!(
                "worker {} is described and is not there",
                traits.worker
            ));
        }
    }
    for resize in state.vnode_resizes.values() {
        let vnode = state.vnodes.get(&resize.vnode);
        let placed = vnode.and_then(|vnode| vnode.placement);
        if placed.is_none_or(|placed| placed.epoch != resize.epoch) {
            broken.push(format!("vnode {} is resized by nobody", resize.vnode));
        }
    }
}

/// Whoever has a worker has as many GPUs as wanted, whoever has none has none, and nobody shares one.
fn gpus_are_given_once(state: &State, broken: &mut Vec<String>) {
    let mut given = BTreeSet::new();
    for row in state.vnode_wishes.values() {
        let vnode = state.vnodes.get(&row.vnode);
        let placed = vnode.is_some_and(|vnode| vnode.placement.is_some());
        let due = if placed {
            row.wishes.gpus.count as usize
        } else {
            0
        };
        if row.gpus.len() != due {
            let has = row.gpus.len();
            broken.push(format!("vnode {} has {has} GPUs of {due}", row.vnode));
        }
        for gpu in &row.gpus {
            if !given.insert(gpu) || state.vnode_with_gpu(gpu) != Some(row.vnode) {
                broken.push(format!("GPU {gpu} is given twice"));
            }
        }
    }
}

/// Look-up tables and rows say the same as the tables.
fn rows_rebuild_the_state(state: &State, broken: &mut Vec<String>) {
    let rows = crate::rows::iter(state).map(|(table, _, value)| (table, value));
    match crate::rows::load(rows) {
        Ok(rebuilt) if rebuilt == *state => {}
        Ok(_) => broken.push("the rows rebuild another state".to_owned()),
        Err(fault) => broken.push(format!("the rows cannot be read: {fault}")),
    }
}
