//! Who meets whom: a user's vnodes on several workers, and nobody else, whatever their addresses are.

use docklet_agent::host::Act;
use docklet_control::id::NetworkId;

use crate::site::{OUTSIDE, Site};

#[test]
fn vnodes_of_one_user_meet_across_workers_and_two_users_with_the_same_addresses_never() {
    Site::run(|site| {
        let nodes = [site.worker(1), site.worker(2)];
        for (node, number) in nodes.iter().zip([1, 2]) {
            node.ensure(&site, &site.network(5, &[1, 2], number));
            node.ensure(&site, &site.network(6, &[1, 2], number));
        }
        // Both have 10.64.0.2 on worker 1 and 10.64.0.3 on worker 2.
        let (ada, bob) = (nodes[0].guest(5, 11, 2), nodes[0].guest(6, 12, 2));
        let (adas, bobs) = (nodes[1].guest(5, 13, 3), nodes[1].guest(6, 14, 3));
        adas.space.serve_tcp(adas.at(7), "ada's");
        bobs.space.serve_tcp(bobs.at(7), "bob's");
        adas.space.serve_udp(adas.at(7), "ada's");
        for (asker, tag) in [
            (&ada, "ada's hears 10.64.0.2"),
            (&bob, "bob's hears 10.64.0.2"),
        ] {
            assert_eq!(asker.space.hear_tcp(adas.at(7)).as_deref(), Some(tag));
        }
        assert!(ada.space.hear_udp(adas.at(7)).is_some());
        assert!(bob.space.misses_udp(adas.at(7)), "bob has no such server");
        // Bridged frames pass no firewall of the worker's own, where both would be the same connection.
        for node in &nodes {
            let kept = node
                .space
                .command("cat", &["/proc/sys/net/bridge/bridge-nf-call-iptables"]);
            assert_eq!(kept.trim(), "0");
        }
        // Both reach the outside at the same time, hidden behind the worker.
        site.outside.serve_tcp((OUTSIDE, 80), "outside");
        site.outside.serve_udp((OUTSIDE, 80), "outside");
        for guest in [&ada, &bob] {
            let hidden = Some("outside hears 192.0.2.11".to_owned());
            assert_eq!(guest.space.hear_tcp((OUTSIDE, 80)), hidden);
            assert_eq!(guest.space.hear_udp((OUTSIDE, 80)), hidden);
        }
        let hidden = Some("outside hears 192.0.2.12".to_owned());
        assert_eq!(bobs.space.hear_tcp((OUTSIDE, 80)), hidden);
        // Ada's segment goes; bob's stays as it was.
        for node in &nodes {
            node.act(Act::RemoveNetwork(NetworkId(5)));
        }
        assert!(bob.space.hear_tcp(bobs.at(7)).is_some());
        assert!(bob.space.hear_tcp((OUTSIDE, 80)).is_some());
        assert!(ada.space.connect((OUTSIDE, 80)).is_none());
    });
}

#[test]
fn large_packets_pass_in_both_directions() {
    use std::io::{Read, Write};
    Site::run(|site| {
        let node = site.worker(1);
        node.ensure(&site, &site.network(5, &[1], 1));
        let guest = node.guest(5, 11, 11);
        site.outside.serve_tcp((OUTSIDE, 80), "outside");
        // Who sends the largest segments that are agreed on, and may not cut them, needs the agreement to be right.
        let mut stream = guest.space.reach((OUTSIDE, 80)).expect("connected");
        crate::site::greeting(&mut stream);
        let sent: Vec<u8> = (0..=250_u8).cycle().take(200_000).collect();
        let mut writer = stream.try_clone().expect("a copy");
        let written = sent.clone();
        let writing = std::thread::spawn(move || writer.write_all(&written));
        let mut heard = vec![0; sent.len()];
        stream.read_exact(&mut heard).expect("all comes back");
        writing.join().expect("no panic").expect("written");
        assert!(heard == sent);
    });
}
