//! Terminals that are shared by a link.

use std::collections::BTreeSet;

use crate::model::Share;
use crate::state::State;

/// Each is of a vnode that is there and has not too many, and is found by its own secret.
pub(super) fn shares_are_sound(state: &State, broken: &mut Vec<String>) {
    for share in state.shares.values() {
        let longest = share
            .made_at
            .plus_ms(u64::from(Share::MINUTES_MAX) * 60_000);
        let timely = share.made_at < share.until && share.until <= longest;
        let found = state.share_with(share.secret).map(|found| found.id) == Some(share.id);
        if !timely || !found || !state.vnodes.contains_key(&share.vnode) {
            broken.push(format!("share {} is not sound", share.id));
        }
    }
    let shared: BTreeSet<_> = state.shares.values().map(|share| share.vnode).collect();
    for vnode in shared {
        let count = state.shares_of(vnode).count();
        if count > Share::PER_VNODE_MAX {
            broken.push(format!("vnode {vnode} has {count} links to terminals"));
        }
    }
}
