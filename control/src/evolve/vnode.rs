//! Vnodes and their addresses.

use super::bean;
use crate::id::{UnixMs, VnodeId};
use crate::model::{Placement, Vnode, VnodeSeen};
use crate::state::State;

pub(super) fn created(state: &mut State, vnode: Vnode) {
    state.counters.vnode = state.counters.vnode.max(vnode.id.0);
    if let Some(network) = state.network_of(vnode.owner) {
        let mut network = network.clone();
        network.addresses.insert(vnode.address, vnode.id);
        state.put_network(network);
    }
    state.put_vnode(vnode);
}

pub(super) fn change(state: &mut State, id: VnodeId, with: impl FnOnce(&mut Vnode)) {
    if let Some(vnode) = state.vnodes.get(&id) {
        let mut vnode = vnode.clone();
        with(&mut vnode);
        state.put_vnode(vnode);
    }
}

pub(super) fn placed(state: &mut State, at: UnixMs, id: VnodeId, placement: Placement) {
    // It begins there with all its limits.
    state.remove_vnode_resize(&id);
    state.remove_vnode_fence(&id);
    change(state, id, |vnode| {
        vnode.placement = Some(placement);
        vnode.obstacles.clear();
        vnode.seen = VnodeSeen::Pending;
        vnode.seen_at = at;
    });
    bean::placed(state, id, placement);
}

pub(super) fn seen(state: &mut State, at: UnixMs, id: VnodeId, seen: VnodeSeen) {
    change(state, id, |vnode| {
        vnode.seen = seen;
        vnode.seen_at = at;
    });
}

pub(super) fn removed(state: &mut State, id: VnodeId) {
    state.remove_image_save(&id);
    state.remove_image_save_bound(&id);
    state.remove_vnode_wishes(&id);
    state.remove_vnode_resize(&id);
    let Some(vnode) = state.remove_vnode(&id) else {
        return;
    };
    if let Some(network) = state.network_of(vnode.owner) {
        let mut network = network.clone();
        network.addresses.remove(&vnode.address);
        state.put_network(network);
    }
}
