//! The worker's file system becomes full while a disk is copied: whoever asked is told why, nothing half-made stays, and the
//! vnode goes on.

use std::fs::{self, File};
use std::path::PathBuf;

use docklet_agent::plan::snapshots::reports;
use docklet_control::assignment::AssignedRestore;
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted::Stopped;
use docklet_control::report::SnapshotTold;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

use crate::copy::begins;
use crate::snapshot::{SmallDisk, goes_on};
use crate::support::{in_own_network, observe, round, run_in};
use crate::traced::Rig;

const V7: VnodeId = VnodeId(7);
/// So much is left when the copy begins, and it needs more.
const LEFT_BYTES: u64 = 8 << 20;
const FULL: &str = "No space left on device";

/// A rig whose vnodes are on a small file system, with a vnode that has written so many MiB.
async fn rig(mib: u32) -> (SmallDisk, Rig) {
    let rig = Rig::new();
    let small = SmallDisk::below(&rig.worker, 160);
    round(&rig.host, &rig.worker.with_snapshots(&[])).await;
    let write = format!("dd if=/dev/urandom of=/root/big bs=1M count={mib} 2>&1 && sync");
    run_in(&rig.worker, 7, &write);
    (small, rig)
}

fn others(rig: &Rig) -> PathBuf {
    rig.worker.state("vnodes/others")
}

/// Somebody else takes the room that was there when it was looked for.
fn fill(rig: &Rig) {
    let fs = statvfs(&rig.worker.state("vnodes")).expect("mounted");
    let free = fs.blocks_available() * fs.fragment_size();
    let file = File::create(others(rig)).expect("a file");
    let taken = i64::try_from(free - LEFT_BYTES).expect("a length");
    fallocate(&file, FallocateFlags::empty(), 0, taken).expect("taken");
}

fn runs_on(rig: &Rig) {
    fs::remove_file(others(rig)).expect("room again");
    goes_on(&rig.worker);
    let written = run_in(&rig.worker, 7, "echo on > /root/on && sync && cat /root/on");
    assert_eq!(written, "on\n");
}

fn names(rig: &Rig, below: &str) -> Vec<String> {
    let entries = fs::read_dir(rig.worker.state(below)).expect("a directory");
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_disk_that_becomes_full_while_a_snapshot_is_taken_harms_nobody() {
    in_own_network(async {
        let (_small, rig) = rig(30).await;
        let init = rig.worker.init_pid(V7);
        assert!(rig.meets("take", || fill(&rig)), "it could be noted");
        assert_eq!(names(&rig, "vnodes/v7/snapshots"), ["50.json"]);
        runs_on(&rig);
        assert_eq!(rig.worker.init_pid(V7), init);
        let wanted = rig.worker.with_snapshots(&[50]);
        let told = reports(&wanted, &observe(&rig.host).await);
        let SnapshotTold::Failed { cause } = &told[0].told else {
            panic!("there was no room: {told:?}")
        };
        assert!(cause.contains(FULL), "{cause}");
        assert_eq!(
            round(&rig.host, &wanted).await,
            [""; 0],
            "not again and again"
        );
        rig.remove_all().await;
    });
}

#[test]
fn a_disk_that_becomes_full_while_a_snapshot_is_restored_leaves_the_vnode_with_the_disk_it_had() {
    in_own_network(async {
        let (_small, rig) = rig(30).await;
        round(&rig.host, &rig.worker.with_snapshots(&[50])).await;
        run_in(&rig.worker, 7, "echo is > /root/kept && sync");
        let mut stopped = rig.worker.with_snapshots(&[50]);
        stopped.vnodes[0].wanted = Stopped;
        round(&rig.host, &stopped).await;
        assert!(rig.meets("restore", || fill(&rig)), "it could be noted");
        assert_eq!(names(&rig, "vnodes/v7/snapshots"), ["50.img", "50.json"]);
        assert!(!rig.worker.state("vnodes/v7/disk.restored").exists());
        let mut wanted = rig.worker.with_snapshots(&[50, 60]);
        wanted.restores = vec![AssignedRestore {
            vnode: V7,
            number: LogIndex(60),
            snapshot: LogIndex(50),
        }];
        let told = reports(&wanted, &observe(&rig.host).await);
        let failed = told.iter().find_map(|report| {
            if let SnapshotTold::NotRestored { cause } = &report.told {
                return Some(cause.clone());
            }
            None
        });
        let cause = failed.expect("there was no room");
        assert!(cause.contains(FULL), "{cause}");
        round(&rig.host, &wanted).await;
        runs_on(&rig);
        assert_eq!(run_in(&rig.worker, 7, "cat /root/kept"), "is\n");
        rig.remove_all().await;
    });
}

#[test]
fn a_disk_that_becomes_full_while_a_vnode_begins_with_a_snapshot_harms_neither() {
    in_own_network(async {
        let (_small, rig) = rig(30).await;
        let source = rig.worker.with_snapshots(&[50]);
        round(&rig.host, &source).await;
        let init = rig.worker.init_pid(V7);
        let mut wanted = source.clone();
        wanted.vnodes.push(begins(&rig.worker));
        assert!(!rig.meets("begin", || fill(&rig)), "it cannot be prepared");
        let left = names(&rig, "vnodes/v8");
        assert!(
            !left.iter().any(|name| name.starts_with("disk")),
            "{left:?}"
        );
        runs_on(&rig);
        assert_eq!(rig.worker.init_pid(V7), init);
        // With room again it is as if nothing had been.
        rig.recover(&wanted).await;
        let length = run_in(&rig.worker, 8, "wc -c < /root/big");
        assert_eq!(length.trim(), "31457280");
        rig.recover(&source).await;
        rig.remove_all().await;
    });
}
