//! Snapshots, schedules and what is being restored.

use crate::id::{LogIndex, VnodeId};
use crate::snapshot::event::SnapshotEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: SnapshotEvent) {
    match event {
        SnapshotEvent::Asked { snapshot } => {
            if state.vnodes.contains_key(&snapshot.vnode) {
                state.put_snapshot(snapshot);
            }
        }
        SnapshotEvent::Seen {
            about,
            number,
            seen,
        } => {
            if let Some(snapshot) = state.snapshots.get(&(about.vnode, number)) {
                let mut snapshot = snapshot.clone();
                snapshot.seen = seen;
                state.put_snapshot(snapshot);
            }
        }
        SnapshotEvent::Deleted { about, number, .. } => {
            state.remove_snapshot(&(about.vnode, number));
            super::trash::snapshot_gone(state, (about.vnode, number));
        }
        SnapshotEvent::RestoreSeen { restore, .. } => {
            if state.vnodes.contains_key(&restore.vnode) {
                state.put_snapshot_restore(restore);
            }
        }
        SnapshotEvent::Scheduled { schedule } => {
            if state.vclusters.contains_key(&schedule.vcluster) {
                state.put_snapshot_schedule(schedule);
            }
        }
        SnapshotEvent::SaveSourced { save, .. } => {
            if state.vnodes.contains_key(&save.vnode) {
                state.put_snapshot_save(save);
            }
        }
        SnapshotEvent::CopyWanted { copy, .. } => {
            if state.vnodes.contains_key(&copy.vnode) {
                state.put_snapshot_copy(copy);
            }
        }
        SnapshotEvent::Copied { about } => state.remove_snapshot_copy(&about.vnode),
        SnapshotEvent::Unscheduled { about } => state.remove_snapshot_schedule(&about.vcluster),
    }
}

/// No snapshot outlives its vnode.
pub(super) fn vnode_removed(state: &mut State, vnode: VnodeId) {
    let left: Vec<LogIndex> = state.snapshots_of(vnode).map(|s| s.number).collect();
    for number in left {
        state.remove_snapshot(&(vnode, number));
        super::trash::snapshot_gone(state, (vnode, number));
    }
    state.remove_snapshot_restore(&vnode);
    state.remove_snapshot_save(&vnode);
    state.remove_snapshot_copy(&vnode);
}
