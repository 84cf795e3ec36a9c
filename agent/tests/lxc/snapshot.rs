//! Snapshots of real vnodes: what was there at one moment, back again, and nobody harmed by one that fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use docklet_agent::host::linux::LinuxHost;
use docklet_agent::lxc::Container;
use docklet_agent::plan::snapshots::reports;
use docklet_control::amount::DiskMib;
use docklet_control::assignment::{AssignedRestore, Assignment};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted::Stopped;
use docklet_control::report::SnapshotTold;
use docklet_link::Authority;
use nix::sys::statvfs::statvfs;

use crate::support::{CLUSTER, Worker, command, in_own_network, observe, round, run_in, until};

const V7: VnodeId = VnodeId(7);

fn worker() -> Worker {
    Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5)
}

fn restoring(mut wanted: Assignment, number: u64, snapshot: u64) -> Assignment {
    wanted.restores = vec![AssignedRestore {
        vnode: V7,
        number: LogIndex(number),
        snapshot: LogIndex(snapshot),
    }];
    wanted
}

/// What is noted of a snapshot.
async fn told(host: &Arc<LinuxHost>, number: u64) -> SnapshotTold {
    let seen = observe(host).await;
    seen.snapshots[&V7].told[&LogIndex(number)].clone()
}

async fn restored(host: &Arc<LinuxHost>, number: u64) -> SnapshotTold {
    let seen = observe(host).await;
    let (of, told) = seen.snapshots[&V7].restored.clone().expect("a note");
    assert_eq!(of, LogIndex(number));
    told
}

fn disk_of(worker: &Worker, number: u64) -> PathBuf {
    worker.state(&format!("vnodes/v7/snapshots/{number}.img"))
}

fn inside(worker: &Worker, line: &str) -> String {
    run_in(worker, 7, line)
}

/// Neither processes nor file system of the vnode stand still. Whoever wrote to what does would wait for ever.
pub fn goes_on(worker: &Worker) {
    let container = Container::open(&worker.state("lxc"), "v7").expect("a handle");
    assert!(!container.is_frozen(), "its processes are frozen");
    let thawed = Command::new("/sbin/fsfreeze")
        .arg("--unfreeze")
        .arg(worker.state("vnodes/v7/disk"))
        .output();
    let was_frozen = thawed.expect("fsfreeze").status.success();
    assert!(!was_frozen, "its file system is frozen");
}

/// Whether the file system on a snapshot needs no repair, not even its journal replayed.
fn is_clean(disk: &Path) -> bool {
    let checked = Command::new("/sbin/e2fsck")
        .args(["-fn"])
        .arg(disk)
        .output();
    let checked = checked.expect("e2fsck");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{said}");
    !said.contains("recovering journal")
}

#[test]
fn a_snapshot_of_a_vnode_that_writes_is_one_moment_of_it_and_comes_back() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let before = worker.traces(&[7]);
        round(&host, &worker.with_snapshots(&[])).await;
        inside(
            &worker,
            "echo before > /root/kept && mkdir /root/d && echo x > /root/d/x",
        );
        inside(
            &worker,
            "(i=0; while :; do i=$((i+1)); echo $i >> /root/count; done) > /dev/null 2>&1 &",
        );
        let init = worker.init_pid(V7);
        assert_eq!(
            round(&host, &worker.with_snapshots(&[50])).await,
            ["take snapshot"]
        );
        assert_eq!(
            round(&host, &worker.with_snapshots(&[50])).await,
            [""; 0],
            "once"
        );
        let SnapshotTold::Taken {
            disk_mib,
            used_bytes,
            still_us,
        } = told(&host, 50).await
        else {
            panic!("it was taken");
        };
        println!("stood still for {still_us} us, {used_bytes} bytes");
        assert_eq!(disk_mib, DiskMib(64));
        assert!(used_bytes < 32 << 20 && still_us > 0 && still_us < 5_000_000);
        assert!(is_clean(&disk_of(&worker, 50)));
        goes_on(&worker);
        assert_eq!(worker.init_pid(V7), init, "it is the same run");
        let count = || inside(&worker, "wc -l < /root/count").trim().to_owned();
        let then = count();
        until("more lines", || (count() != then).then_some(()));

        inside(
            &worker,
            "echo after > /root/kept; rm -r /root/d; echo new > /root/new",
        );
        let steps = round(&host, &restoring(worker.with_snapshots(&[50, 60]), 60, 50)).await;
        assert_eq!(
            steps,
            [
                "stop container",
                "restore snapshot",
                "prepare files",
                "start container"
            ]
        );
        assert_eq!(restored(&host, 60).await, SnapshotTold::Restored);
        assert_eq!(inside(&worker, "cat /root/kept /root/d/x"), "before\nx\n");
        assert!(inside(&worker, "ls /root/new 2>&1 || true").contains("No such"));
        assert_ne!(worker.init_pid(V7), init);

        // What was there before is a snapshot, and is as good as any.
        assert!(matches!(told(&host, 60).await, SnapshotTold::Taken { .. }));
        let undo = restoring(worker.with_snapshots(&[50, 60, 70]), 70, 60);
        round(&host, &undo).await;
        assert_eq!(inside(&worker, "cat /root/kept /root/new"), "after\nnew\n");
        assert_eq!(
            round(&host, &undo).await,
            [""; 0],
            "no restore is done twice"
        );

        assert_eq!(
            round(&host, &worker.with_snapshots(&[60])).await,
            ["delete snapshot", "delete snapshot"]
        );
        assert!(!disk_of(&worker, 50).exists() && disk_of(&worker, 60).exists());
        round(&host, &worker.assignment(Vec::new())).await;
        round(&host, &worker.assignment(Vec::new())).await;
        assert_eq!(worker.traces(&[7]), before, "with the vnode all of it goes");
    });
}

