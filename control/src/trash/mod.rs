//! Deleting with a way back: a vcluster goes into the trash first, and goes for good when its time there is over. What nobody
//! starts any more gets there by itself, after a warning, if admins want that. Since version 3 (ADR 0034).

pub mod command;
pub mod due;
pub mod event;

use crate::id::UserId;
use crate::model::trash::Trashed;
use crate::model::{ClusterVersion, User};
use crate::permit;
use crate::state::State;

/// The version from which on there is a trashed.
pub const SINCE: ClusterVersion = ClusterVersion(3);

/// Whether what is deleted now goes into the trash.
#[must_use]
pub fn is_used(state: &State) -> bool {
    state.version() >= SINCE && state.trash_policy().undo_minutes > 0
}

/// What is in the trash for `asker`: own things, for admins everybody's; the newest first.
#[must_use]
pub fn of<'s>(state: &'s State, asker: &User) -> Vec<&'s Trashed> {
    let mut trashed: Vec<&Trashed> = state
        .trashed
        .values()
        .filter(|trashed| permit::owns(asker, trashed.owner) && !state.is_going(trashed.vcluster))
        .collect();
    trashed.sort_by_key(|trashed| (std::cmp::Reverse(trashed.at), trashed.vcluster));
    trashed
}

/// What one owner deleted that must go for good so that one more has a place: the oldest.
pub(crate) fn too_many(state: &State, owner: UserId) -> Vec<&Trashed> {
    let trashed = state.trashed.values();
    let mut trashed: Vec<&Trashed> = trashed
        .filter(|trashed| trashed.owner == owner && trashed.was_deleted())
        .filter(|trashed| !state.is_going(trashed.vcluster))
        .collect();
    trashed.sort_by_key(|trashed| (trashed.at, trashed.vcluster));
    let excess = (trashed.len() + 1).saturating_sub(Trashed::PER_OWNER_MAX);
    trashed.truncate(excess);
    trashed
}
