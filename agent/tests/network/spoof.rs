//! THREATS 27: what a vnode's root may say on its segment.

use std::net::Ipv4Addr;

use docklet_agent::network::names::gateway_mac;
use docklet_control::id::NetworkId;
use docklet_control::model::vnode::MacAddress;

use crate::prober::{BROADCAST, Prober, arp, frame, has, icmpv6, udp};
use crate::site::{Guest, Node, Site};

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const NOBODY: MacAddress = MacAddress([0; 6]);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);

/// Frames that the attacker must not get through to `victim`, each with what it is.
fn forged(attacker: &Guest, victim: &Guest) -> Vec<(&'static str, Vec<u8>)> {
    let (own, other) = (attacker.vnode.mac, victim.vnode.mac);
    let (address, theirs) = (attacker.vnode.address, victim.vnode.address);
    let stranger = MacAddress([0x0a, 9, 9, 9, 9, 9]);
    let gateway = gateway_mac(attacker.vnode.network);
    let said = |from, port: u16, text: &[u8]| udp((from, port), (theirs, 9), text);
    let tagged = [
        &[0, 7][..],
        &IPV4.to_be_bytes(),
        &said(address, 9, b"forged tag"),
    ]
    .concat();
    let padded = |operation, sender, target, text: &[u8]| {
        [arp(operation, sender, target), text.to_vec()].concat()
    };
    vec![
        (
            "a stranger's hardware address",
            frame(other, stranger, IPV4, &said(address, 9, b"forged mac")),
        ),
        (
            "the gateway's hardware address",
            frame(other, gateway, IPV4, &said(address, 9, b"forged gate")),
        ),
        (
            "a neighbour's IP address",
            frame(
                other,
                own,
                IPV4,
                &said(Ipv4Addr::new(10, 64, 0, 77), 9, b"forged ip"),
            ),
        ),
        (
            "the gateway's IP address",
            frame(other, own, IPV4, &said(GATEWAY, 9, b"forged gw ip")),
        ),
        (
            "no IP address",
            frame(
                BROADCAST,
                own,
                IPV4,
                &said(Ipv4Addr::UNSPECIFIED, 9, b"forged zero"),
            ),
        ),
        (
            "a DHCP server's offer",
            frame(BROADCAST, own, IPV4, &said(address, 67, b"forged dhcp")),
        ),
        (
            "an ARP answer for the gateway",
            frame(
                BROADCAST,
                own,
                ARP,
                &padded(REPLY, (own, GATEWAY), (other, theirs), b"forged arp1"),
            ),
        ),
        (
            "an ARP announcement for a neighbour",
            frame(
                BROADCAST,
                own,
                ARP,
                &padded(REQUEST, (own, theirs), (NOBODY, theirs), b"forged arp2"),
            ),
        ),
        (
            "an ARP answer with another's hardware address inside",
            frame(
                other,
                own,
                ARP,
                &padded(REPLY, (stranger, address), (other, theirs), b"forged arp3"),
            ),
        ),
        (
            "an ARP answer from the gateway's hardware address",
            frame(
                other,
                gateway,
                ARP,
                &padded(REPLY, (gateway, GATEWAY), (other, theirs), b"forged arp4"),
            ),
        ),
        (
            "an ARP message of another kind",
            frame(
                other,
                own,
                ARP,
                &padded(8, (own, address), (other, theirs), b"forged arp8"),
            ),
        ),
        (
            "an IPv6 router's advertisement",
            frame(
                MacAddress([0x33, 0x33, 0, 0, 0, 1]),
                own,
                IPV6,
                &icmpv6(134, b"forged ra"),
            ),
        ),
        (
            "an IPv6 neighbour's advertisement",
            frame(other, own, IPV6, &icmpv6(136, b"forged na")),
        ),
        ("a tagged frame", frame(other, own, 0x8100, &tagged)),
        ("a doubly tagged frame", frame(other, own, 0x88a8, &tagged)),
        (
            "a frame of any other kind",
            frame(BROADCAST, own, 0x88cc, b"forged lldp"),
        ),
        (
            "a frame for bridges",
            frame(
                MacAddress([1, 0x80, 0xc2, 0, 0, 0]),
                own,
                0x0026,
                b"forged bpdu",
            ),
        ),
    ]
}

/// Sends all that is forged and then something honest; answers what arrives of the forged at the victim.
fn arrives(attacker: &Guest, victim: &Guest) -> Vec<&'static str> {
    let sender = Prober::on(&attacker.space, "eth0");
    let receiver = Prober::on(&victim.space, "eth0");
    let forged = forged(attacker, victim);
    for (_, frame) in &forged {
        sender.send(frame);
    }
    let honest = udp(
        (attacker.vnode.address, 9),
        (victim.vnode.address, 9),
        b"honest and last",
    );
    sender.send(&frame(victim.vnode.mac, attacker.vnode.mac, IPV4, &honest));
    let heard = receiver.hear_until(b"honest and last");
    let was_heard = |frame: &[u8]| heard.iter().any(|heard| has(heard, &frame[14..]));
    let arrived = forged.iter().filter(|(_, frame)| was_heard(frame));
    arrived.map(|(what, _)| *what).collect()
}

