//! What vclusters and vnodes want beyond their size, and who has which GPU.

use super::State;
use crate::id::{VclusterId, VnodeId};
use crate::model::{DiskOvercommit, VclusterWishes, VnodeWishes, Wishes};

impl State {
    /// What vnodes that are added to a vcluster want.
    #[must_use]
    pub fn wishes_of_vcluster(&self, vcluster: VclusterId) -> &Wishes {
        let row = self.vcluster_wishes.get(&vcluster);
        row.map_or(Wishes::usual(), |row| &row.wishes)
    }

    /// What a vnode wants.
    #[must_use]
    pub fn wishes_of(&self, vnode: VnodeId) -> &Wishes {
        let row = self.vnode_wishes.get(&vnode);
        row.map_or(Wishes::usual(), |row| &row.wishes)
    }

    /// Unique names of the GPUs that are a vnode's.
    #[must_use]
    pub fn gpus_of(&self, vnode: VnodeId) -> &[String] {
        let row = self.vnode_wishes.get(&vnode);
        row.map_or(&[][..], |row| row.gpus.as_slice())
    }

    /// Whose a GPU is.
    #[must_use]
    pub fn vnode_with_gpu(&self, uuid: &str) -> Option<VnodeId> {
        self.lookup.vnode_by_gpu.get(uuid).copied()
    }

    /// How much disk may be promised on a worker.
    #[must_use]
    pub fn overcommit_of_disks(&self) -> DiskOvercommit {
        self.disk_overcommit.unwrap_or(DiskOvercommit::USUAL)
    }

    pub(crate) fn put_vcluster_wishes(&mut self, row: VclusterWishes) {
        self.vcluster_wishes.insert(row.vcluster, row);
    }

    pub(crate) fn remove_vcluster_wishes(&mut self, vcluster: &VclusterId) {
        self.vcluster_wishes.remove(vcluster);
    }

    pub(crate) fn put_vnode_wishes(&mut self, row: VnodeWishes) {
        self.remove_vnode_wishes(&row.vnode);
        for gpu in &row.gpus {
            self.lookup.vnode_by_gpu.insert(gpu.clone(), row.vnode);
        }
        let vnode = row.vnode;
        self.uncount_vnode(vnode);
        self.vnode_wishes.insert(vnode, row);
        self.count_vnode(vnode);
    }

    pub(crate) fn remove_vnode_wishes(&mut self, vnode: &VnodeId) {
        self.uncount_vnode(*vnode);
        if let Some(row) = self.vnode_wishes.remove(vnode) {
            for gpu in &row.gpus {
                self.lookup.vnode_by_gpu.remove(gpu);
            }
        }
        self.count_vnode(*vnode);
    }
}
