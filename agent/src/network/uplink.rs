//! The worker's part of the way between gateways and the outside: links to gateways, NAT, public ports. Rules are in
//! our own table `ip docklet`, which goes with the last segment.
//!
//! A gateway may reach the outside and public ports, but no other gateway and nothing of the worker's own. Public ports
//! are open at every address of the worker but loopback, from the worker itself too. The segments' own packets between
//! workers are not tracked: each connection of a vnode would be one of the worker's, beyond all bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use docklet_control::assignment::{AssignedPort, Fabric};
use docklet_control::id::NetworkId;
use docklet_control::model::Protocol;

use super::space::set_parameter;
use super::{elements, nft};
use crate::command::run;
use crate::fault::AgentFault;

/// Links between the worker and its gateways have addresses of this, two each (RFC 3021). They are the worker's own
/// affair: hidden behind its address towards the outside. Of the range that RFC 6598 keeps for such uses.
pub const LINKS: &str = "100.64.0.0/16";
const FIRST_LINK: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 2);
const LINKS_MAX: u32 = 32_767;

const TABLE: [&str; 2] = ["ip", "docklet"];

/// Both ends of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub worker: Ipv4Addr,
    pub gateway: Ipv4Addr,
}

impl Link {
    fn at(worker: Ipv4Addr) -> Self {
        let gateway = Ipv4Addr::from(u32::from(worker) + 1);
        Self { worker, gateway }
    }
}

/// The link to a gateway: as it is, or with the first free addresses.
///
/// # Errors
/// iproute2 fails, or there are too many.
pub fn link(id: NetworkId) -> Result<Link, AgentFault> {
    let links = links()?;
    if let Some(link) = links.get(&id) {
        return Ok(*link);
    }
    let taken: BTreeSet<Ipv4Addr> = links.values().map(|link| link.worker).collect();
    (0..LINKS_MAX)
        .map(|number| Ipv4Addr::from(u32::from(FIRST_LINK) + 2 * number))
        .find(|address| !taken.contains(address))
        .map(Link::at)
        .ok_or(AgentFault::LinksExhausted(LINKS_MAX))
}

fn links() -> Result<BTreeMap<NetworkId, Link>, AgentFault> {
    let listing = run("ip", &["-o", "-4", "address", "show"], "")?;
    let link = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let id = words.next()?.strip_prefix("dkg")?.parse().ok()?;
        let (address, _) = words.nth(1)?.split_once('/')?;
        Some((id, Link::at(address.parse().ok()?)))
    };
    Ok(listing.lines().filter_map(link).collect())
}

/// The table without ports. Repeating it changes nothing: chains are flushed and filled in one transaction.
const RULES: &str = "\
add table ip docklet
add map ip docklet tcp_ports { type inet_service : ipv4_addr; }
add map ip docklet udp_ports { type inet_service : ipv4_addr; }
add set ip docklet portals { type ipv4_addr . inet_service; }
add chain ip docklet tunnel_in { type filter hook prerouting priority raw; policy accept; }
add chain ip docklet tunnel_out { type filter hook output priority raw; policy accept; }
add chain ip docklet public { type nat hook prerouting priority dstnat; policy accept; }
add chain ip docklet public_here { type nat hook output priority -100; policy accept; }
add chain ip docklet hidden { type nat hook postrouting priority srcnat; policy accept; }
add chain ip docklet through { type filter hook forward priority filter; policy accept; }
add chain ip docklet own { type filter hook input priority filter; policy accept; }
flush set ip docklet portals
flush chain ip docklet tunnel_in
flush chain ip docklet tunnel_out
flush chain ip docklet public
flush chain ip docklet public_here
flush chain ip docklet hidden
flush chain ip docklet through
flush chain ip docklet own
add rule ip docklet tunnel_in udp dport 4789 notrack
add rule ip docklet tunnel_out udp dport 4789 notrack
add rule ip docklet public fib daddr type local ip daddr != 127.0.0.0/8 dnat to tcp dport map @tcp_ports
add rule ip docklet public fib daddr type local ip daddr != 127.0.0.0/8 dnat to udp dport map @udp_ports
add rule ip docklet public_here fib daddr type local ip daddr != 127.0.0.0/8 dnat to tcp dport map @tcp_ports
add rule ip docklet public_here fib daddr type local ip daddr != 127.0.0.0/8 dnat to udp dport map @udp_ports
add rule ip docklet hidden iifname \"dkg*\" masquerade
add rule ip docklet through iifname != \"dkg*\" oifname != \"dkg*\" accept
add rule ip docklet through ct state established,related accept
add rule ip docklet through oifname \"dkg*\" ct status dnat accept
add rule ip docklet through oifname \"dkg*\" counter drop
add rule ip docklet own iifname != \"dkg*\" accept
add rule ip docklet own ct state established,related accept
add rule ip docklet own ip daddr . tcp dport @portals accept
add rule ip docklet own counter drop
";

