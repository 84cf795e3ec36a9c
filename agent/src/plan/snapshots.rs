//! What is to be done about snapshots: those that are assigned are taken, others go, and a vnode that is to get back what
//! one has stands still for it.

use std::collections::BTreeMap;

use docklet_control::assignment::{AssignedRestore, AssignedSnapshot, AssignedVnode, Assignment};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted;
use docklet_control::report::{SnapshotReport, SnapshotTold};

use super::{Plan, moves, vnode_acts};
use crate::host::{Act, Observation};
use crate::snapshot::notes::SeenSnapshots;

/// The acts for one vnode, with a restore that it waits for among them.
pub(super) fn acts_of_vnode(
    wanted: &Assignment,
    vnode: &AssignedVnode,
    seen: &Observation,
) -> Vec<Act> {
    let Some(restore) = restoring(wanted, vnode, seen) else {
        return vnode_acts(wanted, vnode, seen);
    };
    let stopped = AssignedVnode {
        wanted: VnodeWanted::Stopped,
        ..vnode.clone()
    };
    let mut acts = vnode_acts(wanted, &stopped, seen);
    // What was asked for before it is of what was there before it.
    let earlier = to_take(wanted, vnode, seen).filter(|number| *number < restore.number);
    acts.extend(earlier.map(|number| Act::TakeSnapshot(Box::new(vnode.clone()), number)));
    acts.push(Act::Restore(Box::new(vnode.clone()), *restore));
    let mut then = seen.clone();
    if let Some(here) = then.vnodes.get_mut(&vnode.id) {
        here.running = false;
        here.orphaned = false;
    }
    acts.extend(vnode_acts(wanted, vnode, &then));
    acts
}

/// The restore that a vnode waits for, if it can be carried out.
#[must_use]
pub fn restoring<'w>(
    wanted: &'w Assignment,
    vnode: &AssignedVnode,
    seen: &Observation,
) -> Option<&'w AssignedRestore> {
    let mut restores = wanted.restores.iter();
    let restore = restores.find(|restore| restore.vnode == vnode.id)?;
    let ended = seen
        .snapshots
        .get(&vnode.id)
        .is_some_and(|snapshots| snapshots.has_ended(restore.number));
    (is_settled(vnode, seen) && !ended).then_some(restore)
}

/// Whether its files are here, those of this placement, and stay.
fn is_settled(vnode: &AssignedVnode, seen: &Observation) -> bool {
    let here = seen.vnodes.get(&vnode.id);
    let current = here.is_some_and(|here| here.epoch == Some(vnode.epoch));
    current && vnode.wanted != VnodeWanted::Removed
}

fn assigned(wanted: &Assignment, id: VnodeId) -> impl Iterator<Item = &AssignedSnapshot> {
    let all = wanted.snapshots.iter().flatten();
    all.filter(move |snapshot| snapshot.vnode == id)
}

/// Snapshots that nobody has yet and of which nothing is noted, the oldest first.
fn to_take(
    wanted: &Assignment,
    vnode: &AssignedVnode,
    seen: &Observation,
) -> impl Iterator<Item = LogIndex> {
    let known = seen.snapshots.get(&vnode.id).cloned().unwrap_or_default();
    let waits = |snapshot: &AssignedSnapshot| {
        let given_up = known.restored.as_ref().is_some_and(|(number, told)| {
            let not_restored = matches!(told, SnapshotTold::NotRestored { .. });
            not_restored && *number == snapshot.number
        });
        !snapshot.taken && !known.told.contains_key(&snapshot.number) && !given_up
    };
    let waiting = assigned(wanted, vnode.id).filter(|snapshot| waits(snapshot));
    let mut numbers: Vec<LogIndex> = waiting.map(|snapshot| snapshot.number).collect();
    numbers.sort_unstable();
    numbers.into_iter()
}

