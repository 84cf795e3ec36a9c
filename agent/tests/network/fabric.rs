//! What vnodes must not reach through their gateway: nothing that the cluster runs on.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use docklet_agent::network::gateway::CONNECTIONS_MAX;

use crate::site::{OUTSIDE, ROUTER, Site, Space};

/// Which of these can be connected to.
fn reached(from: &Space, targets: &[(&'static str, SocketAddrV4)]) -> Vec<&'static str> {
    std::thread::scope(|scope| {
        let attempts: Vec<_> = targets
            .iter()
            .map(|(what, at)| (what, scope.spawn(move || from.connect(SocketAddr::V4(*at)))))
            .collect();
        let ended = attempts.into_iter().filter_map(|(what, attempt)| {
            let stream = attempt.join().expect("no panic")?;
            drop(stream);
            Some(*what)
        });
        ended.collect()
    })
}

#[test]
fn vnodes_reach_the_outside_and_masters_portals_and_nothing_else_of_the_cluster() {
    Site::run(|site| {
        let nodes = [site.worker(1), site.worker(2)];
        for node in &nodes {
            node.ensure(&site, &site.network(5, &[1], 1));
            node.ensure(&site, &site.network(6, &[1], 1));
        }
        let guest = nodes[0].guest(5, 11, 11);
        let other = nodes[0].guest(6, 12, 12);
        let router = Space::here();
        let metadata = Ipv4Addr::new(169, 254, 169, 254);
        router.ip(&format!("address add {metadata}/32 dev lo\n"));
        let service = Ipv4Addr::new(203, 0, 113, 9);
        nodes[0]
            .space
            .ip(&format!("address add {service}/32 dev lo\n"));
        let at = SocketAddrV4::new;
        let mine = Ipv4Addr::new(100, 64, 0, 2);
        let theirs = Ipv4Addr::new(100, 64, 0, 5);
        let closed = [
            ("a master's cluster listener", at(ROUTER, 7_000)),
            ("the own worker's data port", at(nodes[0].address, 7_443)),
            ("another worker's data port", at(nodes[1].address, 7_443)),
            ("metadata", at(metadata, 80)),
            ("a service of the worker", at(service, 22)),
            ("the worker's end of the link", at(mine, 22)),
            ("another user's gateway", at(theirs, 53)),
            ("another user's vnode", at(Ipv4Addr::new(10, 64, 0, 12), 7)),
        ];
        let open = [
            ("the outside", at(OUTSIDE, 80)),
            ("a portal", at(ROUTER, 8_443)),
        ];
        for space in [&router, &nodes[0].space, &nodes[1].space] {
            for port in [22, 80, 7_000, 7_443, 8_443] {
                space.serve_tcp((Ipv4Addr::UNSPECIFIED, port), "service");
            }
        }
        other.space.serve_tcp(other.at(7), "another user's");
        site.outside.serve_tcp((OUTSIDE, 80), "outside");
        let none: [&str; 0] = [];
        assert_eq!(reached(&guest.space, &closed), none);
        for (what, at) in open {
            assert!(guest.space.reach(at).is_some(), "{what}");
        }
        // Without the gateway's rules the underlay is open, without the worker's own so is the worker.
        nodes[0].fault(|| {
            let gateway = nodes[0].files.state("gateways/g5");
            docklet_agent::network::space::within(&gateway, || {
                let rules = "flush chain ip docklet outward\nadd rule ip docklet outward accept\n";
                docklet_agent::command::run("nft", &["-f", "-"], rules)
            })
        });
        let now = reached(&guest.space, &closed);
        assert_eq!(
            now,
            [
                "a master's cluster listener",
                "another worker's data port",
                "metadata"
            ]
        );
        nodes[0]
            .space
            .nft("flush chain ip docklet own\nflush chain ip docklet through\n");
        let now = reached(&guest.space, &closed);
        for what in [
            "the own worker's data port",
            "a service of the worker",
            "the worker's end of the link",
        ] {
            assert!(now.contains(&what), "{now:?}");
        }
    });
}

#[test]
fn connections_within_a_segment_are_none_of_the_workers() {
    Site::run(|site| {
        let nodes = [site.worker(1), site.worker(2)];
        for (node, number) in nodes.iter().zip([1, 2]) {
            node.ensure(&site, &site.network(5, &[1, 2], number));
        }
        let (one, other) = (nodes[0].guest(5, 11, 11), nodes[1].guest(5, 12, 12));
        other.space.serve_udp(other.at(7), "other");
        // The worker knows of connections at all: this one is of its own gateway.
        site.outside.serve_udp((OUTSIDE, 80), "outside");
        assert!(one.space.hear_udp((OUTSIDE, 80)).is_some());
        for _ in 0..50 {
            assert!(one.space.hear_udp(other.at(7)).is_some());
        }
        let tracked = || {
            let path = "/proc/sys/net/netfilter/nf_conntrack_count";
            let counted = nodes[0].space.within(|| std::fs::read_to_string(path));
            counted
                .expect("counted")
                .trim()
                .parse::<u32>()
                .expect("a number")
        };
        let before = tracked();
        assert!(before < 10, "{before} connections");
        nodes[0]
            .space
            .nft("flush chain ip docklet tunnel_in\nflush chain ip docklet tunnel_out\n");
        for _ in 0..50 {
            assert!(one.space.hear_udp(other.at(7)).is_some());
        }
        assert!(tracked() > before + 10, "each is one without the rules");
    });
}

#[test]
fn a_flood_of_connections_stays_within_its_users_share() {
    Site::run(|site| {
        let node = site.worker(1);
        node.ensure(&site, &site.network(5, &[1], 1));
        node.ensure(&site, &site.network(6, &[1], 1));
        let (hog, neighbour) = (node.guest(5, 11, 11), node.guest(6, 12, 12));
        site.outside.serve_udp((OUTSIDE, 80), "outside");
        let socket = hog
            .space
            .within(|| std::net::UdpSocket::bind("0.0.0.0:0"))
            .expect("a socket");
        let share = usize::try_from(CONNECTIONS_MAX).expect("small");
        let flood = |first: u16| {
            for port in first..first + 10_000 {
                // Each port of the outside is another connection. It says that nobody listens, which the next call tells.
                let _ = socket.send_to(b"flood", (OUTSIDE, port));
            }
            let counted = node
                .space
                .within(|| std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count"));
            let counted = counted.expect("counted");
            counted.trim().parse::<usize>().expect("a number")
        };
        let known = flood(1);
        assert!(
            known <= share + 64 && known > share / 2,
            "{known} connections"
        );
        assert!(neighbour.space.hear_udp((OUTSIDE, 80)).is_some());
        // Without the bound one user fills the worker's own table.
        node.fault(|| {
            docklet_agent::network::space::within(&node.files.state("gateways/g5"), || {
                let rules = "flush chain ip docklet counted\nadd rule ip docklet counted accept\n";
                docklet_agent::command::run("nft", &["-f", "-"], rules)
            })
        });
        let known = flood(20_001);
        assert!(known > share + 1_000, "{known} connections");
    });
}
