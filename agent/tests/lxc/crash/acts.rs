//! Each act that the agent's source knows has a test that kills an agent at it. Those that have none of their own are killed
//! here, at the changes that they make, by what is planned for an assignment.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::time::SystemTime;

use docklet_agent::host::Act;
use docklet_agent::images::ImageStore;
use docklet_agent::members::Members;
use docklet_control::amount::DiskMib;
use docklet_control::assignment::moves::{AssignedDeparture, DepartureStage};
use docklet_control::assignment::{AssignedImage, AssignedSave, Assignment, VclusterSecret};
use docklet_control::id::{LogIndex, WorkerId};
use docklet_control::model::VnodeWanted::{Running, Stopped};
use docklet_control::model::{Bandwidth, KbitPerS};
use docklet_control::report::Saved;
use docklet_link::Authority;

use super::{V7, files_of};
use crate::door::serve;
use crate::resize;
use crate::support::{
    CLUSTER, DATA_PORT, Worker, in_own_network, observe, perform, processes_of, round, run_in, spec,
};
use crate::traced::Rig;

/// Acts that leave nothing on the machine, so that one which was cut short is one which was never begun.
const IN_MEMORY: [&str; 3] = ["TellNames", "CancelSave", "CancelCopy"];

/// Acts that are killed in a test of their own, and where that is.
const ELSEWHERE: [(&str, &str, &str); 11] = [
    ("Prepare", "an_agent_that_dies_while_it_prepares", LXC),
    ("Start", "an_agent_that_dies_while_it_starts_a_vnode", LXC),
    (
        "GrowDisk",
        "an_agent_that_dies_while_it_lets_a_disk_grow",
        LXC,
    ),
    ("Remove", "an_agent_that_dies_while_it_removes_a_vnode", LXC),
    ("TakeSnapshot", "an_agent_that_dies_while_it_takes_or", LXC),
    (
        "DeleteSnapshot",
        "an_agent_that_dies_while_it_takes_or",
        LXC,
    ),
    ("Restore", "an_agent_that_dies_while_it_restores", LXC),
    (
        "Checkpoint",
        "an_agent_that_dies_while_it_checkpoints",
        include_str!("../checkpoint/crash.rs"),
    ),
    ("Copy", "whoever_gives_up_at_any_moment_may_go_on", BREAKS),
    (
        "CopyRest",
        "whoever_gives_up_at_any_moment_may_go_on",
        BREAKS,
    ),
    (
        "Adopt",
        "adopting_may_be_killed_at_every_step",
        include_str!("../../transfer/adopting.rs"),
    ),
];
const LXC: &str = include_str!("../crash.rs");
const BREAKS: &str = include_str!("../../transfer/breaks.rs");

/// Acts that are killed here: on a vnode that runs, on one that stands still, on what vnodes leave, and on images.
const OF_RUNNING: [&str; 8] = [
    "EnsureNetwork",
    "Stop",
    "WriteHosts",
    "LimitBandwidth",
    "SizeHome",
    "Resize",
    "WriteKeys",
    "Save",
];
const OF_STILL: [&str; 1] = ["Release"];
const LEFT: [&str; 4] = [
    "RemoveNetwork",
    "SweepHomes",
    "SweepImages",
    "ForgetArrival",
];
const OF_IMAGES: [&str; 2] = ["FetchImage", "RemoveImage"];

/// Steps of an act at which the agent is killed: the first, and of the next seven, of the 56 after those and so on one each, drawn by
/// AGENT_CRASH_SEED; with AGENT_CRASH=all each, but of those that write or delete an image not all of the many that are alike.
fn steps_of(act: &str) -> Box<dyn Iterator<Item = usize>> {
    if std::env::var("AGENT_CRASH").is_ok_and(|said| said == "all") {
        let stride = match act {
            "Save" | "FetchImage" | "RemoveImage" => 23,
            _ => 1,
        };
        return Box::new((0..16).chain((16..).step_by(stride)));
    }
    let seed = std::env::var("AGENT_CRASH_SEED");
    let seed: u64 = seed.map_or(1, |seed| seed.parse().expect("a number"));
    let drawn = drawn(seed, act);
    Box::new(std::iter::once(0).chain(drawn))
}