/// Opens the way out for gateways, and one gateway's public ports: exactly these.
///
/// # Errors
/// nftables fails, or the worker cannot forward.
pub fn ensure(link: Link, ports: &[AssignedPort], fabric: &Fabric) -> Result<(), AgentFault> {
    set_parameter("ipv4/ip_forward", "1")?;
    let mut commands = RULES.to_owned();
    for portal in &fabric.portals {
        commands += &format!(
            "add element ip docklet portals {{ {} . {} }}\n",
            portal.ip(),
            portal.port()
        );
    }
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let of_it = ports.iter().filter(|port| port.public.protocol == protocol);
        let wanted = of_it.map(|port| format!("{} : {}", port.public.number, link.gateway));
        commands += &change(protocol, link, &wanted.collect());
    }
    nft(&commands)
}

/// Closes the public ports of a gateway that goes.
///
/// # Errors
/// nftables fails.
pub fn close(id: NetworkId) -> Result<(), AgentFault> {
    let Some(link) = links()?.get(&id).copied() else {
        return Ok(());
    };
    let nothing = BTreeSet::new();
    let commands: String = [Protocol::Tcp, Protocol::Udp]
        .map(|protocol| change(protocol, link, &nothing))
        .concat();
    if commands.is_empty() {
        return Ok(());
    }
    nft(&commands)
}

/// From the elements of a map to those that are wanted for one gateway. A port may have been another gateway's until
/// now, which has not been told yet.
fn change(protocol: Protocol, link: Link, wanted: &BTreeSet<String>) -> String {
    let map = format!("{protocol}_ports");
    let present: BTreeSet<String> = elements("map", &TABLE, &map).into_iter().collect();
    let of_this = format!(": {}", link.gateway);
    let port = |element: &String| element.split(' ').next().map(str::to_owned);
    let claimed: BTreeSet<Option<String>> = wanted.iter().map(port).collect();
    let line =
        |verb: &str, element: &String| format!("{verb} element ip docklet {map} {{ {element} }}\n");
    let gone = present
        .difference(wanted)
        .filter(|element| element.ends_with(&of_this) || claimed.contains(&port(element)))
        .map(|element| line("delete", element));
    let new = wanted
        .difference(&present)
        .map(|element| line("add", element));
    gone.chain(new).collect()
}

/// Whether our tables are there: a restart of the worker's own firewall may have flushed them. Without gateways there is
/// the guard's alone.
///
/// # Errors
/// nftables fails.
pub fn tables_are_there(gateways: bool) -> Result<bool, AgentFault> {
    let listing = run("nft", &["list", "tables"], "")?;
    let has = |table: &str| listing.lines().any(|line| line.trim() == table);
    Ok(has("table bridge docklet") && (!gateways || has("table ip docklet")))
}

/// Removes the table, with the last segment.
///
/// # Errors
/// nftables fails.
pub fn remove() -> Result<(), AgentFault> {
    // Adding it first makes deleting it succeed when it was not there.
    nft("add table ip docklet\ndelete table ip docklet\n")
}
