//! Ports that are open to the outside.

use super::State;
use crate::id::VnodeId;
use crate::model::{Port, PublicPort};

impl State {
    /// Open ports of a vnode.
    pub fn ports_of(&self, vnode: VnodeId) -> impl Iterator<Item = &Port> {
        let range = (vnode, PublicPort::LEAST)..=(vnode, PublicPort::GREATEST);
        self.lookup
            .ports_by_vnode
            .range(range)
            .filter_map(|(_, public)| self.ports.get(public))
    }

    pub(crate) fn put_port(&mut self, port: Port) {
        self.remove_port(&port.public);
        self.lookup.ports_by_vnode.insert((port.vnode, port.public));
        self.count_port(port.owner);
        self.ports.insert(port.public, port);
    }

    pub(crate) fn remove_port(&mut self, public: &PublicPort) {
        if let Some(port) = self.ports.remove(public) {
            self.lookup.ports_by_vnode.remove(&(port.vnode, *public));
            self.uncount_port(port.owner);
        }
    }
}