/// One step of each power of eight.
fn drawn(seed: u64, act: &str) -> impl Iterator<Item = usize> + use<> {
    let act = act.to_owned();
    (0..20).map(move |power| {
        let (first, end) = (1_u64 << (3 * power), 1_u64 << (3 * power + 3));
        let mut hasher = DefaultHasher::new();
        (seed, &act, power).hash(&mut hasher);
        let step = first + hasher.finish() % (end - first);
        usize::try_from(step).expect("a step")
    })
}

/// The acts of the agent's own source, by name.
fn acts() -> Vec<&'static str> {
    let source = include_str!("../../../src/host/mod.rs");
    let (_, body) = source.split_once("pub enum Act {\n").expect("the acts");
    let (body, _) = body.split_once("\n}\n").expect("their end");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let named = lines.filter(|line| line.starts_with(char::is_uppercase));
    named
        .map(|line| line.split(['(', ',']).next().unwrap_or(line))
        .collect()
}

#[test]
fn each_act_of_the_source_is_killed_by_some_test() {
    for (act, test, source) in ELSEWHERE {
        assert!(source.contains(&format!("fn {test}")), "{act}: {test}");
    }
    let elsewhere = ELSEWHERE.iter().map(|(act, ..)| *act);
    let here = [&OF_RUNNING[..], &OF_STILL, &LEFT, &OF_IMAGES, &IN_MEMORY].concat();
    let mut covered: Vec<&str> = elsewhere.chain(here).collect();
    let mut known = acts();
    covered.sort_unstable();
    known.sort_unstable();
    assert!(known.len() > 20, "{known:?}");
    assert_eq!(covered, known);
}

/// The vnode as it runs before, with a home that has a size.
fn running(rig: &Rig) -> Assignment {
    let mut wanted = rig.worker.assignment(vec![rig.worker.vnode(7, Running)]);
    wanted.vnodes[0].home_mib = Some(DiskMib(64));
    wanted
}

/// The same with what makes an agent plan this act.
fn changed(rig: &Rig, act: &str) -> Assignment {
    let mut wanted = running(rig);
    let vnode = &mut wanted.vnodes[0];
    match act {
        // Nothing of it is there yet.
        "EnsureNetwork" => {}
        "Stop" => vnode.wanted = Stopped,
        "WriteHosts" => {
            let other = ("host-1".to_owned(), Ipv4Addr::new(10, 64, 0, 8));
            vnode.hosts.push(other);
        }
        "LimitBandwidth" => {
            vnode.bandwidth = Bandwidth {
                sent: Some(KbitPerS(8_000)),
                ..Bandwidth::default()
            }
        }
        "SizeHome" => vnode.home_mib = Some(DiskMib(128)),
        "Resize" => {
            let larger = resize::size(1_000, 96, 128);
            vnode.size = larger;
            wanted.resizes = resize::wanted(&rig.worker, larger).resizes;
        }
        "WriteKeys" => vnode.secret = Some(VclusterSecret([4; 32])),
        "Save" => wanted.saves.push(AssignedSave {
            vnode: V7,
            number: LogIndex(50),
            snapshot: None,
            blob_bytes_max: None,
        }),
        "Release" => {
            vnode.wanted = Stopped;
            wanted.departures.push(AssignedDeparture {
                vnode: V7,
                number: LogIndex(41),
                to: WorkerId(6),
                stage: DepartureStage::Still,
            });
        }
        other => panic!("nobody knows how to have {other} planned"),
    }
    wanted
}

