//! Nothing is left of what is not wanted, wherever an agent died, and what is other people's stays as it is.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use docklet_agent::host::Act;
use docklet_agent::network::rules::Rules;
use docklet_agent::network::{gateway, guard, plug, segment, space, uplink};
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{NetworkId, VnodeId};
use docklet_control::model::{KbitPerS, Protocol};

use crate::site::{Node, Site, port};

const FOREIGN: &str = "\
table inet filter {
  set allowed { type ipv4_addr; elements = { 192.0.2.7 } }
  chain input { type filter hook input priority 0; policy accept; tcp dport 20000 counter accept; ip saddr @allowed accept; }
  chain forward { type filter hook forward priority 0; policy accept; iifname \"dkg*\" counter packets 0 bytes 0; }
}
table ip nat {
  chain postrouting { type nat hook postrouting priority 100; policy accept; ip saddr 10.0.0.0/8 ip daddr 203.0.113.0/24 masquerade; }
}
table bridge filter {
  chain forward { type filter hook forward priority 0; policy accept; ether type 0x88cc drop; }
}
";

/// The agent comes back, sees what there is, and nothing of it is wanted.
fn clear(node: &mut Node) {
    node.restart_agent();
    for id in node.observe().networks {
        node.act(Act::RemoveNetwork(id));
    }
    let none: [String; 0] = [];
    assert_eq!(node.traces(), none);
}