/// For vnodes that are not in motion. Nothing is deleted for masters that know of no snapshots.
pub(super) fn acts(
    wanted: &Assignment,
    seen: &Observation,
    plan: &Plan,
) -> BTreeMap<VnodeId, Vec<Act>> {
    let mut acts = BTreeMap::new();
    let still =
        |vnode: &&AssignedVnode| is_settled(vnode, seen) && !plan.vnodes.contains_key(&vnode.id);
    for vnode in wanted.vnodes.iter().filter(still) {
        let mut of_vnode = to_delete(wanted, vnode.id, seen);
        let take = |number| Act::TakeSnapshot(Box::new(vnode.clone()), number);
        of_vnode.extend(to_take(wanted, vnode, seen).map(take));
        if !of_vnode.is_empty() {
            acts.insert(vnode.id, of_vnode);
        }
    }
    acts
}

fn to_delete(wanted: &Assignment, id: VnodeId, seen: &Observation) -> Vec<Act> {
    let Some(here) = seen
        .snapshots
        .get(&id)
        .filter(|_| wanted.snapshots.is_some())
    else {
        return Vec::new();
    };
    let kept = |number: &LogIndex| assigned(wanted, id).any(|s| s.number == *number);
    let gone = here.numbers.iter().filter(|number| !kept(number));
    gone.map(|number| Act::DeleteSnapshot(id, *number))
        .collect()
}

/// What to tell the masters: what they do not know yet of what they assigned.
#[must_use]
pub fn reports(wanted: &Assignment, seen: &Observation) -> Vec<SnapshotReport> {
    let nothing = SeenSnapshots::default();
    let here = |id: VnodeId| seen.snapshots.get(&id).unwrap_or(&nothing);
    let assigned = wanted.snapshots.iter().flatten();
    let here_yet = assigned.filter(|snapshot| !is_coming(wanted, snapshot.vnode, seen));
    let snapshots = here_yet.filter_map(|snapshot| {
        let told = here(snapshot.vnode).told.get(&snapshot.number);
        let told = match (snapshot.taken, told) {
            (true, Some(SnapshotTold::Taken { .. })) | (false, None) => return None,
            (true, None) => SnapshotTold::Failed {
                cause: "its file is gone from the worker".to_owned(),
            },
            (_, Some(told)) => told.clone(),
        };
        Some(SnapshotReport {
            vnode: snapshot.vnode,
            number: snapshot.number,
            told,
        })
    });
    let restores = wanted.restores.iter().filter_map(|restore| {
        let (number, told) = match &here(restore.vnode).restored {
            Some((number, told)) if *number >= restore.number => (*number, told.clone()),
            _ => return nowhere(wanted, seen, restore),
        };
        Some(SnapshotReport {
            vnode: restore.vnode,
            number,
            told,
        })
    });
    snapshots.chain(restores).collect()
}

/// Whether what was copied of a vnode is still to be taken over, its snapshots with it.
fn is_coming(wanted: &Assignment, id: VnodeId, seen: &Observation) -> bool {
    let mut vnodes = wanted.vnodes.iter();
    let vnode = vnodes.find(|vnode| vnode.id == id);
    vnode.is_some_and(|vnode| moves::adopting(vnode, seen).is_some())
}

/// A vnode that shall not run and has no files here has nothing to be restored either.
fn nowhere(
    wanted: &Assignment,
    seen: &Observation,
    restore: &AssignedRestore,
) -> Option<SnapshotReport> {
    let mut vnodes = wanted.vnodes.iter();
    let vnode = vnodes.find(|vnode| vnode.id == restore.vnode)?;
    let stays_away = vnode.wanted == VnodeWanted::Stopped && !seen.vnodes.contains_key(&vnode.id);
    stays_away.then(|| SnapshotReport {
        vnode: vnode.id,
        number: restore.number,
        told: SnapshotTold::NotRestored {
            cause: "the vnode has no files on this worker".to_owned(),
        },
    })
}
