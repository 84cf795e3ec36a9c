//! The gateway of a segment on this worker: a network namespace that has the segment's first address, on every worker
//! that has vnodes of it. It forwards to the outside and hides vnodes behind its own address, lets in what was
//! published, and answers for names ([`super::dns`]).
//!
//! All rules of it are in the namespace, where nobody else has any.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use docklet_control::assignment::{AssignedNetwork, AssignedPort, Fabric};
use docklet_control::id::NetworkId;
use docklet_control::model::{Network, Protocol, PublicPort};

use super::names::{self, MTU, bridge, gateway_link, gateway_mac, gateway_port};
use super::nft;
use super::segment::speak_no_ipv6;
use super::space::{self, set_parameter};
use super::uplink::{self, LINKS, Link};
use crate::command::run;
use crate::fault::AgentFault;

/// Connections that a segment's vnodes of one worker may have with the outside at once, either way. The worker's own
/// table of connections, of 65,536 and more, so never fills up by a few users.
pub const CONNECTIONS_MAX: u32 = 4_096;
/// Name servers' connections among them.
const NAME_CONNECTIONS_MAX: u32 = 32;

/// What no gateway forwards to: this host, link-local and metadata services, multicast, reserved, and gateways' links.
const NOWHERE: [&str; 5] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    LINKS,
];

/// Makes the gateway of a segment that is there, as wanted; answers where the worker meets it. A segment of which
/// the subnet is not told has none.
///
/// # Errors
/// iproute2 or nftables fail, or the kernel refuses a namespace.
pub fn ensure(
    path: &Path,
    network: &AssignedNetwork,
    fabric: &Fabric,
) -> Result<Option<Link>, AgentFault> {
    let Some(subnet) = network.subnet else {
        return Ok(None);
    };
    let address = Network::gateway_of(subnet);
    space::hold(path)?;
    let link = uplink::link(network.id)?;
    connect(path, network.id, link)?;
    let inside = format!(
        "\
link set lo up
link set in0 address {mac} mtu {MTU} up
address replace {address}/{prefix} dev in0
link set out0 up
address replace {out}/31 dev out0
route replace default via {worker}
",
        mac = gateway_mac(network.id),
        prefix = subnet.prefix(),
        out = link.gateway,
        worker = link.worker,
    );
    let rules = rules(network, address, fabric);
    space::within(path, || {
        parameters()?;
        run("ip", &["-batch", "-"], &inside)?;
        nft(&rules)
    })?;
    Ok(Some(link))
}

/// Both pairs of devices: to the bridge and to the worker. A pair whose other end went with an earlier namespace went
/// with it.
fn connect(path: &Path, id: NetworkId, link: Link) -> Result<(), AgentFault> {
    let present = names::devices()?;
    let (port, outside) = (gateway_port(id), gateway_link(id));
    let (bridge, space) = (bridge(id), path.display());
    let mut batch = String::new();
    if !present.contains(&port) {
        batch += &format!("link add {port} type veth peer name in0 netns {space}\n");
    }
    if !present.contains(&outside) {
        batch += &format!("link add {outside} type veth peer name out0 netns {space}\n");
    }
    batch += &format!("link set {port} master {bridge} mtu {MTU} up\n");
    batch += &format!("address replace {}/31 dev {outside}\n", link.worker);
    batch += &format!("link set {outside} up\n");
    run("ip", &["-batch", "-"], &batch)?;
    speak_no_ipv6(&port)?;
    speak_no_ipv6(&outside)
}

