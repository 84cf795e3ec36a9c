//! What passes a segment's bridge: one nftables table of ours, nobody else's rules.
//!
//! From a vnode comes nothing but IPv4 and ARP with the vnode's own hardware and IP address: no other's address, no
//! router's or DHCP server's announcements, no IPv6, no tagged frames. A gateway stands on each worker of a segment
//! with the same addresses, so its frames and questions for it never cross to another worker. The worker itself
//! says nothing on a segment, and hears nothing but answers to its question whether a vnode is there (`arp.rs`).
//! While a vnode is brought back from a checkpoint, nothing comes to it.

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{NetworkId, VnodeId};
use std::io;
use std::net::Ipv4Addr;

use super::element::{self, Key};
use super::names::{GATEWAY_MAC, host_device, vxlan};
use super::{elements, nft};
use crate::fault::AgentFault;

const TABLE: [&str; 2] = ["bridge", "docklet"];

/// The table without its elements. Repeating it changes nothing: chains are flushed and filled in one transaction.
fn rules() -> String {
    let of_a_gateway = format!("& ff:00:00:00:00:00 == {GATEWAY_MAC:02x}:00:00:00:00:00");
    format!(
        "\
add table bridge docklet
add set bridge docklet allowed {{ typeof iifname . ether saddr . ip saddr; }}
add set bridge docklet gateways {{ typeof oifname . arp daddr ip; }}
add set bridge docklet held {{ typeof oifname; }}
add chain bridge docklet guard {{ type filter hook prerouting priority -200; policy accept; }}
add chain bridge docklet tunnel {{ type filter hook forward priority -200; policy accept; }}
add chain bridge docklet inward {{ type filter hook input priority -200; policy accept; }}
add chain bridge docklet outward {{ type filter hook output priority -200; policy accept; }}
add chain bridge docklet hold {{ type filter hook postrouting priority -200; policy accept; }}
flush chain bridge docklet guard
flush chain bridge docklet tunnel
flush chain bridge docklet inward
flush chain bridge docklet outward
flush chain bridge docklet hold
add rule bridge docklet guard iifname \"dkx*\" ether saddr {of_a_gateway} counter drop
add rule bridge docklet guard iifname \"dkx*\" ether type arp iifname . arp saddr ip @gateways counter drop
add rule bridge docklet guard iifname != \"dkh*\" accept
add rule bridge docklet guard ether type ip udp sport 67 counter drop
add rule bridge docklet guard ether type ip iifname . ether saddr . ip saddr @allowed accept
add rule bridge docklet guard ether type arp arp htype 1 arp ptype ip arp operation {{ request, reply }} \
iifname . ether saddr . arp saddr ip @allowed iifname . arp saddr ether . arp saddr ip @allowed accept
add rule bridge docklet guard counter drop
add rule bridge docklet tunnel oifname \"dkx*\" ether saddr {of_a_gateway} counter drop
add rule bridge docklet tunnel oifname \"dkx*\" ether daddr {of_a_gateway} counter drop
add rule bridge docklet tunnel oifname \"dkx*\" ether type arp oifname . arp daddr ip @gateways counter drop
add rule bridge docklet inward iifname \"dkh*\" ether type arp arp operation reply accept
add rule bridge docklet inward iifname \"dkh*\" counter drop
add rule bridge docklet inward iifname \"dkx*\" counter drop
add rule bridge docklet inward iifname \"dkn*\" counter drop
add rule bridge docklet outward oifname \"dkh*\" counter drop
add rule bridge docklet outward oifname \"dkx*\" counter drop
add rule bridge docklet outward oifname \"dkn*\" counter drop
add rule bridge docklet hold oifname @held counter drop
"
    )
}

/// Sets the table up for a segment whose gateway has this address, and lets through what these vnodes of it may send.
///
/// # Errors
/// nftables fails.
pub fn ensure<'v>(
    network: NetworkId,
    gateway: Option<Ipv4Addr>,
    vnodes: impl IntoIterator<Item = &'v AssignedVnode>,
) -> Result<(), AgentFault> {
    let mut commands = rules();
    if let Some(gateway) = gateway {
        let vxlan = vxlan(network);
        commands += &format!("add element bridge docklet gateways {{ \"{vxlan}\" . {gateway} }}\n");
    }
    commands.extend(vnodes.into_iter().map(allowed));
    nft(&commands)
}

/// Lets through what vnodes may send. The table is there, as their segments are; if not, it is made anew. Nothing is deleted:
/// whoever does waits for a grace period of the kernel's RCU.
///
/// # Errors
/// nftables fails.
pub fn admit(vnodes: &[AssignedVnode]) -> Result<(), AgentFault> {
    let device = |vnode: &AssignedVnode| host_device(vnode.id);
    let key = |vnode| Key::device_with(&device(vnode), vnode.mac, vnode.address);
    let keys: Vec<Key> = vnodes.iter().map(key).collect();
    match element::add(TABLE[1], "allowed", &keys) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            nft(&(rules() + &vnodes.iter().map(allowed).collect::<String>()))
        }
        added => added.map_err(AgentFault::file("add to the set of nftables", "allowed")),
    }
}

/// Keeps from a vnode whatever is sent to it: its network is there before the sockets of its processes are, and would
/// answer for them that their connections do not exist. The device is on the bridge already.
///
/// # Errors
/// nftables fails.
pub fn hold(id: VnodeId) -> Result<(), AgentFault> {
    element::add(TABLE[1], "held", &[Key::device(&host_device(id))])
        .map_err(AgentFault::file("add to the set of nftables", "held"))
}

/// What nftables is told for a vnode to get again what is sent to it; it was held, or this fails.
#[must_use]
pub fn let_in(id: VnodeId) -> String {
    let device = host_device(id);
    format!("delete element bridge docklet held {{ \"{device}\" }}\n")
}

/// Keeps nothing from a vnode any more, if anything was.
///
/// # Errors
/// nftables fails.
pub fn release(id: VnodeId) -> Result<(), AgentFault> {
    delete("held", &host_device(id))
}

fn allowed(vnode: &AssignedVnode) -> String {
    let host = host_device(vnode.id);
    let (mac, address) = (vnode.mac, vnode.address);
    format!("add element bridge docklet allowed {{ \"{host}\" . {mac} . {address} }}\n")
}

/// Lets nothing through for a vnode any more, and keeps nothing from it.
///
/// # Errors
/// nftables fails.
pub fn forget(id: VnodeId) -> Result<(), AgentFault> {
    delete("allowed", &host_device(id))?;
    release(id)
}

/// Forgets a segment's gateway.
///
/// # Errors
/// nftables fails.
pub fn forget_segment(id: NetworkId) -> Result<(), AgentFault> {
    delete("gateways", &vxlan(id))
}

/// Takes a device's elements out of a set.
fn delete(set: &str, device: &str) -> Result<(), AgentFault> {
    let (alone, begins) = (format!("\"{device}\""), format!("\"{device}\" ."));
    let commands: String = elements("set", &TABLE, set)
        .iter()
        .filter(|element| **element == alone || element.starts_with(&begins))
        .map(|element| format!("delete element bridge docklet {set} {{ {element} }}\n"))
        .collect();
    if commands.is_empty() {
        return Ok(());
    }
    nft(&commands)
}

/// Removes the table, with the last segment.
///
/// # Errors
/// nftables fails.
pub fn remove() -> Result<(), AgentFault> {
    // Adding it first makes deleting it succeed when it was not there.
    nft("add table bridge docklet\ndelete table bridge docklet\n")
}
