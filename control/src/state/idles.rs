//! Vnodes that do nothing.

use super::State;
use crate::id::VnodeId;
use crate::model::idle::VnodeIdle;

impl State {
    pub(crate) fn put_vnode_idle(&mut self, idle: VnodeIdle) {
        self.vnode_idles.insert(idle.vnode, idle);
    }

    pub(crate) fn remove_vnode_idle(&mut self, vnode: &VnodeId) {
        self.vnode_idles.remove(vnode);
    }
}
