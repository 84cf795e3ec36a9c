//! The plan as a table: assigned, seen, acts.

#[path = "plan/moves.rs"]
mod moves;
#[path = "plan/snapshots.rs"]
mod snapshots;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use docklet_agent::host::memory::MemoryHost;
use docklet_agent::host::{Act, Host, Observation, SeenVnode};
use docklet_agent::plan::{plan, report};
use docklet_control::amount::{DiskMib, VnodeSize};
use docklet_control::assignment::{
    AssignedImage, AssignedNetwork, AssignedVnode, Assignment, Fabric, VclusterSecret,
};
use docklet_control::id::{
    Digest, Epoch, LogIndex, NetworkId, UserId, VclusterId, VnodeId, WorkerId,
};
use docklet_control::lost::Fencing;
use docklet_control::model::vnode::MacAddress;
use docklet_control::model::{Bandwidth, ClusterId, ImageSpec, KbitPerS, VnodeSeen, VnodeWanted};
use docklet_control::report::Reported;

const IMAGE: Digest = Digest([7; 32]);
const NETWORK: NetworkId = NetworkId(3);

fn vnode(id: u64, wanted: VnodeWanted) -> AssignedVnode {
    AssignedVnode {
        id: VnodeId(id),
        epoch: Epoch(10),
        wanted,
        owner: UserId(1),
        uid_base: 1_000_000,
        vcluster: VclusterId(1),
        vcluster_name: "lab".to_owned(),
        hostname: format!("host-{id}"),
        image: IMAGE,
        size: VnodeSize::default(),
        disk_mib: VnodeSize::DISK,
        network: NETWORK,
        address: Ipv4Addr::new(10, 64, 0, 2),
        prefix: 22,
        mac: MacAddress([10, 0, 0, 0, 0, 1]),
        hosts: vec![("host-0".to_owned(), Ipv4Addr::new(10, 64, 0, 2))],
        bandwidth: Bandwidth::default(),
        gpus: Vec::new(),
        copy_of: None,
        secret: Some(VclusterSecret([3; 32])),
        home_mib: None,
        arrived_by: None,
    }
}

fn assigned(vnodes: Vec<AssignedVnode>) -> Assignment {
    let network = AssignedNetwork {
        id: NETWORK,
        peers: Vec::new(),
        subnet: None,
        ports: Vec::new(),
    };
    let image = AssignedImage {
        digest: IMAGE,
        blob_bytes: 1,
        spec: ImageSpec::default(),
        holders: Vec::new(),
    };
    Assignment {
        cluster: ClusterId([1; 16]),
        index: LogIndex(10),
        worker: WorkerId(5),
        masters: Vec::new(),
        master_ids: Vec::new(),
        networks: if vnodes.is_empty() {
            Vec::new()
        } else {
            vec![network]
        },
        images: vec![image],
        vnodes,
        fabric: Fabric::default(),
        image_runs: Vec::new(),
        drops_images: true,
        saves: Vec::new(),
        snapshots: Some(Vec::new()),
        restores: Vec::new(),
        resizes: Vec::new(),
        arrivals: Vec::new(),
        departures: Vec::new(),
        fencing: Fencing::default(),
        drill: None,
        metering: docklet_control::assignment::Metering::default(),
        tells_idle: false,
    }
}

fn seen(vnodes: &[(u64, Option<u64>, bool)]) -> Observation {
    let row = |(id, epoch, running): &(u64, Option<u64>, bool)| {
        let row = SeenVnode {
            epoch: epoch.map(Epoch),
            running: *running,
            orphaned: false,
            mounted: true,
            hosts: vnode(*id, VnodeWanted::Running).hosts,
            size: VnodeSize::default(),
            bandwidth: Bandwidth::default(),
            disk_mib: VnodeSize::DISK,
            home_mib: None,
            secret: vnode(*id, VnodeWanted::Running).secret,
        };
        (VnodeId(*id), row)
    };
    Observation {
        vnodes: vnodes.iter().map(row).collect::<BTreeMap<_, _>>(),
        networks: [NETWORK].into(),
        torn: BTreeSet::new(),
        images: [IMAGE].into(),
        grows_disks: true,
        ..Observation::default()
    }
}

/// The steps planned for vnode 1.
fn steps(wanted: Option<VnodeWanted>, seen: &Observation) -> Vec<&'static str> {
    let wanted = assigned(wanted.map(|wanted| vnode(1, wanted)).into_iter().collect());
    let plan = plan(&wanted, seen, Some(&wanted));
    let acts = plan.vnodes.get(&VnodeId(1)).cloned().unwrap_or_default();
    acts.iter().map(Act::step).collect()
}

fn orphaned(epoch: u64) -> Observation {
    let mut seen = seen(&[(1, Some(epoch), false)]);
    seen.vnodes.get_mut(&VnodeId(1)).expect("seen").orphaned = true;
    seen
}

