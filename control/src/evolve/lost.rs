//! Vnodes whose workers are lost.

use crate::id::{UnixMs, VnodeId};
use crate::model::{Placement, VnodeFence, VnodeLoss};
use crate::state::State;

pub(super) fn fenced(state: &mut State, fence: VnodeFence) {
    if state.vnodes.contains_key(&fence.vnode) {
        state.put_vnode_fence(fence);
    }
}

pub(super) fn lost(state: &mut State, at: UnixMs, vnode: VnodeId, lost: Placement) {
    if state.vnodes.contains_key(&vnode) {
        state.put_vnode_loss(VnodeLoss { vnode, lost, at });
    }
}

pub(super) fn vnode_removed(state: &mut State, vnode: VnodeId) {
    state.remove_vnode_fence(&vnode);
    state.remove_vnode_loss(&vnode);
}