#[test]
fn limits_and_rules_are_those_of_now_whatever_a_snapshot_is_of() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.with_snapshots(&[])).await;
        inside(&worker, "echo old > /root/kept");
        round(&host, &worker.with_snapshots(&[50])).await;
        inside(&worker, "echo new > /root/kept");

        // Larger than the vnode may be: it goes on with what it has.
        let mut smaller = restoring(worker.with_snapshots(&[50, 60]), 60, 50);
        smaller.vnodes[0].disk_mib = DiskMib(32);
        round(&host, &smaller).await;
        let SnapshotTold::NotRestored { cause } = restored(&host, 60).await else {
            panic!("too large")
        };
        assert!(cause.contains("larger than the 32 MiB"), "{cause}");
        assert_eq!(inside(&worker, "cat /root/kept"), "new\n");
        assert_eq!(round(&host, &smaller).await, [""; 0], "and is left alone");

        // Files of another owner's ids.
        let note = worker.state("vnodes/v7/snapshots/50.json");
        let text = fs::read_to_string(&note).expect("a note");
        let other = text.replace(&worker.uid_base.to_string(), "65536");
        fs::write(&note, other).expect("written");
        round(&host, &restoring(worker.with_snapshots(&[50, 61]), 61, 50)).await;
        let SnapshotTold::NotRestored { cause } = restored(&host, 61).await else {
            panic!("of another")
        };
        assert!(cause.contains("user ids"), "{cause}");
        fs::write(&note, text).expect("written");

        // Taken before the disk grew and the limits shrank.
        let mut now = restoring(worker.with_snapshots(&[50, 62]), 62, 50);
        now.vnodes[0].disk_mib = DiskMib(256);
        now.vnodes[0].size.pids_max = 32;
        round(&host, &now).await;
        assert_eq!(restored(&host, 62).await, SnapshotTold::Restored);
        assert_eq!(inside(&worker, "cat /root/kept"), "old\n");
        let disk = statvfs(&worker.state("vnodes/v7/disk")).expect("mounted");
        let holds = (disk.blocks() * disk.fragment_size()) >> 20;
        assert!((230..256).contains(&holds), "{holds} MiB");
        assert_eq!(worker.cgroup_file(V7, &["pids.max"]), "32");
        round(&host, &worker.assignment(Vec::new())).await;
    });
}

