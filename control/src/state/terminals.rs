//! Terminals that are shared by a link.

use imbl::{OrdMap, OrdSet};

use super::State;
use crate::id::{LogIndex, SecretHash, VnodeId};
use crate::model::Share;

/// Look-up tables of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lookup {
    share_by_secret: OrdMap<SecretHash, LogIndex>,
    shares_by_vnode: OrdSet<(VnodeId, LogIndex)>,
}

impl State {
    /// The share whose link ends with what has this hash.
    #[must_use]
    pub fn share_with(&self, secret: SecretHash) -> Option<&Share> {
        self.shares
            .get(self.lookup.terminals.share_by_secret.get(&secret)?)
    }

    /// Shares of a vnode, the oldest first.
    pub fn shares_of(&self, vnode: VnodeId) -> impl Iterator<Item = &Share> {
        let range = (vnode, LogIndex(0))..=(vnode, LogIndex(u64::MAX));
        let found = self.lookup.terminals.shares_by_vnode.range(range);
        found.filter_map(|(_, id)| self.shares.get(id))
    }

    pub(crate) fn put_share(&mut self, share: Share) {
        self.remove_share(&share.id);
        let lookup = &mut self.lookup.terminals;
        lookup.share_by_secret.insert(share.secret, share.id);
        lookup.shares_by_vnode.insert((share.vnode, share.id));
        self.shares.insert(share.id, share);
    }

    pub(crate) fn remove_share(&mut self, id: &LogIndex) {
        if let Some(share) = self.shares.remove(id) {
            let lookup = &mut self.lookup.terminals;
            lookup.share_by_secret.remove(&share.secret);
            lookup.shares_by_vnode.remove(&(share.vnode, *id));
        }
    }
}
