//! Snapshots and copies of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::VnodeId;
use crate::model::{Snapshot, SnapshotRhythm, SnapshotWhy, VnodeSeen, VnodeWanted};
use crate::state::State;

/// Each is of a vnode that is there and its disk, has a name of its own, and there are not too many; what is restored
/// is there; what is scheduled is of a vcluster.
pub(super) fn snapshots_are_sound(state: &State, broken: &mut Vec<String>) {
    let mut named = BTreeSet::new();
    let mut counts: BTreeMap<(VnodeId, &str), (SnapshotWhy, usize)> = BTreeMap::new();
    for snapshot in state.snapshots.values() {
        let vnode = state.vnodes.get(&snapshot.vnode);
        let of_vnode = vnode.is_some_and(|vnode| {
            let epoch = vnode.placement.map(|placed| placed.epoch);
            let whose = (vnode.owner, vnode.vcluster) == (snapshot.owner, snapshot.vcluster);
            // What was lost with another worker is told, and nowhere.
            whose && (epoch == Some(snapshot.epoch) || snapshot.is_failed())
        });
        let kept = state.kept_as(snapshot.key()).is_some();
        if !of_vnode || !kept && !named.insert((snapshot.vnode, &snapshot.name)) {
            broken.push(format!("snapshot {} is not sound", snapshot.name));
        }
        if kept {
            continue;
        }
        // What is being copied may stay on top of what a schedule keeps.
        if snapshot.why == SnapshotWhy::Scheduled && state.copies_of(snapshot).next().is_some() {
            continue;
        }
        let count = counts.entry((snapshot.vnode, snapshot.why.word()));
        count.or_insert((snapshot.why, 0)).1 += 1;
    }
    for ((vnode, word), (why, count)) in counts {
        if count > snapshots_max(why) {
            broken.push(format!("vnode {vnode} has {count} {word} snapshots"));
        }
    }
    for restore in state.snapshot_restores.values().filter(|r| r.is_wanted()) {
        if !state
            .snapshots
            .contains_key(&(restore.vnode, restore.snapshot))
        {
            broken.push(format!("vnode {} is restored from nothing", restore.vnode));
        }
    }
    for restore in state.snapshot_restores.values() {
        if !state.vnodes.contains_key(&restore.vnode) {
            broken.push(format!("vnode {} is restored and gone", restore.vnode));
        }
    }
    for save in state.snapshot_saves.values() {
        if !state.vnodes.contains_key(&save.vnode) {
            broken.push(format!(
                "an image is made of vnode {}, which is gone",
                save.vnode
            ));
        }
    }
    copies_have_sources(state, broken);
    for schedule in state.snapshot_schedules.values() {
        let vcluster = state.vclusters.get(&schedule.vcluster);
        let owned = vcluster.is_some_and(|vcluster| vcluster.owner == schedule.owner);
        let every = SnapshotRhythm::EVERY_MS_RANGE.contains(&schedule.rhythm.every_ms);
        let keep = SnapshotRhythm::KEEP_RANGE.contains(&schedule.rhythm.keep);
        if !owned || !every || !keep {
            let id = schedule.vcluster;
            broken.push(format!("schedule of vcluster {id} is not sound"));
        }
    }
}

/// Each is of a vnode that has not run, on the worker and of the owner of a vnode that stays until then.
pub(super) fn copies_have_sources(state: &State, broken: &mut Vec<String>) {
    for copy in state.snapshot_copies.values() {
        let vnode = state.vnodes.get(&copy.vnode);
        let leaves = vnode.is_some_and(|vnode| vnode.wanted == VnodeWanted::Removed);
        let source = state.vnodes.get(&copy.from);
        let fits = vnode.zip(source).is_some_and(|(vnode, source)| {
            let placed = vnode.placement.map(|placed| placed.worker);
            let there = placed.is_none_or(|worker| source.is_on(worker));
            let stays = source.wanted != VnodeWanted::Removed;
            there && stays && (vnode.owner, vnode.image) == (source.owner, source.image)
        });
        let ran = vnode.is_some_and(|vnode| vnode.seen == VnodeSeen::Running);
        if vnode.is_none() || ran || !leaves && !fits {
            broken.push(format!("the disk of vnode {} is of nothing", copy.vnode));
        }
    }
}

fn snapshots_max(why: SnapshotWhy) -> usize {
    match why {
        SnapshotWhy::Asked => Snapshot::PER_VNODE_MAX,
        // One that is to be taken and one that is being restored come on top of those that are kept.
        SnapshotWhy::Scheduled => *SnapshotRhythm::KEEP_RANGE.end() as usize + 2,
        SnapshotWhy::Restored => Snapshot::BEFORE_RESTORE_MAX,
    }
}
