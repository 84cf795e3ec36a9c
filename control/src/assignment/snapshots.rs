//! What workers must make true of snapshots.

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, VnodeId};
use crate::model::Vnode;
use crate::state::State;

/// A snapshot of a vnode that must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignedSnapshot {
    pub vnode: VnodeId,
    /// The entry that asked for it.
    pub number: LogIndex,
    /// Whether the worker has said that it is there: one that is missing then is lost, and not taken anew.
    pub taken: bool,
}

/// A snapshot that is to be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignedRestore {
    pub vnode: VnodeId,
    /// The entry that asked for it, and the number of the snapshot that is left of what was there before.
    pub number: LogIndex,
    /// The snapshot.
    pub snapshot: LogIndex,
}

/// A snapshot of another vnode on the worker, of which a disk begins as a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignedCopy {
    /// Whose snapshot.
    pub vnode: VnodeId,
    pub number: LogIndex,
}

pub(super) fn assigned_snapshots<'s>(
    state: &'s State,
    vnode: &Vnode,
) -> impl Iterator<Item = AssignedSnapshot> + use<'s> {
    let epoch = vnode.placement.map(|placed| placed.epoch);
    let here = state
        .snapshots_of(vnode.id)
        .filter(move |snapshot| Some(snapshot.epoch) == epoch && !snapshot.is_failed());
    here.map(|snapshot| AssignedSnapshot {
        vnode: snapshot.vnode,
        number: snapshot.number,
        taken: snapshot.is_taken(),
    })
}

pub(super) fn assigned_restore(state: &State, vnode: &Vnode) -> Option<AssignedRestore> {
    let restore = state.snapshot_restores.get(&vnode.id)?;
    let here = vnode
        .placement
        .is_some_and(|placed| placed.epoch == restore.epoch);
    (here && restore.is_wanted()).then_some(AssignedRestore {
        vnode: vnode.id,
        number: restore.number,
        snapshot: restore.snapshot,
    })
}

pub(super) fn assigned_copy(state: &State, vnode: &Vnode) -> Option<AssignedCopy> {
    let copy = state.snapshot_copies.get(&vnode.id)?;
    Some(AssignedCopy {
        vnode: copy.from,
        number: copy.snapshot,
    })
}
