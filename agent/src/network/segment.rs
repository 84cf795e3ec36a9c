//! A user's segment on this worker: the bridge and its way to the other workers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use docklet_control::assignment::AssignedNetwork;
use docklet_control::id::NetworkId;

use super::names::{self, MTU, bridge, vxlan};
use super::space::set_parameter;
use crate::command::run;
use crate::fault::AgentFault;

/// Where segments' packets go, on every worker.
const VXLAN_PORT: u16 = 4_789;

/// Makes a segment and its peers as wanted.
///
/// # Errors
/// iproute2 fails.
pub fn ensure(network: &AssignedNetwork, underlay: IpAddr) -> Result<(), AgentFault> {
    let present = names::devices()?;
    let (bridge, vxlan) = (bridge(network.id), vxlan(network.id));
    let mut batch = String::new();
    if !present.contains(&bridge) {
        batch += &format!(
            "link add {bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n"
        );
    }
    if !present.contains(&vxlan) {
        let id = network.id;
        batch +=
            &format!("link add {vxlan} type vxlan id {id} local {underlay} dstport {VXLAN_PORT}\n");
    }
    batch += &format!("link set {vxlan} master {bridge} mtu {MTU} up\n");
    batch += &format!("link set {bridge} mtu {MTU} up\n");
    run("ip", &["-batch", "-"], &batch)?;
    for device in [&vxlan, &bridge] {
        speak_no_ipv6(device)?;
    }
    ensure_peers(&vxlan, &network.peers)
}

/// Floods go to each peer by its own copy: no multicast is asked of the network between workers.
fn ensure_peers(vxlan: &str, wanted: &[IpAddr]) -> Result<(), AgentFault> {
    let listing = run("bridge", &["fdb", "show", "dev", vxlan], "")?;
    let flood = |line: &str| {
        let rest = line.strip_prefix("00:00:00:00:00:00 dst ")?;
        rest.split(' ').next()?.parse().ok()
    };
    let present: BTreeSet<IpAddr> = listing.lines().filter_map(flood).collect();
    let wanted: BTreeSet<IpAddr> = wanted.iter().copied().collect();
    let mut batch = String::new();
    for peer in wanted.difference(&present) {
        batch += &format!("fdb append 00:00:00:00:00:00 dev {vxlan} dst {peer}\n");
    }
    for peer in present.difference(&wanted) {
        batch += &format!("fdb del 00:00:00:00:00:00 dev {vxlan} dst {peer}\n");
    }
    if batch.is_empty() {
        return Ok(());
    }
    run("bridge", &["-batch", "-"], &batch).map(|_| ())
}

/// Removes a segment's devices.
///
/// # Errors
/// iproute2 fails.
pub fn remove(id: NetworkId) -> Result<(), AgentFault> {
    let present = names::devices()?;
    let ours = [vxlan(id), bridge(id)];
    let batch: String = ours
        .iter()
        .filter(|name| present.contains(*name))
        .map(|name| format!("link del {name}\n"))
        .collect();
    if batch.is_empty() {
        return Ok(());
    }
    run("ip", &["-batch", "-"], &batch).map(|_| ())
}

/// The worker has no address on a device of ours, and says nothing there by itself.
///
/// # Errors
/// The setting exists and cannot be written.
pub fn speak_no_ipv6(device: &str) -> Result<(), AgentFault> {
    set_parameter(&format!("ipv6/conf/{device}/disable_ipv6"), "1")
}

/// Bridged frames must not pass through the worker's own firewall: overlapping segments would meet in one table.
///
/// # Errors
/// The setting exists and cannot be written.
pub fn keep_bridges_apart() -> Result<(), AgentFault> {
    for family in ["iptables", "ip6tables", "arptables"] {
        set_parameter(&format!("bridge/bridge-nf-call-{family}"), "0")?;
    }
    Ok(())
}
