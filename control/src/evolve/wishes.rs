//! What vclusters and vnodes want beyond their size.

use crate::id::{VclusterId, VnodeId};
use crate::model::{VclusterWishes, VnodeWishes, Wishes};
use crate::state::State;

pub(super) fn of_vcluster(state: &mut State, vcluster: VclusterId, wishes: Wishes) {
    if state.vclusters.contains_key(&vcluster) {
        state.put_vcluster_wishes(VclusterWishes { vcluster, wishes });
    }
}

pub(super) fn of_vnode(state: &mut State, vnode: VnodeId, wishes: Wishes) {
    let gpus = state.gpus_of(vnode).to_vec();
    put(state, vnode, wishes, gpus);
}

pub(super) fn gpus_given(state: &mut State, vnode: VnodeId, gpus: Vec<String>) {
    let wishes = state.wishes_of(vnode).clone();
    put(state, vnode, wishes, gpus);
}

fn put(state: &mut State, vnode: VnodeId, wishes: Wishes, gpus: Vec<String>) {
    if state.vnodes.contains_key(&vnode) {
        state.put_vnode_wishes(VnodeWishes {
            vnode,
            wishes,
            gpus,
        });
    }
}
