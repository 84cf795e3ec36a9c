//! What is particular to terminals that are shared by a link: their commands and events, and whether a link is good. The rows
//! are [`crate::model::terminal`], the rules are in [`crate::decide`]. Since version 3 (ADR 0039).

pub mod command;
pub mod due;
pub mod event;

use crate::command::Actor;
use crate::id::{SecretHash, UnixMs, VnodeId};
use crate::model::{ClusterVersion, Share, User, Vnode, VnodeWanted};
use crate::permit;
use crate::state::State;

/// The version from which on terminals are shared.
pub const SINCE: ClusterVersion = ClusterVersion(3);

/// The vnode of a share that is good at `now`: its time is not over, and whoever made it may go into the vnode still. Every
/// door asks this, at the beginning and as long as somebody looks.
#[must_use]
pub fn good<'s>(state: &'s State, share: &Share, now: UnixMs) -> Option<&'s Vnode> {
    let vnode = permit::visible_vnode(state, Actor::User(share.by), share.vnode).ok()?;
    let stays = vnode.wanted != VnodeWanted::Removed;
    (stays && now < share.until).then_some(vnode)
}

/// The share that is found by a link, if that is good at `now`. One that is over is as if it had never been.
#[must_use]
pub fn found(state: &State, secret: SecretHash, now: UnixMs) -> Option<(&Share, &Vnode)> {
    let share = state.share_with(secret)?;
    Some((share, good(state, share, now)?))
}

/// Shares of a vnode that are good at `now`, the oldest first.
pub fn open_at(state: &State, vnode: VnodeId, now: UnixMs) -> impl Iterator<Item = &Share> {
    let shares = state.shares_of(vnode);
    shares.filter(move |share| good(state, share, now).is_some())
}

/// Whether `asker` may know that it is there, and end it: whoever may go into the vnode.
#[must_use]
pub fn is_shown_to(state: &State, share: &Share, asker: &User) -> bool {
    let vnode = state.vnodes.get(&share.vnode);
    vnode.is_some_and(|vnode| permit::owns(asker, vnode.owner) && !state.is_trashed(vnode.vcluster))
}
