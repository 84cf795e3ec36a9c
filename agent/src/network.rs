//! Segments and vnodes' devices, through iproute2 and nftables.
//!
//! A segment is a bridge without an address (`dkb5`) and a VXLAN device (`dkx5`) that sends to the other workers one
//! by one. A vnode has a pair of devices: `dkh7` on the bridge, `dkc7` for the container. What enters the bridge
//! from a vnode must bear the vnode's own hardware and IP address: one nftables table of ours, nobody else's rules.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use docklet_control::assignment::{AssignedNetwork, AssignedVnode};
use docklet_control::id::{NetworkId, VnodeId};

use crate::command::run;
use crate::fault::AgentFault;

/// Room for VXLAN's own headers in a frame of 1,500 bytes.
const MTU: u32 = 1_450;
/// Where segments' packets go, on every worker.
const VXLAN_PORT: u16 = 4_789;

fn bridge(id: NetworkId) -> String {
    format!("dkb{id}")
}

fn vxlan(id: NetworkId) -> String {
    format!("dkx{id}")
}

fn host_device(id: VnodeId) -> String {
    format!("dkh{id}")
}

/// The device that the container gets.
#[must_use]
pub fn container_device(id: VnodeId) -> String {
    format!("dkc{id}")
}

/// Devices of ours in this network namespace.
///
/// # Errors
/// iproute2 fails.
pub fn devices() -> Result<BTreeSet<String>, AgentFault> {
    let listing = run("ip", &["-o", "link", "show"], "")?;
    let name = |line: &str| {
        let name = line.split(": ").nth(1)?.split('@').next()?;
        name.starts_with("dk").then(|| name.to_owned())
    };
    Ok(listing.lines().filter_map(name).collect())
}

/// Segments that are there.
#[must_use]
pub fn segments(devices: &BTreeSet<String>) -> BTreeSet<NetworkId> {
    let id = |name: &String| name.strip_prefix("dkb")?.parse().ok();
    devices.iter().filter_map(id).collect()
}

/// Makes a segment and its peers as wanted.
///
/// # Errors
/// iproute2 fails.
pub fn ensure_segment(network: &AssignedNetwork, underlay: IpAddr) -> Result<(), AgentFault> {
    let present = devices()?;
    let (bridge, vxlan) = (bridge(network.id), vxlan(network.id));
    let mut batch = String::new();
    if !present.contains(&bridge) {
        batch += &format!("link add {bridge} type bridge forward_delay 0 stp_state 0\n");
    }
    if !present.contains(&vxlan) {
        let id = network.id;
        batch +=
            &format!("link add {vxlan} type vxlan id {id} local {underlay} dstport {VXLAN_PORT}\n");
    }
    batch += &format!("link set {vxlan} master {bridge} mtu {MTU} up\n");
    batch += &format!("link set {bridge} mtu {MTU} up\n");
    run("ip", &["-batch", "-"], &batch)?;
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

/// Removes a segment; the last one takes our table with it.
///
/// # Errors
/// iproute2 or nftables fail.
pub fn remove_segment(id: NetworkId) -> Result<(), AgentFault> {
    let present = devices()?;
    let ours = [vxlan(id), bridge(id)];
    let batch: String = ours
        .iter()
        .filter(|name| present.contains(*name))
        .map(|name| format!("link del {name}\n"))
        .collect();
    run("ip", &["-batch", "-"], &batch)?;
    if segments(&devices()?).is_empty() {
        // Adding it first makes deleting it succeed when it was not there.
        nft("add table bridge docklet\ndelete table bridge docklet\n")?;
    }
    Ok(())
}

/// Makes a vnode's pair of devices anew, before each start: the container's end dies with its namespace.
///
/// # Errors
/// iproute2 or nftables fail.
pub fn plug(vnode: &AssignedVnode) -> Result<(), AgentFault> {
    delete_pair(vnode.id)?;
    let (host, container) = (host_device(vnode.id), container_device(vnode.id));
    let (mac, bridge) = (vnode.mac, bridge(vnode.network));
    let mut batch = String::new();
    batch += &format!("link add {host} type veth peer name {container}\n");
    batch += &format!("link set {container} address {mac} mtu {MTU}\n");
    batch += &format!("link set {host} master {bridge} mtu {MTU} up\n");
    run("ip", &["-batch", "-"], &batch)?;
    guard(vnode)
}

/// Removes a vnode's devices and what the guard lets through for it.
///
/// # Errors
/// iproute2 or nftables fail.
pub fn unplug(id: VnodeId) -> Result<(), AgentFault> {
    delete_pair(id)?;
    unguard(id)
}

/// Deletes a vnode's devices, if there are any. They may go by themselves at the same moment, with the namespace of
/// a container that has just ended.
fn delete_pair(id: VnodeId) -> Result<(), AgentFault> {
    let pair = [host_device(id), container_device(id)];
    let one_of_them = || -> Result<Option<&String>, AgentFault> {
        let present = devices()?;
        Ok(pair.iter().find(|device| present.contains(*device)))
    };
    let Some(device) = one_of_them()? else {
        return Ok(());
    };
    match run("ip", &["link", "del", device], "") {
        Err(fault) if one_of_them()?.is_some() => Err(fault),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The guard's table. Only IPv4 and ARP are spoken on segments, so that nobody can pose as an IPv6 router.
const GUARD: &str = "\
add table bridge docklet
add set bridge docklet allowed { typeof iifname . ether saddr . ip saddr; }
add chain bridge docklet guard { type filter hook prerouting priority -200; policy accept; }
flush chain bridge docklet guard
add rule bridge docklet guard iifname != \"dkh*\" accept
add rule bridge docklet guard ether type ip iifname . ether saddr . ip saddr @allowed accept
add rule bridge docklet guard ether type arp iifname . ether saddr . arp saddr ip @allowed accept
add rule bridge docklet guard counter drop
";

fn guard(vnode: &AssignedVnode) -> Result<(), AgentFault> {
    let host = host_device(vnode.id);
    let (mac, address) = (vnode.mac, vnode.address);
    nft(&format!(
        "{GUARD}add element bridge docklet allowed {{ \"{host}\" . {mac} . {address} }}\n"
    ))
}

fn unguard(id: VnodeId) -> Result<(), AgentFault> {
    let host = host_device(id);
    let Ok(listing) = run("nft", &["list", "set", "bridge", "docklet", "allowed"], "") else {
        // No table, no element.
        return Ok(());
    };
    let quoted = format!("\"{host}\" .");
    let elements: String = listing
        .split(['{', '}', ','])
        .map(str::trim)
        .filter(|element| element.starts_with(&quoted))
        .map(|element| format!("delete element bridge docklet allowed {{ {element} }}\n"))
        .collect();
    if elements.is_empty() {
        return Ok(());
    }
    nft(&elements)
}

fn nft(commands: &str) -> Result<(), AgentFault> {
    run("nft", &["-f", "-"], commands).map(|_| ())
}

/// Bridged frames must not pass through the host's own firewall: overlapping tenants would meet in one table.
///
/// # Errors
/// The setting exists and cannot be written.
pub fn keep_bridges_apart() -> Result<(), AgentFault> {
    for family in ["iptables", "ip6tables", "arptables"] {
        let path = format!("/proc/sys/net/bridge/bridge-nf-call-{family}");
        let path = Path::new(&path);
        if path.exists() {
            fs::write(path, "0").map_err(AgentFault::file("write", path))?;
        }
    }
    Ok(())
}