/// What must hold of this act once another agent has come to rest.
async fn assert_done(rig: &Rig, act: &str, step: usize) {
    let told = format!("{act}, step {step}");
    let seen = observe(&rig.host).await;
    match act {
        "Stop" | "Release" => {
            assert!(!seen.vnodes[&V7].running, "{told}");
            assert_eq!(processes_of(rig.worker.uid_base), [0; 0], "{told}");
            assert_eq!(seen.vnodes[&V7].mounted, act == "Stop", "{told}");
        }
        "WriteHosts" => {
            let hosts = run_in(&rig.worker, 7, "cat /etc/hosts");
            assert!(hosts.contains("host-1"), "{told}: {hosts}");
        }
        "SizeHome" => {
            let line = "df -m /root/nfs | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2";
            let size = run_in(&rig.worker, 7, line);
            let size: u64 = size.trim().parse().expect("MiB");
            // Where what is mounted cannot grow, it does at the owner's next start.
            let grown = if seen.grows_disks { 90..128 } else { 40..64 };
            assert!(grown.contains(&size), "{told}: {size} MiB");
            assert_eq!(seen.vnodes[&V7].home_mib, Some(DiskMib(128)), "{told}");
        }
        "Resize" => {
            let pids = rig.worker.cgroup_file(V7, &["pids.max"]);
            assert_eq!(pids, "128", "{told}");
        }
        "WriteKeys" => {
            let keys = fs::read_dir(rig.worker.state("vnodes/v7/told/ssh")).expect("its keys");
            assert!(keys.count() > 0, "{told}");
            assert_eq!(seen.vnodes[&V7].secret, Some(VclusterSecret([4; 32])));
        }
        "Save" => {
            let Saved::Done { digest, .. } = seen.saves[&V7].saved else {
                panic!("{told}: {:?}", seen.saves[&V7]);
            };
            let images = files_of(rig, "images");
            let wanted = BTreeSet::from([rig.worker.image, digest]);
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            assert_eq!(images, wanted, "{told}: nothing half");
            let store = rig.host.images();
            store.remove(digest).expect("removed for the next");
        }
        _ => {}
    }
}

/// Whether an agent came to the end of an act before this step.
fn ended(act: &str, step: usize, killed: bool) -> bool {
    if !killed {
        assert!(step > 0, "{act} changes nothing");
        println!("{act}: {step} steps");
    }
    !killed
}

/// Whether it goes on as the same one, and can be used.
fn assert_goes_on(rig: &Rig, init: Option<i32>, told: &str) {
    assert_eq!(rig.worker.init_pid(V7), init, "{told}");
    let written = run_in(&rig.worker, 7, "echo on > /root/on && cat /root/on");
    assert_eq!(written, "on\n", "{told}");
}

#[test]
fn an_agent_that_dies_at_an_act_on_a_vnode_leaves_what_the_next_one_finishes() {
    in_own_network(async {
        let rig = Rig::new();
        for act in OF_RUNNING.into_iter().chain(OF_STILL) {
            let before = rig.worker.traces(&[7]);
            let begins = act == "EnsureNetwork";
            let stands = ["Stop", "Release"].contains(&act);
            for step in steps_of(act) {
                if !begins {
                    round(&rig.host, &running(&rig)).await;
                }
                let init = rig.worker.init_pid(V7);
                if act == "Release" {
                    round(&rig.host, &changed(&rig, "Stop")).await;
                }
                let wanted = changed(&rig, act);
                let killed = rig.killed_at_planned(&wanted, act, step);
                rig.recover(&wanted).await;
                assert_done(&rig, act, step).await;
                if stands || begins {
                    rig.recover(&running(&rig)).await;
                    assert_goes_on(&rig, rig.worker.init_pid(V7), act);
                } else {
                    assert_goes_on(&rig, init, &format!("{act}, step {step}"));
                }
                rig.remove_all().await;
                if ended(act, step, killed) {
                    break;
                }
            }
            assert_eq!(rig.worker.traces(&[7]), before, "{act}");
        }
    });
}

