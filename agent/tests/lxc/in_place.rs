//! Networks that are made in their places: there before the image's first process, or the start fails.

use std::fs;
use std::sync::Arc;

use crate::support::{
    CLUSTER, Worker, command, in_own_network, observe, perform, run_in, spec, try_to, until,
};
use docklet_agent::host::Act;
use docklet_agent::host::linux::LinuxHost;
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::VnodeId;
use docklet_control::model::VnodeWanted::Running;
use docklet_control::model::{ImageSpec, KbitPerS};
use docklet_link::Authority;

const V7: VnodeId = VnodeId(7);

fn worker() -> Worker {
    Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5)
}

async fn ensure_network(worker: &Worker, host: &Arc<LinuxHost>, vnode: &AssignedVnode) {
    let wanted = worker.assignment(vec![vnode.clone()]);
    let network = Act::EnsureNetwork(wanted.networks[0].clone(), wanted.fabric.clone());
    perform(host, network).await;
}

/// Gives a vnode all that its start needs.
pub(crate) async fn prepare(worker: &Worker, host: &Arc<LinuxHost>, vnode: &AssignedVnode) {
    ensure_network(worker, host, vnode).await;
    perform(host, Act::Prepare(Box::new(vnode.clone()))).await;
}

/// A worker with a vnode that has all that its start needs.
async fn prepared() -> (Worker, Arc<LinuxHost>, AssignedVnode) {
    let worker = worker();
    let host = worker.open();
    let vnode = worker.vnode(7, Running);
    prepare(&worker, &host, &vnode).await;
    (worker, host, vnode)
}

/// It is to start, and nothing of it may begin; answers why.
async fn cannot_begin(worker: &Worker, host: &Arc<LinuxHost>, start: Act) -> String {
    let cause = try_to(host, start).await.expect_err("it cannot start");
    assert!(!observe(host).await.vnodes[&V7].running);
    let seen = worker.state("vnodes/v7/rootfs/seen");
    assert!(!seen.exists(), "it has not begun");
    cause
}

/// An image whose first process looks at its network before anything else.
fn looks_first() -> ImageSpec {
    let mut spec = spec();
    let look = "ip address > /seen; ip route >> /seen; exec sleep 1000";
    spec.init = ["/bin/sh", "-c", look].map(str::to_owned).to_vec();
    spec
}

#[test]
fn the_network_is_there_before_the_first_process() {
    in_own_network(async {
        let (worker, host, vnode) = prepared().await;
        perform(
            &host,
            Act::Start(Box::new(vnode.clone()), looks_first(), None),
        )
        .await;
        let init = worker.init_pid(V7).expect("an init");
        let seen = until("it has looked", || {
            let seen = fs::read_to_string(format!("/proc/{init}/root/seen")).ok()?;
            seen.contains("default").then_some(seen)
        });
        assert!(seen.contains("10.64.0.7/22 brd 10.64.3.255"), "{seen}");
        assert!(seen.contains("via 10.64.0.1 dev eth0"), "{seen}");
        assert!(seen.contains(&vnode.mac.to_string()), "{seen}");
        assert!(seen.contains("mtu 1450"), "{seen}");
        assert!(seen.contains("<LOOPBACK,UP"), "{seen}");
        let devices = command("ip", &["-o", "link"]);
        assert!(devices.contains("dkh7"), "{devices}");
        assert!(!devices.contains("dkc7"), "{devices}");
        assert!(!worker.state("vnodes/v7/network").exists(), "no pipe stays");
        perform(&host, Act::Remove(V7)).await;
        assert!(!command("ip", &["-o", "link"]).contains("dkh7"));
    });
}

#[test]
fn a_vnode_without_a_network_does_not_begin() {
    in_own_network(async {
        let (worker, host, vnode) = prepared().await;
        let devices = command("ip", &["-o", "link"]);
        let mut names = devices.lines().filter_map(|line| line.split(": ").nth(1));
        let bridge = names
            .find(|name| name.starts_with("dkb"))
            .expect("a bridge");
        command("ip", &["link", "del", bridge]);
        let start = || Act::Start(Box::new(vnode.clone()), looks_first(), None);
        let cause = cannot_begin(&worker, &host, start()).await;
        assert!(cause.contains("make the devices of a vnode"), "{cause}");
        assert!(!worker.state("vnodes/v7/network").exists(), "no pipe stays");
        ensure_network(&worker, &host, &vnode).await;
        perform(&host, start()).await;
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn a_vnode_that_the_rules_cannot_learn_of_does_not_begin() {
    in_own_network(async {
        let (worker, host, vnode) = prepared().await;
        command("nft", &["delete", "table", "bridge", "docklet"]);
        command("nft", &["add", "table", "bridge", "docklet"]);
        let other = "{ type ipv4_addr; }";
        command(
            "nft",
            &["add", "set", "bridge", "docklet", "allowed", other],
        );
        let start = || Act::Start(Box::new(vnode.clone()), looks_first(), None);
        let cause = cannot_begin(&worker, &host, start()).await;
        assert!(cause.contains("nft"), "{cause}");
        command("nft", &["delete", "table", "bridge", "docklet"]);
        perform(&host, start()).await;
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn a_vnode_that_is_limited_begins_with_its_limit() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let mut vnode = worker.vnode(7, Running);
        vnode.bandwidth.received = Some(KbitPerS(8_000));
        prepare(&worker, &host, &vnode).await;
        perform(&host, Act::Start(Box::new(vnode), looks_first(), None)).await;
        assert!(run_in(&worker, 7, "cat /seen").contains("10.64.0.7/22"));
        let queue = command("tc", &["qdisc", "show", "dev", "dkh7"]);
        assert!(queue.contains("rate 8Mbit"), "{queue}");
        perform(&host, Act::Remove(V7)).await;
    });
}
