//! Names of everything that the agent makes in the worker's network namespace: they follow from ids, so that whatever a
//! crash left is found again.

use std::collections::BTreeSet;
use std::fs;

use docklet_control::id::{NetworkId, VnodeId};
use docklet_control::model::vnode::MacAddress;

use crate::fault::AgentFault;

/// Room for VXLAN's own headers in a frame of 1,500 bytes.
pub const MTU: u32 = 1_450;

/// Hardware addresses of gateways begin with this, those of vnodes with 0a: neither can be taken for the other.
pub const GATEWAY_MAC: u8 = 0x0e;

/// A segment's bridge.
#[must_use]
pub fn bridge(id: NetworkId) -> String {
    format!("dkb{id}")
}

/// Its way to the other workers.
#[must_use]
pub fn vxlan(id: NetworkId) -> String {
    format!("dkx{id}")
}

/// Its gateway's port on the bridge; the other end is `in0` in the gateway's namespace.
#[must_use]
pub fn gateway_port(id: NetworkId) -> String {
    format!("dkn{id}")
}

/// Where the worker meets the gateway; the other end is `out0` in the gateway's namespace.
#[must_use]
pub fn gateway_link(id: NetworkId) -> String {
    format!("dkg{id}")
}

/// A vnode's end on the bridge.
#[must_use]
pub fn host_device(id: VnodeId) -> String {
    format!("dkh{id}")
}

/// The device that the container gets.
#[must_use]
pub fn container_device(id: VnodeId) -> String {
    format!("dkc{id}")
}

/// What a vnode sends passes this device where it is limited.
#[must_use]
pub fn upload_device(id: VnodeId) -> String {
    format!("dku{id}")
}

/// A gateway's hardware address: the same on each worker, so that a vnode that moves goes on with what it knows.
#[must_use]
pub fn gateway_mac(id: NetworkId) -> MacAddress {
    let [.., a, b, c, d, e] = id.0.to_be_bytes();
    MacAddress([GATEWAY_MAC, a, b, c, d, e])
}

/// Devices of ours in the network namespace of the calling thread.
///
/// # Errors
/// The kernel does not tell.
pub fn devices() -> Result<BTreeSet<String>, AgentFault> {
    let path = "/proc/thread-self/net/dev";
    let listing = fs::read_to_string(path).map_err(AgentFault::file("read", path))?;
    let name = |line: &str| {
        let (name, _) = line.split_once(':')?;
        let name = name.trim();
        name.starts_with("dk").then(|| name.to_owned())
    };
    Ok(listing.lines().filter_map(name).collect())
}

/// Segments of which any device is there.
#[must_use]
pub fn segments(devices: &BTreeSet<String>) -> BTreeSet<NetworkId> {
    let of = |name: &String| {
        ["dkb", "dkx", "dkn", "dkg"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix)?.parse().ok())
    };
    devices.iter().filter_map(of).collect()
}
