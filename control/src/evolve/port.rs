//! Open ports.

use crate::id::VnodeId;
use crate::model::{Port, PublicPort};
use crate::state::State;

pub(super) fn added(state: &mut State, port: Port) {
    if state.vnodes.contains_key(&port.vnode) {
        state.put_port(port);
    }
}

pub(super) fn removed(state: &mut State, public: PublicPort) {
    state.remove_port(&public);
}

/// No port outlives its vnode.
pub(super) fn vnode_removed(state: &mut State, vnode: VnodeId) {
    let left: Vec<PublicPort> = state.ports_of(vnode).map(|port| port.public).collect();
    for public in left {
        state.remove_port(&public);
    }
}