#[test]
fn wherever_an_agent_dies_nothing_is_left_of_a_segment_and_a_vnode() {
    Site::run(|site| {
        let mut node = site.worker(1);
        let network = site.network(5, &[1], 1);
        let fabric = site.fabric();
        let mut vnode = node.vnode(5, 11, 11);
        vnode.bandwidth.sent = Some(KbitPerS(1_000));
        let path = node.files.state("gateways/g5");
        let (address, underlay) = (vnode.gateway(), node.address.into());
        let run = docklet_agent::command::run;
        let pair = |name: &str, inside: &str| {
            format!(
                "link add {name} type veth peer name {inside} netns {}\n",
                path.display()
            )
        };
        let bridge = "link add dkb5 type bridge\n";
        type Step<'s> = &'s (dyn Fn() -> Result<(), docklet_agent::AgentFault> + Sync);
        let steps: [(&str, Step<'_>); 10] = [
            ("the guard", &|| {
                guard::ensure(NetworkId(5), Some(address), [&vnode])
            }),
            ("half of the segment", &|| {
                run("ip", &["-batch", "-"], bridge).map(|_| ())
            }),
            ("the segment", &|| segment::ensure(&network, underlay)),
            ("a file for the gateway", &|| {
                std::fs::write(&path, "").map_err(Into::into)
            }),
            ("the gateway's namespace", &|| space::hold(&path)),
            ("one pair of devices", &|| {
                run("ip", &["-batch", "-"], &pair("dkn5", "in0")).map(|_| ())
            }),
            ("the other pair", &|| {
                run("ip", &["-batch", "-"], &pair("dkg5", "out0")).map(|_| ())
            }),
            ("the gateway", &|| {
                gateway::ensure(&path, &network, &fabric).map(|_| ())
            }),
            ("the worker's rules", &|| {
                uplink::ensure(uplink::link(NetworkId(5))?, &network.ports, &fabric)
            }),
            ("the vnode", &|| plug::plug(std::slice::from_ref(&vnode))),
        ];
        for last in 1..=steps.len() {
            for (what, step) in &steps[..last] {
                let done = space::within(&node.space.0, *step);
                done.unwrap_or_else(|fault| panic!("{what}: {}", fault.full_text()));
            }
            if last == steps.len() {
                // As a vnode's removal does, whose directory is still there.
                node.fault(|| plug::unplug(VnodeId(11)));
            }
            clear(&mut node);
            // And half of it is mended where it is wanted.
            for (_, step) in &steps[..last] {
                space::within(&node.space.0, *step).expect("done");
            }
            node.ensure(&site, &network);
            assert!(node.observe().torn.is_empty());
            node.fault(|| plug::unplug(VnodeId(11)));
            clear(&mut node);
        }
    });
}

#[test]
fn other_peoples_rules_stay_as_they_are() {
    Site::run(|site| {
        let mut node = site.worker(1);
        node.space.nft(FOREIGN);
        let listing = |node: &Node| {
            let tables = [("inet", "filter"), ("ip", "nat"), ("bridge", "filter")];
            tables
                .map(|(family, name)| {
                    node.space
                        .command("nft", &["-a", "list", "table", family, name])
                })
                .concat()
        };
        let before = listing(&node);
        let mut network = site.network(5, &[1], 1);
        node.ensure(&site, &network);
        let guest = node.guest(5, 11, 11);
        network.ports = vec![port(Protocol::Tcp, 20_000, &guest, 22)];
        node.ensure(&site, &network);
        assert_eq!(listing(&node), before);
        node.fault(|| plug::unplug(VnodeId(11)));
        clear(&mut node);
        assert_eq!(listing(&node), before);
    });
}

#[test]
fn rules_that_somebody_flushed_come_back() {
    Site::run(|site| {
        let mut node = site.worker(1);
        let network = site.network(5, &[1], 1);
        node.ensure(&site, &network);
        let (one, two) = (node.guest(5, 11, 11), node.guest(5, 12, 12));
        two.space.serve_udp(two.at(7), "two");
        node.space.nft("flush ruleset\n");
        // As the agent finds it at its next look for them.
        node.restart_agent();
        assert!(node.observe().torn.contains(&NetworkId(5)));
        node.ensure(&site, &network);
        assert!(node.observe().torn.is_empty());
        assert!(
            one.space.hear_udp(two.at(7)).is_some(),
            "who was plugged in is let through"
        );
        node.fault(|| plug::unplug(VnodeId(11)));
        node.fault(|| plug::unplug(VnodeId(12)));
        clear(&mut node);
    });
}

#[test]
fn tables_that_were_flushed_are_missed_a_second_later() {
    Site::run(|site| {
        let mut node = site.worker(1);
        node.ensure(&site, &site.network(5, &[1], 1));
        let (rules, begun) = (Rules::default(), Instant::now());
        let are_there = |node: &Node, ms| {
            let at = begun + Duration::from_millis(ms);
            node.fault(|| rules.are_there(true, at))
        };
        assert!(are_there(&node, 0));
        node.space.nft("flush ruleset\n");
        assert!(are_there(&node, 999), "not listed again so soon");
        assert!(!are_there(&node, 1_000));
        assert!(!are_there(&node, 1_001), "what is missing is looked for");
        clear(&mut node);
    });
}

#[test]
fn what_holds_a_vnode_back_goes_with_it() {
    Site::run(|site| {
        let mut node = site.worker(1);
        node.ensure(&site, &site.network(5, &[1], 1));
        let _guest = node.guest(5, 11, 11);
        let held = |node: &Node| {
            let listing = node
                .space
                .command("nft", &["list", "set", "bridge", "docklet", "held"]);
            listing.contains("dkh11")
        };
        node.fault(|| guard::hold(VnodeId(11)));
        assert!(held(&node));
        node.fault(|| plug::unplug(VnodeId(11)));
        assert!(!held(&node));
        clear(&mut node);
    });
}

#[test]
fn what_is_added_without_nft_is_what_nft_would_have_added() {
    Site::run(|site| {
        let mut node = site.worker(1);
        node.ensure(&site, &site.network(5, &[1], 1));
        let vnodes: Vec<AssignedVnode> = (0..600)
            .map(|n| AssignedVnode {
                id: VnodeId(1_000 + n),
                address: Ipv4Addr::from(0x0a40_0100 + u32::try_from(n).expect("small")),
                ..node.vnode(5, 11, 11)
            })
            .collect();
        let listed = |node: &Node| {
            let list = ["list", "set", "bridge", "docklet", "allowed"];
            node.space.command("nft", &list)
        };
        node.fault(|| guard::admit(&vnodes));
        let added = listed(&node);
        assert_eq!(added.matches("\"dkh").count(), 600, "{added}");
        let one = "\"dkh1256\" . 0a:00:00:00:00:0b . 10.64.2.0";
        assert!(added.contains(one), "{added}");
        // Each is there already, whoever adds it.
        node.fault(|| guard::admit(&vnodes));
        node.fault(|| guard::ensure(NetworkId(5), None, &vnodes));
        let again = listed(&node);
        assert_eq!(again.matches("\"dkh").count(), 600, "{again}");
        // A table that somebody took away is made anew.
        node.space.nft("delete table bridge docklet\n");
        node.fault(|| guard::admit(&vnodes[..1]));
        assert!(listed(&node).contains("\"dkh1000\""));
        clear(&mut node);
    });
}