#[test]
fn an_agent_that_dies_while_it_sweeps_up_leaves_what_the_next_one_sweeps() {
    in_own_network(async {
        let rig = Rig::new();
        let nothing = rig.worker.assignment(Vec::new());
        let before = rig.worker.traces(&[7]);
        for act in LEFT {
            for step in steps_of(act) {
                round(&rig.host, &running(&rig)).await;
                perform(&rig.host, Act::Remove(V7)).await;
                let half = rig.worker.state("arriving/v7-41");
                if act == "ForgetArrival" {
                    fs::create_dir_all(half.join("snapshots")).expect("made");
                    fs::write(half.join("disk.img"), "half").expect("written");
                }
                let killed = rig.killed_at_planned(&nothing, act, step);
                rig.recover(&nothing).await;
                let seen = observe(&rig.host).await;
                assert!(seen.networks.is_empty() && seen.homes.is_empty());
                assert!(!half.exists(), "{act}, step {step}");
                assert_eq!(rig.worker.traces(&[7]), before, "{act}, step {step}");
                if ended(act, step, killed) {
                    break;
                }
            }
        }
    });
}

#[test]
fn an_agent_that_dies_while_it_fetches_an_image_leaves_what_the_next_one_goes_on_with() {
    in_own_network(async {
        let ca = Authority::create(CLUSTER).expect("an authority");
        let giver = Worker::new(&ca, 5);
        let _told = serve(&giver, &giver.open(), Members::default()).await;
        let rig = Rig::of(&ca, Worker::empty(&ca, 6));
        let mut wanted = rig.worker.assignment(Vec::new());
        wanted.images = vec![AssignedImage {
            digest: giver.image,
            blob_bytes: giver.blob_bytes,
            spec: spec(),
            holders: vec![(WorkerId(5), format!("127.0.0.1:{DATA_PORT}"))],
        }];
        for step in steps_of("FetchImage") {
            let killed = rig.killed_at_planned(&wanted, "FetchImage", step);
            rig.recover(&wanted).await;
            let digest = giver.image.to_string();
            assert_eq!(
                files_of(&rig, "images"),
                std::slice::from_ref(&digest),
                "step {step}"
            );
            let blob = format!("images/{digest}/blob.tar.zst");
            let [given, taken] = [&giver, &rig.worker].map(|one| fs::read(one.state(&blob)));
            assert_eq!(given.expect("the blob"), taken.expect("the blob"));
            rig.host.images().remove(giver.image).expect("removed");
            if ended("FetchImage", step, killed) {
                break;
            }
        }
    });
}

#[test]
fn an_agent_that_dies_while_it_deletes_an_image_leaves_it_whole_or_nothing() {
    in_own_network(async {
        let rig = Rig::new();
        let blob = format!("images/{}/blob.tar.zst", rig.worker.image);
        let bytes = fs::read(rig.worker.state(&blob)).expect("the blob");
        let mut wanted = rig.worker.assignment(Vec::new());
        wanted.images.clear();
        wanted.drops_images = true;
        for step in steps_of("RemoveImage") {
            let store = ImageStore::open(rig.worker.state("images")).expect("a store");
            if !store.holds(rig.worker.image) {
                let receiving = store.receive(rig.worker.image, bytes.len() as u64);
                let mut receiving = receiving.expect("begun");
                receiving.write(&bytes).expect("written");
                receiving.finish().expect("verified");
            }
            // No news any more.
            let file = fs::File::options()
                .append(true)
                .open(rig.worker.state(&blob));
            let aged = file.and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH));
            aged.expect("aged");
            let killed = rig.killed_at_planned(&wanted, "RemoveImage", step);
            rig.recover(&wanted).await;
            assert_eq!(files_of(&rig, "images"), [""; 0], "step {step}");
            if ended("RemoveImage", step, killed) {
                break;
            }
        }
    });
}
