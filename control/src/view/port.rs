//! Open ports as people are shown them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::id::{UnixMs, VclusterId};
use crate::model::{Port, PortNumber, Protocol, User};
use crate::permit;
use crate::state::State;
use crate::view::part::{Part, Wanted};

/// One open port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PortView {
    pub protocol: Protocol,
    /// What the outside asks for.
    pub public: PortNumber,
    /// Where it leads to: the vcluster's name, `host-0`, and the vnode's own port.
    pub vcluster: String,
    pub vnode: String,
    pub number: PortNumber,
    pub owner: String,
    /// Address and port to connect to, at the vnode's worker; none while it waits for one.
    pub address: Option<String>,
    /// That worker's name.
    pub worker: Option<String>,
    pub added_at: UnixMs,
}

/// Open ports that `asker` may see, by number.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<PortView> {
    part(state, asker, &Wanted::all()).rows
}

/// Part of that list; what is looked for is in the vcluster's name.
#[must_use]
pub fn part(state: &State, asker: &User, wanted: &Wanted) -> Part<PortView> {
    let found = |port: &Port| {
        let vcluster = state.vclusters.get(&port.vcluster);
        wanted.finds(vcluster.map_or("", |vcluster| vcluster.name.as_str()))
    };
    let ports = state.ports.values();
    let ports = ports.filter(|port| permit::owns(asker, port.owner) && found(port));
    let rows = ports.map(|port| ((port.public.number, port.public.protocol), port));
    let read = |text: &str| {
        let (number, protocol) = text.split_once('/')?;
        let protocol = [Protocol::Tcp, Protocol::Udp]
            .into_iter()
            .find(|known| known.word() == protocol)?;
        Some((PortNumber(number.parse().ok()?), protocol))
    };
    let tell =
        |(number, protocol): &(PortNumber, Protocol)| format!("{number}/{}", protocol.word());
    wanted.of(rows.collect(), read, tell, |port| show(state, port))
}

/// Open ports of a vcluster, by vnode.
#[must_use]
pub fn of_vcluster(state: &State, vcluster: VclusterId) -> Vec<PortView> {
    let vnodes = state.live_vnodes_of(vcluster);
    let ports = vnodes.iter().flat_map(|vnode| state.ports_of(vnode.id));
    ports.map(|port| show(state, port)).collect()
}

fn show(state: &State, port: &Port) -> PortView {
    let vnode = state.vnodes.get(&port.vnode);
    let placement = vnode.and_then(|vnode| vnode.placement);
    let worker = placement.and_then(|placed| state.workers.get(&placed.worker));
    let address = worker.and_then(|worker| worker.data_addr.parse::<SocketAddr>().ok());
    let vcluster = state.vclusters.get(&port.vcluster);
    let owner = state.users.get(&port.owner);
    PortView {
        protocol: port.public.protocol,
        public: port.public.number,
        vcluster: vcluster.map(|v| v.name.to_string()).unwrap_or_default(),
        vnode: vnode.map(|v| v.hostname()).unwrap_or_default(),
        number: port.number,
        owner: owner.map(|user| user.name.to_string()).unwrap_or_default(),
        address: address.map(|at| SocketAddr::new(at.ip(), port.public.number.0).to_string()),
        worker: worker.map(|worker| worker.name.to_string()),
        added_at: port.added_at,
    }
}
