//! Shared terminals as people see them: those of vnodes that they may go into.

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, UnixMs, UserId, VnodeId};
use crate::model::{Share, User};
use crate::state::State;
use crate::terminal::{good, is_shown_to};

/// One link, without what it ends with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShareView {
    pub id: LogIndex,
    /// Whose vnode it is.
    pub owner: String,
    pub vcluster: String,
    pub vnode: String,
    /// Who made it.
    pub by: String,
    /// Guests may type.
    pub types: bool,
    pub made_at: UnixMs,
    pub until: UnixMs,
    /// Who has come by it.
    pub guests: Vec<String>,
}

/// All that are good at `now` and that `asker` may end, the oldest first.
#[must_use]
pub fn list(state: &State, asker: &User, now: UnixMs) -> Vec<ShareView> {
    let shares = state.shares.values();
    let shares = shares.filter(|share| is_shown_to(state, share, asker));
    shares.filter_map(|share| show(state, share, now)).collect()
}

/// Those of one vnode, for whoever may go into it.
#[must_use]
pub fn of_vnode(state: &State, vnode: VnodeId, now: UnixMs) -> Vec<ShareView> {
    let shares = state.shares_of(vnode);
    shares.filter_map(|share| show(state, share, now)).collect()
}

/// One of them, if it is good at `now`.
#[must_use]
pub fn show(state: &State, share: &Share, now: UnixMs) -> Option<ShareView> {
    let vnode = good(state, share, now)?;
    let vcluster = state.vclusters.get(&vnode.vcluster)?;
    let name = |user: UserId| {
        let user_row = state.users.get(&user);
        user_row.map_or_else(|| format!("user {user}"), |row| row.name.to_string())
    };
    Some(ShareView {
        id: share.id,
        owner: name(vnode.owner),
        vcluster: vcluster.name.to_string(),
        vnode: vnode.hostname(),
        by: name(share.by),
        types: share.types,
        made_at: share.made_at,
        until: share.until,
        guests: share.guests.iter().copied().map(name).collect(),
    })
}
