//! The trash, and vclusters that stand still. What is in the trash is no part of what its owner has, and has no name.

use super::State;
use crate::id::{VclusterId, VnodeId};
use crate::model::VclusterWanted;
use crate::model::trash::{Rest, TrashPolicy, Trashed};

impl State {
    /// The policy that holds.
    #[must_use]
    pub fn trash_policy(&self) -> TrashPolicy {
        self.trash_policy.unwrap_or_default()
    }

    /// Whether a vcluster is in the trash: then nobody sees or uses it.
    #[must_use]
    pub fn is_trashed(&self, vcluster: VclusterId) -> bool {
        self.trashed.contains_key(&vcluster)
    }

    /// Whether it goes for good already.
    #[must_use]
    pub fn is_going(&self, vcluster: VclusterId) -> bool {
        let row = self.vclusters.get(&vcluster);
        row.is_none_or(|row| row.wanted == VclusterWanted::Deleted)
    }

    /// Whether some vnode of it has GPUs of its own, or shall have some.
    #[must_use]
    pub fn has_gpus(&self, vcluster: VclusterId) -> bool {
        let mut vnodes = self.vnodes_of(vcluster);
        vnodes.any(|vnode| self.wishes_of(vnode.id).gpus.count > 0)
    }

    /// Whether its vnodes are a part of what their owner has: in the trash only once they go, until their workers say that
    /// nothing is left.
    pub(crate) fn is_counted(&self, vcluster: VclusterId) -> bool {
        !self.is_trashed(vcluster) || self.is_going(vcluster)
    }

    pub(crate) fn put_trashed(&mut self, trashed: Trashed) {
        let id = trashed.vcluster;
        self.counting_anew(id, |state| {
            state.trashed.insert(id, trashed);
        });
    }

    pub(crate) fn remove_trashed(&mut self, id: &VclusterId) {
        self.counting_anew(*id, |state| {
            state.trashed.remove(id);
        });
    }

    /// Changes something by which vnodes of a vcluster may count, or not.
    pub(super) fn counting_anew(&mut self, vcluster: VclusterId, change: impl FnOnce(&mut Self)) {
        let vnodes: Vec<VnodeId> = self.vnodes_of(vcluster).map(|vnode| vnode.id).collect();
        for vnode in &vnodes {
            self.uncount_vnode(*vnode);
        }
        change(self);
        for vnode in vnodes {
            self.count_vnode(vnode);
        }
    }

    pub(crate) fn put_rest(&mut self, rest: Rest) {
        self.rests.insert(rest.vcluster, rest);
    }

    pub(crate) fn remove_rest(&mut self, id: &VclusterId) {
        self.rests.remove(id);
    }
}
