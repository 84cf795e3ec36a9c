//! What is to be done about vnodes on their way: one that leaves stands still when it is told to, and is kept until it is
//! known to be elsewhere; one that comes is copied, and begins with that.

use std::collections::BTreeMap;

use docklet_control::assignment::moves::{AssignedArrival, AssignedDeparture, DepartureStage};
use docklet_control::assignment::{AssignedVnode, Assignment};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted;
use docklet_control::report::{MoveReport, MoveTold};

use super::vnode_acts;
use crate::host::{Act, Observation, SeenArrival};
use crate::transfer::Departure;

fn departure(wanted: &Assignment, id: VnodeId) -> Option<&AssignedDeparture> {
    let mut departures = wanted.departures.iter();
    departures.find(|departure| departure.vnode == id)
}

/// The acts that a move wants of a vnode that is placed here; none if it wants nothing else of it than what is assigned.
pub(super) fn acts_of_vnode(
    wanted: &Assignment,
    vnode: &AssignedVnode,
    seen: &Observation,
) -> Option<Vec<Act>> {
    let here = seen.vnodes.get(&vnode.id);
    let checkpoints = match departure(wanted, vnode.id).map(|departure| departure.stage) {
        Some(DepartureStage::Checkpointed) => true,
        Some(DepartureStage::Still) => false,
        Some(DepartureStage::Copied | DepartureStage::Kept) | None => return None,
    };
    let running = here.is_some_and(|here| here.running && here.epoch == Some(vnode.epoch));
    let stopped = AssignedVnode {
        wanted: VnodeWanted::Stopped,
        ..vnode.clone()
    };
    let mut acts = if checkpoints && running {
        vec![Act::Checkpoint(Box::new(vnode.clone()))]
    } else {
        vnode_acts(wanted, &stopped, seen)
    };
    if here.is_some_and(|here| here.mounted) {
        acts.push(Act::Release(vnode.id));
    }
    Some(acts)
}

/// Puts what was copied in place before anything else is done with it.
pub(super) fn adopting(vnode: &AssignedVnode, seen: &Observation) -> Option<Act> {
    let number = vnode.arrived_by?;
    let here = seen.vnodes.get(&vnode.id);
    let prepared = here.is_some_and(|here| here.epoch == Some(vnode.epoch));
    (!prepared).then_some(Act::Adopt(vnode.id, number, vnode.uid_base))
}

/// Whether what there is of a vnode that is not placed here stays all the same.
pub(super) fn is_kept(wanted: &Assignment, id: VnodeId) -> bool {
    departure(wanted, id).is_some_and(|departure| departure.stage == DepartureStage::Kept)
}

/// Nothing of a vnode that is kept runs.
pub(super) fn acts_of_kept(id: VnodeId, seen: &Observation) -> Option<Vec<Act>> {
    let here = seen.vnodes.get(&id)?;
    let mut acts = Vec::new();
    if here.running || here.orphaned {
        acts.push(Act::Stop(id, Default::default()));
    }
    if here.mounted {
        acts.push(Act::Release(id));
    }
    (!acts.is_empty()).then_some(acts)
}

/// Who may copy what there is here, and whether it stands still.
#[must_use]
pub fn departures(wanted: &Assignment, seen: &Observation) -> BTreeMap<VnodeId, Departure> {
    let departures = wanted.departures.iter().map(|departure| {
        let here = seen.vnodes.get(&departure.vnode);
        let asked = departure.stage != DepartureStage::Copied;
        let still = here.is_some_and(|here| !here.running && !here.orphaned && !here.mounted);
        let leaving = Departure {
            number: departure.number,
            to: departure.to,
            still: asked && still,
        };
        (departure.vnode, leaving)
    });
    departures.collect()
}

fn arrived(seen: &Observation, vnode: VnodeId, number: LogIndex) -> SeenArrival {
    let arrival = seen.arrivals.get(&(vnode, number));
    arrival.copied().unwrap_or_default()
}

/// What is to be copied, for each vnode that comes and of which nothing older is here; and what of it nobody wants any more.
pub(super) fn arrivals(wanted: &Assignment, seen: &Observation) -> BTreeMap<VnodeId, Act> {
    let mut acts = BTreeMap::new();
    for (vnode, number) in seen.arrivals.keys() {
        let comes = wanted
            .arrivals
            .iter()
            .any(|a| (a.vnode, a.number) == (*vnode, *number));
        let mut vnodes = wanted.vnodes.iter();
        let adopted = vnodes.any(|v| v.id == *vnode && v.arrived_by == Some(*number));
        if !comes && !adopted {
            acts.insert(*vnode, Act::ForgetArrival(*vnode, *number));
        }
    }
    for arrival in &wanted.arrivals {
        let here = arrived(seen, arrival.vnode, arrival.number);
        let busy = acts.contains_key(&arrival.vnode) || seen.vnodes.contains_key(&arrival.vnode);
        let act = match (arrival.switching, here.near, here.whole) {
            (_, _, true) | (false, true, _) => continue,
            (true, _, false) => Act::CopyRest(Box::new(arrival.clone())),
            (false, false, false) => Act::Copy(Box::new(arrival.clone())),
        };
        if !busy {
            acts.insert(arrival.vnode, act);
        }
    }
    acts
}

/// What the masters are to be told of vnodes that come: near is what has its image here too.
#[must_use]
pub fn reports(wanted: &Assignment, seen: &Observation) -> Vec<MoveReport> {
    let told = |arrival: &AssignedArrival| {
        let here = arrived(seen, arrival.vnode, arrival.number);
        let image = seen.images.contains(&arrival.image);
        let near = !arrival.switching && here.near && image;
        // What came of memory is told to the end: no more of it comes.
        let ahead = near && here.copied.memory_rounds > 0;
        let last = ahead.then_some(MoveTold::Copied(here.copied));
        let told = match (arrival.switching, here.whole) {
            (true, true) => MoveTold::Whole,
            (false, _) if near => MoveTold::Near,
            (true | false, _) => MoveTold::Copied(here.copied),
        };
        let (vnode, number) = (arrival.vnode, arrival.number);
        let report = move |told| MoveReport {
            vnode,
            number,
            told,
        };
        last.into_iter().chain([told]).map(report)
    };
    wanted.arrivals.iter().flat_map(told).collect()
}