/// Of the kernel, in the gateway's namespace.
fn parameters() -> Result<(), AgentFault> {
    let parameters = [
        ("ipv4/ip_forward", "1"),
        ("ipv4/conf/all/rp_filter", "1"),
        ("ipv4/conf/default/rp_filter", "1"),
        // It answers on each side for its address of that side only.
        ("ipv4/conf/all/arp_ignore", "1"),
        ("ipv4/conf/all/accept_redirects", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
        // RFC 5382 asks for two hours and four minutes; five days would fill a bounded table.
        ("netfilter/nf_conntrack_tcp_timeout_established", "7440"),
    ];
    parameters
        .iter()
        .try_for_each(|(name, value)| set_parameter(name, value))
}

/// All rules of a gateway, made anew in one transaction.
fn rules(network: &AssignedNetwork, address: Ipv4Addr, fabric: &Fabric) -> String {
    let subnet = network
        .subnet
        .map(|subnet| subnet.to_string())
        .unwrap_or_default();
    let nowhere = NOWHERE.map(str::to_owned).into_iter();
    let nowhere = nowhere.chain(fabric.cluster_net.map(|net| net.to_string()));
    let machines = fabric
        .machines
        .iter()
        .map(|(first, last)| format!("{first}-{last}"));
    let portals = fabric
        .portals
        .iter()
        .map(|portal| format!("{} . {}", portal.ip(), portal.port()));
    let (first, last) = (PublicPort::RANGE.start(), PublicPort::RANGE.end());
    format!(
        "\
add table ip docklet
delete table ip docklet
table ip docklet {{
  set nowhere {{ type ipv4_addr; flags interval; auto-merge; {nowhere} }}
  set machines {{ type ipv4_addr; flags interval; auto-merge; {machines} }}
  set portals {{ type ipv4_addr . inet_service; {portals} }}
  set tcp_public {{ type inet_service; {tcp} }}
  set udp_public {{ type inet_service; {udp} }}
  chain questions {{ type filter hook prerouting priority raw; policy accept;
    iifname \"in0\" ip daddr {address} udp dport 53 notrack
  }}
  chain answers {{ type filter hook output priority raw; policy accept;
    oifname \"in0\" ip saddr {address} udp sport 53 notrack
  }}
  chain public {{ type nat hook prerouting priority dstnat; policy accept;
{public}  }}
  chain hidden {{ type nat hook postrouting priority srcnat; policy accept;
    oifname \"out0\" masquerade
  }}
  chain through {{ type filter hook forward priority filter; policy drop;
    ct state invalid drop
    ct status dnat meta l4proto tcp ct original proto-dst != @tcp_public drop
    ct status dnat meta l4proto udp ct original proto-dst != @udp_public drop
    tcp flags syn tcp option maxseg size set rt mtu
    ct state established,related accept
    iifname \"out0\" oifname \"in0\" ct status dnat goto counted
    iifname \"in0\" oifname \"out0\" ip saddr {subnet} goto outward
  }}
  chain outward {{
    ip daddr @nowhere counter drop
    ip daddr . tcp dport @portals goto counted
    ip daddr @machines meta l4proto {{ tcp, udp }} th dport {first}-{last} goto counted
    ip daddr @machines counter drop
    goto counted
  }}
  chain counted {{
    ct count over {CONNECTIONS_MAX} counter drop
    accept
  }}
  chain own {{ type filter hook input priority filter; policy drop;
    iifname != \"in0\" ct state established,related accept
    iifname != \"in0\" drop
    ip saddr != {subnet} drop
    ip daddr != {address} drop
    udp dport 53 accept
    ct state established accept
    tcp dport 53 ct count over {NAME_CONNECTIONS_MAX} drop
    tcp dport 53 accept
    icmp type echo-request limit rate 50/second accept
  }}
}}
",
        nowhere = holding(nowhere),
        machines = holding(machines),
        portals = holding(portals),
        tcp = holding(numbers(&network.ports, Protocol::Tcp)),
        udp = holding(numbers(&network.ports, Protocol::Udp)),
        public = public(&network.ports),
    )
}

/// The elements of a set as it is made; nftables knows no empty list.
fn holding(elements: impl Iterator<Item = String>) -> String {
    let elements: Vec<String> = elements.collect();
    if elements.is_empty() {
        return String::new();
    }
    format!("elements = {{ {} }};", elements.join(", "))
}

/// A connection that came by a public port goes on only while that port is one.
fn numbers(ports: &[AssignedPort], protocol: Protocol) -> impl Iterator<Item = String> + '_ {
    let of_it = move |port: &&AssignedPort| port.public.protocol == protocol;
    ports
        .iter()
        .filter(of_it)
        .map(|port| port.public.number.to_string())
}

/// Where public ports lead.
fn public(ports: &[AssignedPort]) -> String {
    let mut rules = String::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let of_it = ports.iter().filter(|port| port.public.protocol == protocol);
        let targets: Vec<String> = of_it
            .map(|port| {
                format!(
                    "{} : {} . {}",
                    port.public.number, port.address, port.number
                )
            })
            .collect();
        if !targets.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                rules,
                "    iifname \"out0\" dnat ip addr . port to {protocol} dport map {{ {} }}",
                targets.join(", ")
            );
        }
    }
    rules
}

/// Removes the gateway of a segment, whatever of it is there.
///
/// # Errors
/// iproute2 fails, or the namespace cannot be let go.
pub fn remove(path: &Path, id: NetworkId) -> Result<(), AgentFault> {
    let ours = [gateway_port(id), gateway_link(id)];
    for device in &ours {
        if names::devices()?.contains(device) {
            run("ip", &["link", "del", device], "")?;
        }
    }
    space::release(path)
}