#[test]
fn every_difference_has_its_acts() {
    use VnodeWanted::{Removed, Running, Stopped};
    const NOTHING: &[&str] = &[];
    let start: &[&str] = &["prepare files", "start container"];
    let cases = [
        ("new", Some(Running), seen(&[]), start),
        (
            "running as wanted",
            Some(Running),
            seen(&[(1, Some(10), true)]),
            NOTHING,
        ),
        (
            "ended by itself",
            Some(Running),
            seen(&[(1, Some(10), false)]),
            start,
        ),
        (
            "crash while preparing",
            Some(Running),
            seen(&[(1, None, false)]),
            start,
        ),
        (
            "running for an older placement",
            Some(Running),
            seen(&[(1, Some(9), true)]),
            &["stop container", "prepare files", "start container"],
        ),
        (
            "here by a later placement",
            Some(Running),
            seen(&[(1, Some(11), true)]),
            NOTHING,
        ),
        (
            "to be removed, but here by a later placement",
            Some(Removed),
            seen(&[(1, Some(11), true)]),
            NOTHING,
        ),
        (
            "orphaned",
            Some(Running),
            orphaned(10),
            &["stop container", "prepare files", "start container"],
        ),
        (
            "orphaned, and to be stopped",
            Some(Stopped),
            orphaned(10),
            &["stop container"],
        ),
        (
            "to be stopped",
            Some(Stopped),
            seen(&[(1, Some(10), true)]),
            &["stop container"],
        ),
        (
            "stopped as wanted",
            Some(Stopped),
            seen(&[(1, Some(10), false)]),
            NOTHING,
        ),
        (
            "stopped and never started",
            Some(Stopped),
            seen(&[]),
            NOTHING,
        ),
        (
            "to be removed",
            Some(Removed),
            seen(&[(1, Some(10), true)]),
            &["remove"],
        ),
        ("removed", Some(Removed), seen(&[]), NOTHING),
        (
            "not assigned at all",
            None,
            seen(&[(1, Some(10), true)]),
            &["remove"],
        ),
    ];
    for (name, wanted, seen, acts) in cases {
        assert_eq!(steps(wanted, &seen), acts, "{name}");
    }
}

#[test]
fn a_missing_image_is_fetched_first_and_a_changed_hosts_file_is_written_in_place() {
    let mut without_image = seen(&[]);
    without_image.images.clear();
    let fetch = ["fetch image", "prepare files", "start container"];
    assert_eq!(steps(Some(VnodeWanted::Running), &without_image), fetch);
    let mut other_hosts = seen(&[(1, Some(10), true)]);
    other_hosts
        .vnodes
        .get_mut(&VnodeId(1))
        .expect("seen")
        .hosts
        .clear();
    assert_eq!(
        steps(Some(VnodeWanted::Running), &other_hosts),
        ["write hosts"]
    );
}

#[test]
fn another_bandwidth_is_set_while_it_runs() {
    let mut other = seen(&[(1, Some(10), true)]);
    let vnode = other.vnodes.get_mut(&VnodeId(1)).expect("seen");
    vnode.bandwidth.sent = Some(KbitPerS(1_000));
    assert_eq!(
        steps(Some(VnodeWanted::Running), &other),
        ["limit bandwidth"]
    );
}

#[test]
fn a_disk_grows_while_its_vnode_runs_and_never_shrinks() {
    let running = Some(VnodeWanted::Running);
    let mut other = seen(&[(1, Some(10), true)]);
    let has = |other: &mut Observation, mib| {
        other.vnodes.get_mut(&VnodeId(1)).expect("seen").disk_mib = DiskMib(mib);
    };
    has(&mut other, 64);
    assert_eq!(steps(running, &other), ["grow disk"]);
    has(&mut other, 1 << 20);
    assert_eq!(steps(running, &other), [""; 0]);
    has(&mut other, 64);
    other.grows_disks = false;
    assert_eq!(steps(running, &other), [""; 0], "when it starts anew");
    let mut stopped = seen(&[(1, Some(10), false)]);
    has(&mut stopped, 64);
    assert_eq!(
        steps(Some(VnodeWanted::Stopped), &stopped),
        [""; 0],
        "when it starts"
    );
}

#[test]
fn a_segment_is_ensured_when_it_is_torn_or_anything_about_it_changed_and_told_names_when_these_did()
{
    let here = seen(&[(1, Some(10), true)]);
    let wanted = assigned(vec![vnode(1, VnodeWanted::Running)]);
    let steps = |wanted: &Assignment, seen: &Observation, last: Option<&Assignment>| {
        let acts = plan(wanted, seen, last).networks;
        acts.iter().map(Act::step).collect::<Vec<_>>()
    };
    let whole = ["make network", "tell names"];
    assert_eq!(steps(&wanted, &here, Some(&wanted)), [""; 0]);
    assert_eq!(steps(&wanted, &here, None), whole);
    let mut torn = here.clone();
    torn.torn.insert(NETWORK);
    assert_eq!(steps(&wanted, &torn, Some(&wanted)), whole);
    let mut other = wanted.clone();
    other.fabric.machines = vec![(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)];
    assert_eq!(steps(&other, &here, Some(&wanted)), whole);
    let mut other = wanted.clone();
    other.vnodes[0]
        .hosts
        .push(("host-1".to_owned(), Ipv4Addr::new(10, 64, 0, 3)));
    assert_eq!(steps(&other, &here, Some(&wanted)), ["tell names"]);
}

