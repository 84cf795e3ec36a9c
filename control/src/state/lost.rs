//! Vnodes that are restarted elsewhere when their worker is lost, and workers that look lost for drills.

use super::State;
use crate::id::{DrillId, LogIndex, VnodeId};
use crate::model::{OnLost, Vnode, VnodeFence, VnodeLoss, WorkerLoss};

impl State {
    /// The entry that asks a vnode's worker to end it when it is cut off; none if nobody asks for that.
    #[must_use]
    pub fn fence_wanted(&self, vnode: &Vnode) -> Option<LogIndex> {
        let row = self.vcluster_rules.get(&vnode.vcluster)?;
        (row.rules.on_lost == OnLost::Restart).then_some(row.on_lost_since)
    }

    /// Whether the vnode's worker has said that it ends it when it is cut off: of this placement, and as it is asked for now.
    #[must_use]
    pub fn is_fenced(&self, vnode: &Vnode) -> bool {
        let Some((placed, number)) = vnode.placement.zip(self.fence_wanted(vnode)) else {
            return false;
        };
        let row = self.vnode_fences.get(&vnode.id);
        row.is_some_and(|row| (row.epoch, row.number) == (placed.epoch, number))
    }

    pub(crate) fn put_vnode_fence(&mut self, row: VnodeFence) {
        self.vnode_fences.insert(row.vnode, row);
    }

    pub(crate) fn remove_vnode_fence(&mut self, vnode: &VnodeId) {
        self.vnode_fences.remove(vnode);
    }

    pub(crate) fn put_loss(&mut self, row: WorkerLoss) {
        self.losses.insert(row.drill, row);
    }

    pub(crate) fn remove_loss(&mut self, drill: &DrillId) {
        self.losses.remove(drill);
    }

    pub(crate) fn put_vnode_loss(&mut self, row: VnodeLoss) {
        self.vnode_losses.insert(row.vnode, row);
    }

    pub(crate) fn remove_vnode_loss(&mut self, vnode: &VnodeId) {
        self.vnode_losses.remove(vnode);
    }
}