/// A small file system of its own for what vnodes write.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn below(worker: &Worker, mib: u64) -> Self {
        let (file, dir) = (worker.state("small.img"), worker.state("vnodes"));
        let made = fs::File::create(&file).expect("a file");
        made.set_len(mib << 20).expect("sized");
        fs::create_dir_all(&dir).expect("a directory");
        let text = |path: &Path| path.display().to_string();
        command("/sbin/mkfs.ext4", &["-q", "-F", &text(&file)]);
        command("mount", &["-o", "loop", &text(&file), &text(&dir)]);
        // Templates are copied within a file system.
        let (within, templates) = (dir.join("templates"), worker.state("templates"));
        for dir in [&within, &templates] {
            fs::create_dir_all(dir).expect("a directory");
        }
        command("mount", &["--bind", &text(&within), &text(&templates)]);
        Self(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The worker's own drop unmounts the rest; the device goes with the last mount.
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_snapshot_for_which_there_is_no_room_harms_nobody() {
    in_own_network(async {
        let worker = worker();
        let _small = SmallDisk::below(&worker, 72);
        let host = worker.open();
        round(&host, &worker.with_snapshots(&[])).await;
        inside(
            &worker,
            "dd if=/dev/urandom of=/root/big bs=1M count=40 2>&1 && sync",
        );
        assert_eq!(
            round(&host, &worker.with_snapshots(&[50])).await,
            ["take snapshot"]
        );
        let SnapshotTold::Failed { cause } = told(&host, 50).await else {
            panic!("there is no room")
        };
        println!("{cause}");
        assert!(cause.contains("to spare"), "{cause}");
        let left = fs::read_dir(worker.state("vnodes/v7/snapshots")).expect("a directory");
        let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["50.json"], "only why there is none");
        goes_on(&worker);
        assert_eq!(
            inside(&worker, "echo on > /root/on && sync && cat /root/on"),
            "on\n"
        );
        assert_eq!(
            round(&host, &worker.with_snapshots(&[50])).await,
            [""; 0],
            "not again and again"
        );
        assert_eq!(
            reports(&worker.with_snapshots(&[50]), &observe(&host).await).len(),
            1
        );

        // Room for one, and then not for bringing it back beside what is there.
        inside(
            &worker,
            "rm /root/big; dd if=/dev/urandom of=/root/big bs=1M count=20 2>&1; sync",
        );
        assert_eq!(
            round(&host, &worker.with_snapshots(&[51])).await,
            ["delete snapshot", "take snapshot"]
        );
        assert!(matches!(told(&host, 51).await, SnapshotTold::Taken { .. }));
        inside(&worker, "echo later > /root/on && sync");
        round(&host, &restoring(worker.with_snapshots(&[51, 60]), 60, 51)).await;
        let SnapshotTold::NotRestored { cause } = restored(&host, 60).await else {
            panic!("there is no room")
        };
        assert!(cause.contains("to spare"), "{cause}");
        assert_eq!(inside(&worker, "cat /root/on"), "later\n");
        round(&host, &worker.assignment(Vec::new())).await;
    });
}

#[test]
fn a_snapshot_whose_file_somebody_deleted_is_lost_and_not_taken_anew() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.with_snapshots(&[])).await;
        let mut wanted = worker.with_snapshots(&[50]);
        round(&host, &wanted).await;
        wanted.snapshots.as_mut().expect("some")[0].taken = true;
        assert!(reports(&wanted, &observe(&host).await).is_empty());
        fs::remove_file(disk_of(&worker, 50)).expect("deleted");
        assert_eq!(round(&host, &wanted).await, [""; 0], "it would be another");
        let told = reports(&wanted, &observe(&host).await);
        let SnapshotTold::Failed { cause } = &told[0].told else {
            panic!("it is lost: {told:?}")
        };
        assert!(cause.contains("gone from the worker"), "{cause}");
        round(&host, &worker.assignment(Vec::new())).await;
    });
}

#[test]
fn what_an_agent_left_frozen_can_be_written_to_with_the_next() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.with_snapshots(&[])).await;
        let container = Container::open(&worker.state("lxc"), "v7").expect("a handle");
        container.freeze().expect("frozen");
        let disk = worker.state("vnodes/v7/disk").display().to_string();
        command("/sbin/fsfreeze", &["--freeze", &disk]);
        drop(host);
        let begun = Instant::now();
        let next = worker.open();
        println!("the next is up after {:?}", begun.elapsed());
        goes_on(&worker);
        assert_eq!(
            inside(&worker, "echo on > /root/on && cat /root/on"),
            "on\n"
        );
        round(&next, &worker.assignment(Vec::new())).await;
    });
}

#[test]
fn a_stopped_vnode_has_snapshots_too_and_stays_stopped() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.with_snapshots(&[])).await;
        inside(&worker, "echo one > /root/kept");
        let stopped = |numbers: &[u64]| {
            let mut wanted = worker.with_snapshots(numbers);
            wanted.vnodes[0].wanted = Stopped;
            wanted
        };
        assert_eq!(
            round(&host, &stopped(&[50])).await,
            ["stop container"],
            "one thing after the other"
        );
        assert_eq!(round(&host, &stopped(&[50])).await, ["take snapshot"]);
        assert!(matches!(
            told(&host, 50).await,
            SnapshotTold::Taken { still_us: 0, .. }
        ));
        round(&host, &worker.with_snapshots(&[50])).await;
        inside(&worker, "echo two > /root/kept");
        round(&host, &stopped(&[50])).await;
        let steps = round(&host, &restoring(stopped(&[50, 60]), 60, 50)).await;
        assert_eq!(steps, ["restore snapshot"]);
        assert!(!observe(&host).await.vnodes[&V7].running);
        round(&host, &worker.with_snapshots(&[50, 60])).await;
        assert_eq!(inside(&worker, "cat /root/kept"), "one\n");
        round(&host, &worker.assignment(Vec::new())).await;
    });
}