/// Worker 1 with an attacker and a neighbour, worker 2 with another.
fn segment(site: &Site) -> ([Node; 2], Guest, [Guest; 2]) {
    let nodes = [site.worker(1), site.worker(2)];
    for (node, number) in nodes.iter().zip([1, 2]) {
        node.ensure(site, &site.network(5, &[1, 2], number));
    }
    let attacker = nodes[0].guest(5, 11, 11);
    let victims = [nodes[0].guest(5, 12, 12), nodes[1].guest(5, 13, 13)];
    (nodes, attacker, victims)
}

#[test]
fn nothing_forged_reaches_a_neighbour_on_the_same_or_another_worker() {
    Site::run(|site| {
        let (nodes, attacker, victims) = segment(&site);
        for victim in &victims {
            let none: [&str; 0] = [];
            assert_eq!(arrives(&attacker, victim), none);
        }
        // The prober finds holes: without the guard's rules nearly all of it arrives.
        nodes[0].space.nft("flush chain bridge docklet guard\n");
        let arrived = arrives(&attacker, &victims[0]);
        assert!(arrived.len() > 12, "only {arrived:?}");
    });
}

#[test]
fn each_rule_of_the_guard_is_needed() {
    Site::run(|site| {
        let (nodes, attacker, victims) = segment(&site);
        let rules = nodes[0].space.command(
            "nft",
            &["-a", "list", "chain", "bridge", "docklet", "guard"],
        );
        let dhcp = rules
            .lines()
            .find(|line| line.contains("udp sport 67"))
            .expect("a rule");
        let handle = dhcp.rsplit(' ').next().expect("a handle");
        nodes[0].space.nft(&format!(
            "delete rule bridge docklet guard handle {handle}\n"
        ));
        assert_eq!(arrives(&attacker, &victims[0]), ["a DHCP server's offer"]);
    });
}

#[test]
fn the_worker_itself_hears_nothing_on_a_segment() {
    Site::run(|site| {
        let (nodes, attacker, victims) = segment(&site);
        let worker = &nodes[0];
        worker.space.serve_udp((worker.address, 7_443), "worker");
        let own = attacker.vnode.mac;
        let question = arp(
            REQUEST,
            (own, attacker.vnode.address),
            (NOBODY, worker.address),
        );
        let (prober, neighbour) = (
            Prober::on(&attacker.space, "eth0"),
            Prober::on(&victims[0].space, "eth0"),
        );
        let answers = |heard: &[Vec<u8>]| {
            let worker = worker.address.octets();
            heard.iter().any(|frame| {
                frame[12..14] == ARP.to_be_bytes()
                    && frame[20..22] == [0, REPLY]
                    && frame[28..32] == worker
            })
        };
        let last = |text: &[u8]| {
            let honest = udp(
                (victims[0].vnode.address, 9),
                (attacker.vnode.address, 9),
                text,
            );
            neighbour.send(&frame(own, victims[0].vnode.mac, IPV4, &honest));
        };
        prober.send(&frame(BROADCAST, own, ARP, &question));
        last(b"after the question");
        assert!(!answers(&prober.hear_until(b"after the question")));
        // Without the rule Linux answers for any address that it has, on any device.
        worker
            .space
            .nft("flush chain bridge docklet inward\nflush chain bridge docklet outward\n");
        prober.send(&frame(BROADCAST, own, ARP, &question));
        last(b"after asking again");
        assert!(answers(&prober.hear_until(b"after asking again")));
    });
}

#[test]
fn each_worker_has_its_own_gateway_and_none_is_seen_from_another() {
    Site::run(|site| {
        let (nodes, attacker, victims) = segment(&site);
        // All that goes over to worker 2.
        let tunnel = Prober::on(&nodes[0].space, "dkx5");
        let (own, other) = (attacker.vnode.mac, &victims[1]);
        let sender = Prober::on(&attacker.space, "eth0");
        let question = arp(REQUEST, (own, attacker.vnode.address), (NOBODY, GATEWAY));
        let gateway = gateway_mac(NetworkId(5));
        let to_gateway = udp(
            (attacker.vnode.address, 9),
            (Ipv4Addr::new(198, 51, 100, 7), 9),
            b"to the gateway",
        );
        let cross = |text: &[u8]| {
            let ends = [attacker.vnode.address, other.vnode.address].map(|address| (address, 9));
            let last = udp(ends[0], ends[1], text);
            sender.send(&frame(BROADCAST, own, ARP, &question));
            sender.send(&frame(gateway, own, IPV4, &to_gateway));
            sender.send(&frame(other.vnode.mac, own, IPV4, &last));
            let heard = tunnel.hear_until(text);
            heard
                .iter()
                .filter(|frame| has(frame, &question) || has(frame, &gateway.0))
                .count()
        };
        assert_eq!(cross(b"with the rules"), 0);
        nodes[0].space.nft("flush chain bridge docklet tunnel\n");
        assert!(
            cross(b"flushed") > 0,
            "the question is flooded without them"
        );
    });
}