#[test]
fn segments_and_images_that_nothing_uses_go_last() {
    let nothing = assigned(Vec::new());
    let busy = plan(&nothing, &seen(&[(1, Some(10), true)]), Some(&nothing));
    assert_eq!(busy.sweep, [], "not while a vnode still goes away");
    let idle = plan(&nothing, &seen(&[]), Some(&nothing));
    let wanted = [Act::SweepImages(Vec::new()), Act::RemoveNetwork(NETWORK)];
    assert_eq!(idle.sweep, wanted);
}

#[test]
fn images_come_and_go_as_assigned_but_never_under_a_vnode_and_never_news() {
    const OTHER: Digest = Digest([8; 32]);
    let mut wanted = assigned(vec![vnode(1, VnodeWanted::Stopped)]);
    let other = AssignedImage {
        digest: OTHER,
        holders: vec![(WorkerId(6), "192.0.2.6:1".to_owned())],
        ..wanted.images[0].clone()
    };
    let acts = |wanted: &Assignment, seen: &Observation| {
        let images = plan(wanted, seen, Some(wanted)).images;
        images.into_values().collect::<Vec<_>>()
    };
    let here = seen(&[(1, Some(10), false)]);
    assert_eq!(acts(&wanted, &here), []);
    wanted.images.push(other.clone());
    assert_eq!(
        acts(&wanted, &here),
        [Act::FetchImage(other)],
        "a copy to hold"
    );
    wanted.images[1].holders.clear();
    assert_eq!(acts(&wanted, &here), [], "nobody has it");

    wanted.images.clear();
    let mut two = here.clone();
    two.images.insert(OTHER);
    assert_eq!(
        acts(&wanted, &two),
        [Act::RemoveImage(OTHER)],
        "the vnode's stays"
    );
    two.new_images.insert(OTHER);
    assert_eq!(acts(&wanted, &two), [], "just brought");
    two.new_images.clear();
    two.begun_images.insert(Digest([9; 32]));
    assert_eq!(
        acts(&wanted, &two).len(),
        2,
        "what was begun for nobody goes too"
    );
    let unknown = Observation {
        vnodes: seen(&[(1, Some(10), false), (2, Some(9), true)]).vnodes,
        ..two.clone()
    };
    assert_eq!(
        acts(&wanted, &unknown),
        [],
        "a vnode is here that is to go first"
    );
    wanted.drops_images = false;
    assert_eq!(acts(&wanted, &two), [], "masters that say nothing of it");
}

#[test]
fn only_what_is_true_is_reported() {
    let running = vnode(1, VnodeWanted::Running);
    let removed = vnode(1, VnodeWanted::Removed);
    let up = Some(Reported::Present(VnodeSeen::Running));
    assert_eq!(report(&running, &seen(&[(1, Some(10), true)])), up);
    assert_eq!(
        report(&running, &seen(&[(1, Some(9), true)])),
        None,
        "another placement"
    );
    assert_eq!(report(&running, &seen(&[(1, Some(10), false)])), None);
    assert_eq!(report(&removed, &seen(&[(1, Some(10), false)])), None);
    assert_eq!(report(&removed, &seen(&[])), Some(Reported::Gone));
    let stopped = vnode(1, VnodeWanted::Stopped);
    assert_eq!(
        report(&stopped, &orphaned(10)),
        None,
        "something still runs"
    );
}

#[test]
fn a_machine_in_memory_becomes_what_is_wanted_whatever_fails_on_the_way() {
    let host = MemoryHost::default();
    let wanted = assigned(vec![
        vnode(1, VnodeWanted::Running),
        vnode(2, VnodeWanted::Running),
    ]);
    for failing in ["fetch image", "prepare files", "start container"] {
        host.fail(failing, true);
        round(&host, &wanted);
        host.fail(failing, false);
    }
    settle(&host, &wanted);
    host.crash(VnodeId(2));
    settle(&host, &wanted);
    host.orphan(VnodeId(2));
    settle(&host, &wanted);
    settle(&host, &assigned(Vec::new()));
    let left = host.observe().expect("seen");
    assert!(left.vnodes.is_empty() && left.networks.is_empty());
}

/// One round of the loop, each vnode's acts until the first failure; answers whether there was anything to do.
fn round(host: &MemoryHost, wanted: &Assignment) -> bool {
    let plan = plan(wanted, &host.observe().expect("seen"), Some(wanted));
    let images: Vec<Act> = plan.images.values().cloned().collect();
    let others = [&plan.networks, &images, &plan.sweep];
    let lists = plan.vnodes.values().chain(others);
    for acts in lists {
        let done = acts.iter().take_while(|act| host.act(act).is_ok()).count();
        assert!(done <= acts.len());
    }
    !plan.is_empty()
}

fn settle(host: &MemoryHost, wanted: &Assignment) {
    let rounds = (0..10).take_while(|_| round(host, wanted)).count();
    assert!(rounds < 10, "it never settles");
}
