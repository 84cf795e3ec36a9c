//! Limits of CPU, memory and processes of vnodes that run, and what to tell of them.

use std::collections::BTreeMap;

use docklet_control::assignment::{AssignedVnode, Assignment};
use docklet_control::id::VnodeId;
use docklet_control::model::VnodeWanted;
use docklet_control::report::{ResizeReport, ResizeTold};

use super::Plan;
use crate::host::{Act, Observation, SeenVnode};

/// Vnodes that run with other limits than they shall, where nothing else is to be done. What begins has the new ones.
pub(super) fn acts(wanted: &Assignment, seen: &Observation, plan: &Plan) -> BTreeMap<VnodeId, Act> {
    let mut acts = BTreeMap::new();
    for vnode in wanted
        .vnodes
        .iter()
        .filter(|v| !plan.vnodes.contains_key(&v.id))
    {
        let runs = runs_now(vnode, seen);
        if runs.is_some_and(|here| here.size != vnode.size) {
            acts.insert(vnode.id, Act::Resize(vnode.id, vnode.size));
        }
    }
    acts
}

/// The vnode as it runs for this placement.
fn runs_now<'s>(vnode: &AssignedVnode, seen: &'s Observation) -> Option<&'s SeenVnode> {
    let here = seen.vnodes.get(&vnode.id)?;
    let runs = here.running && here.epoch == Some(vnode.epoch);
    (runs && vnode.wanted == VnodeWanted::Running).then_some(here)
}

/// What to tell of vnodes of which the masters wait to hear. `waits` says why the last attempt came to nothing.
#[must_use]
pub fn reports(
    wanted: &Assignment,
    seen: &Observation,
    waits: &BTreeMap<VnodeId, String>,
) -> Vec<ResizeReport> {
    let reports = wanted.resizes.iter().filter_map(|resize| {
        let vnode = wanted.vnodes.iter().find(|v| v.id == resize.vnode)?;
        let told = if is_done(vnode, seen) {
            ResizeTold::Done
        } else {
            let cause = waits.get(&vnode.id).cloned();
            let cause = cause.or_else(|| waits_for_start(vnode, seen))?;
            ResizeTold::Waits { cause }
        };
        Some(ResizeReport {
            vnode: resize.vnode,
            number: resize.number,
            told,
        })
    });
    reports.collect()
}

/// Whether all limits hold, or whatever runs next will have them.
fn is_done(vnode: &AssignedVnode, seen: &Observation) -> bool {
    let here = seen.vnodes.get(&vnode.id);
    match vnode.wanted {
        VnodeWanted::Running => runs_now(vnode, seen).is_some_and(|here| {
            here.size == vnode.size
                && here.bandwidth == vnode.bandwidth
                && here.disk_mib >= vnode.disk_mib
        }),
        VnodeWanted::Stopped => here.is_none_or(|here| !here.running && !here.orphaned),
        VnodeWanted::Removed => false,
    }
}

fn waits_for_start(vnode: &AssignedVnode, seen: &Observation) -> Option<String> {
    let here = runs_now(vnode, seen)?;
    let waits = here.disk_mib < vnode.disk_mib && !seen.grows_disks;
    waits.then(|| {
        "its worker may not enlarge disks that are in use: the disk grows when the vnode is started next"
            .to_owned()
    })
}
