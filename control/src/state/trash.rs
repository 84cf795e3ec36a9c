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

    pub(crate) fn put_trashed(&mut self, trashed: Trashed) {
        let id = trashed.vcluster;
        if !self.is_trashed(id) {
            for vnode in self.ids_of_vnodes(id) {
                self.uncount_vnode(vnode);
            }
        }
        self.trashed.insert(id, trashed);
    }

    pub(crate) fn remove_trashed(&mut self, id: &VclusterId) {
        if self.trashed.remove(id).is_some() {
            for vnode in self.ids_of_vnodes(*id) {
                self.count_vnode(vnode);
            }
        }
    }

    fn ids_of_vnodes(&self, vcluster: VclusterId) -> Vec<VnodeId> {
        self.vnodes_of(vcluster).map(|vnode| vnode.id).collect()
    }

    pub(crate) fn put_rest(&mut self, rest: Rest) {
        self.rests.insert(rest.vcluster, rest);
    }

    pub(crate) fn remove_rest(&mut self, id: &VclusterId) {
        self.rests.remove(id);
    }
}
