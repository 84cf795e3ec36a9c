//! What is being done with a vnode's disk where it is, and keeps it there.

use crate::model::{RestoreSeen, SaveSeen, SnapshotSeen, Vnode};
use crate::state::State;

/// What would be lost or wrong elsewhere, in words; nothing if it may go.
pub(crate) fn occupation(state: &State, vnode: &Vnode) -> Option<String> {
    let saves = state.image_saves.get(&vnode.id);
    if let Some(save) = saves.filter(|save| !matches!(save.seen, SaveSeen::Failed { .. })) {
        return Some(format!("image \"{}\" is made of it", save.name));
    }
    let mut snapshots = state.snapshots_of(vnode.id);
    if let Some(snapshot) = snapshots.find(|snapshot| snapshot.seen == SnapshotSeen::Wanted) {
        return Some(format!("snapshot \"{}\" is taken", snapshot.name));
    }
    let restore = state.snapshot_restores.get(&vnode.id);
    if let Some(restore) = restore.filter(|restore| restore.seen == RestoreSeen::Wanted) {
        return Some(format!("snapshot \"{}\" is restored", restore.name));
    }
    if state.snapshot_copies.contains_key(&vnode.id) {
        return Some("its disk is made of a snapshot".to_owned());
    }
    let mut copies = state.copies_from(vnode.id);
    let copy = copies.next()?;
    Some(format!("snapshot \"{}\" of it is copied", copy.name))
}
