//! Limits and counters of vnodes' devices.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use docklet_agent::host::Act;
use docklet_agent::network::counters::{Traffic, all_counters, counters};
use docklet_control::model::{Bandwidth, KbitPerS};

use crate::site::{Guest, Node, Site};

const DATAGRAMS: u64 = 2_000;
const BYTES: u64 = 1_000;

fn of(node: &Node, guest: &Guest) -> Traffic {
    let id = guest.id();
    node.fault(move || counters(id)).expect("it is plugged in")
}

/// What goes out of one and into the other while one sends two megabytes as fast as it can.
fn flood(node: &Node, from: &Guest, to: &Guest) -> (Traffic, Traffic) {
    let (sent, received) = (of(node, from), of(node, to));
    let socket = from
        .space
        .within(|| UdpSocket::bind("0.0.0.0:0"))
        .expect("a socket");
    for _ in 0..DATAGRAMS {
        socket.send_to(&[7; 1_000], to.at(9)).expect("sent");
    }
    let since = |now: Traffic, then: Traffic| Traffic {
        sent_bytes: now.sent_bytes - then.sent_bytes,
        sent_packets: now.sent_packets - then.sent_packets,
        received_bytes: now.received_bytes - then.received_bytes,
        received_packets: now.received_packets - then.received_packets,
    };
    (since(of(node, from), sent), since(of(node, to), received))
}

#[test]
fn what_a_vnode_sends_and_receives_is_limited_while_it_runs_and_counted() {
    Site::run(|site| {
        let node = site.worker(1);
        node.ensure(&site, &site.network(5, &[1], 1));
        let (one, two) = (node.guest(5, 11, 11), node.guest(5, 12, 12));
        two.space.serve_udp(two.at(7), "two");
        assert!(
            one.space.hear_udp(two.at(7)).is_some(),
            "they know each other"
        );
        let slow = Some(KbitPerS(1_000));
        let limit = |guest: &Guest, sent, received| {
            let bandwidth = Bandwidth { sent, received };
            node.act(Act::LimitBandwidth(guest.id(), bandwidth));
        };
        let unlimited = |what: &str| {
            let (from, to) = flood(&node, &one, &two);
            assert!(
                from.sent_packets >= DATAGRAMS && from.sent_bytes > DATAGRAMS * BYTES,
                "{from:?}"
            );
            assert!(to.received_packets >= DATAGRAMS, "{what}: {to:?}");
        };
        // A quarter of a second's worth would be 31 kB; buckets and queues hold some more.
        let limited = |what: &str| {
            let (from, to) = flood(&node, &one, &two);
            assert!(
                from.sent_packets >= DATAGRAMS,
                "what it tries to send counts: {from:?}"
            );
            assert!(to.received_bytes < DATAGRAMS * BYTES / 4, "{what}: {to:?}");
        };
        unlimited("at first");
        limit(&one, slow, None);
        limited("sending is limited");
        assert!(one.space.hear_udp(two.at(7)).is_some());
        limit(&one, None, None);
        unlimited("the limit is lifted");
        limit(&two, None, slow);
        limited("receiving is limited");
        limit(&two, None, Some(KbitPerS(10_000_000)));
        unlimited("the limit is raised");
        let all = node.fault(all_counters);
        assert_eq!(
            all.keys().copied().collect::<Vec<_>>(),
            [one.id(), two.id()]
        );
    });
}

#[test]
fn limits_come_with_the_start_and_go_with_the_vnode() {
    Site::run(|site| {
        let node = site.worker(1);
        node.ensure(&site, &site.network(5, &[1], 1));
        let (mut one, two) = (node.guest(5, 11, 11), node.guest(5, 12, 12));
        one.vnode.bandwidth.sent = Some(KbitPerS(1_000));
        node.plug(&one);
        two.space.serve_udp(two.at(7), "two");
        assert!(one.space.hear_udp(two.at(7)).is_some());
        let (_, received) = flood(&node, &one, &two);
        assert!(
            received.received_bytes < DATAGRAMS * BYTES / 4,
            "{received:?}"
        );
        let devices = node.fault(docklet_agent::network::names::devices);
        assert!(devices.contains("dku11"));
        let id = one.id();
        node.fault(move || docklet_agent::network::plug::unplug(id));
        let devices = node.fault(docklet_agent::network::names::devices);
        assert!(
            !devices.iter().any(|device| device.ends_with("11")),
            "{devices:?}"
        );
    });
}

/// How long it takes to bring `bytes` from one vnode to another by one TCP connection.
fn transfer(from: &Guest, to: &Guest, port: u16, bytes: usize) -> Duration {
    let listener = to.space.within(|| TcpListener::bind(to.at(port)));
    let listener = listener.expect("a listener");
    let taking = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let took = std::io::copy(&mut stream, &mut std::io::sink()).expect("read");
        // Only now has all of it come.
        stream.write_all(b".").expect("answered");
        took
    });
    let mut stream = from.space.reach(to.at(port)).expect("a connection");
    let begun = Instant::now();
    stream.write_all(&vec![7; bytes]).expect("sent");
    stream.shutdown(Shutdown::Write).expect("ended");
    stream.read_exact(&mut [0]).expect("an answer");
    let lasted = begun.elapsed();
    assert_eq!(taking.join().expect("no panic"), bytes as u64);
    lasted
}

/// Two limits are compared, so that a machine which is busy with other things does not matter.
#[test]
fn four_times_the_bandwidth_is_four_times_as_fast_each_way_and_only_that_way() {
    Site::run(|site| {
        let node = site.worker(1);
        node.ensure(&site, &site.network(5, &[1], 1));
        let (one, two) = (node.guest(5, 11, 11), node.guest(5, 12, 12));
        two.space.serve_udp(two.at(7), "two");
        assert!(
            one.space.hear_udp(two.at(7)).is_some(),
            "they know each other"
        );
        let mut port = 5_000;
        let mut measure = |out: bool| {
            port += 1;
            let (from, to) = if out { (&one, &two) } else { (&two, &one) };
            transfer(from, to, port, 2 << 20).as_secs_f64()
        };
        for out in [true, false] {
            let mut with = |mbit: u32| {
                let rate = Some(KbitPerS(mbit * 1_000));
                let (sent, received) = if out { (rate, None) } else { (None, rate) };
                let bandwidth = Bandwidth { sent, received };
                node.act(Act::LimitBandwidth(one.id(), bandwidth));
                assert_eq!(node.observe().vnodes[&one.id()].bandwidth, bandwidth);
                (measure(out), measure(!out))
            };
            let ((slow, other), (fast, _)) = (with(8), with(32));
            println!(
                "out {out}: {slow:.2} s at 8 Mbit/s, {fast:.2} s at 32, {other:.2} s the other way"
            );
            assert!(slow > 1.2, "no faster than the limit: {slow} s");
            assert!(slow > fast * 2.0, "{slow} s and {fast} s");
            assert!(other < slow / 2.0, "the other way is free: {other} s");
        }
    });
}
