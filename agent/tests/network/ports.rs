//! Public ports: from the outside, from the worker, from vnodes; through whatever stops and starts.

use std::io::{Read, Write};
use std::net::Ipv4Addr;

use docklet_control::assignment::AssignedNetwork;
use docklet_control::model::Protocol::{Tcp, Udp};

use crate::site::{Guest, Node, PATIENCE, Site, greeting, port};

/// A guest with servers, and its segment with ports 20000 of both protocols that lead to them.
fn published(site: &Site, node: &Node) -> (Guest, AssignedNetwork) {
    let mut network = site.network(5, &[1, 2], 1);
    node.ensure(site, &network);
    let guest = node.guest(5, 11, 11);
    serve(&guest);
    network.ports = vec![port(Tcp, 20_000, &guest, 22), port(Udp, 20_000, &guest, 53)];
    node.ensure(site, &network);
    (guest, network)
}

fn serve(guest: &Guest) {
    guest.space.serve_tcp((Ipv4Addr::UNSPECIFIED, 22), "vnode");
    guest.space.serve_udp((Ipv4Addr::UNSPECIFIED, 53), "vnode");
}

const FROM_OUTSIDE: Option<&str> = Some("vnode hears 198.51.100.7");

fn both_from_outside(site: &Site, node: &Node) -> [Option<String>; 2] {
    let at = (node.address, 20_000);
    [site.outside.hear_tcp(at), site.outside.hear_udp(at)]
}

#[test]
fn a_public_port_leads_to_the_vnode_from_wherever_one_asks() {
    Site::run(|site| {
        let nodes = [site.worker(1), site.worker(2)];
        let node = &nodes[0];
        let (guest, network) = published(&site, node);
        // The vnode sees who really asks.
        assert_eq!(
            both_from_outside(&site, node)
                .each_ref()
                .map(|said| said.as_deref()),
            [FROM_OUTSIDE; 2]
        );
        let at = (node.address, 20_000);
        assert!(node.space.hear_tcp(at).is_some(), "from the worker itself");
        assert!(node.space.hear_udp(at).is_some(), "from the worker itself");
        assert!(guest.space.hear_tcp(at).is_some(), "from the vnode itself");
        node.ensure(&site, &site.network(6, &[1], 1));
        let other = node.guest(6, 12, 12);
        assert!(
            other.space.hear_tcp(at).is_some(),
            "from another user on the worker"
        );
        assert!(
            other.space.hear_udp(at).is_some(),
            "from another user on the worker"
        );
        nodes[1].ensure(&site, &site.network(5, &[1, 2], 2));
        let remote = nodes[1].guest(5, 13, 13);
        assert!(remote.space.hear_tcp(at).is_some(), "from another worker");
        // Nothing else of the vnode is open, and nothing of another worker.
        assert!(site.outside.connect((node.address, 22)).is_none());
        assert!(site.outside.connect((node.address, 20_001)).is_none());
        assert!(site.outside.connect((nodes[1].address, 20_000)).is_none());
        assert_eq!(network.ports.len(), 2);
    });
}

#[test]
fn public_ports_survive_the_vnode_and_the_agent_and_the_worker() {
    Site::run(|site| {
        let mut node = site.worker(1);
        let (guest, network) = published(&site, &node);
        let works = |node: &Node, after: &str| {
            let said = both_from_outside(&site, node);
            assert_eq!(
                said.each_ref().map(|said| said.as_deref()),
                [FROM_OUTSIDE; 2],
                "{after}"
            );
        };
        works(&node, "at first");
        let mut open = site
            .outside
            .reach((node.address, 20_000))
            .expect("connected");
        greeting(&mut open);
        node.restart_agent();
        works(&node, "while the new agent knows nothing yet");
        node.ensure(&site, &network);
        works(&node, "after the agent's restart");
        let mut heard = [0; 5];
        open.write_all(b"still").expect("written");
        open.read_exact(&mut heard)
            .expect("a connection goes on meanwhile");
        node.plug(&guest);
        works(&node, "after the vnode's restart");
        // Power is cut: nothing is left in the kernel, and the assignment on disk brings it back.
        let devices = node.fault(docklet_agent::network::names::devices);
        for device in devices {
            // Ends of pairs go with each other.
            let gone = || docklet_agent::command::run("ip", &["link", "del", &device], "");
            let _ = node.space.within(gone);
        }
        node.space
            .nft("delete table ip docklet\ndelete table bridge docklet\n");
        docklet_agent::network::space::release(&node.files.state("gateways/g5")).expect("gone");
        std::fs::write(node.files.state("gateways/g5"), "").expect("the file stays");
        node.restart_agent();
        node.ensure(&site, &network);
        node.plug(&guest);
        works(&node, "after the worker's restart");
    });
}

#[test]
fn a_port_that_is_closed_is_closed_for_those_who_are_in_too() {
    Site::run(|site| {
        let node = site.worker(1);
        let (guest, mut network) = published(&site, &node);
        let mut open = site
            .outside
            .reach((node.address, 20_000))
            .expect("connected");
        greeting(&mut open);
        network.ports.remove(0);
        node.ensure(&site, &network);
        let [tcp, udp] = both_from_outside(&site, &node);
        assert_eq!((tcp, udp.as_deref()), (None, FROM_OUTSIDE));
        open.set_read_timeout(Some(PATIENCE)).expect("set");
        open.write_all(b"hello?").expect("into the void");
        assert!(open.read(&mut [0; 8]).is_err(), "nobody hears");
        // The number goes to somebody else, whose segment is told before ada's.
        let mut bobs = site.network(6, &[1], 1);
        node.ensure(&site, &bobs);
        let bob = node.guest(6, 12, 12);
        serve(&bob);
        bobs.ports = vec![port(Udp, 20_000, &bob, 53)];
        node.ensure(&site, &bobs);
        network.ports.clear();
        node.ensure(&site, &network);
        assert_eq!(both_from_outside(&site, &node)[1].as_deref(), FROM_OUTSIDE);
        bob.space.command("ip", &["link", "set", "eth0", "down"]);
        assert_eq!(both_from_outside(&site, &node)[1], None, "it is bob's now");
        drop(guest);
    });
}
