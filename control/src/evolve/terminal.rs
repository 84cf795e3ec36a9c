//! Terminals that are shared by a link.

use crate::id::{LogIndex, VnodeId};
use crate::model::Share;
use crate::state::State;
use crate::terminal::event::TerminalEvent;

pub(super) fn evolve(state: &mut State, event: TerminalEvent) {
    match event {
        TerminalEvent::Shared { share, .. } => state.put_share(share),
        TerminalEvent::Unshared { share, .. } => state.remove_share(&share),
        TerminalEvent::Joined { share, guest, .. } => {
            if let Some(share) = state.shares.get(&share)
                && share.guests.len() < Share::GUESTS_MAX
                && !share.guests.contains(&guest)
            {
                let mut share = share.clone();
                share.guests.insert(guest);
                state.put_share(share);
            }
        }
    }
}

pub(super) fn vnode_removed(state: &mut State, vnode: VnodeId) {
    let shares: Vec<LogIndex> = state.shares_of(vnode).map(|share| share.id).collect();
    for share in shares {
        state.remove_share(&share);
    }
}
