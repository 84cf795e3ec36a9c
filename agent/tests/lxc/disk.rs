//! A vnode's disk: a hard quota, gone without a trace.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use docklet_agent::host::linux::LinuxHost;
use docklet_agent::host::{Act, Host, Observation};
use docklet_agent::loop_device::attached_to;
use docklet_agent::plan::moves::departures;
use docklet_agent::plan::plan;
use docklet_control::amount::DiskMib;
use docklet_control::assignment::AssignedVnode;
use docklet_control::assignment::moves::{AssignedDeparture, DepartureStage};
use docklet_control::id::{LogIndex, VnodeId, WorkerId};
use docklet_control::model::VnodeWanted::{Running, Stopped};
use docklet_link::Authority;

use crate::door::Open;
use crate::exec::{Ran, run};
use crate::support::{Worker, command, in_own_network, observe, perform, round, run_in, try_to};

const V7: VnodeId = VnodeId(7);

fn worker() -> Worker {
    Worker::new(
        &Authority::create(crate::support::CLUSTER).expect("an authority"),
        5,
    )
}

async fn shell(open: &Open, script: &str) -> Ran {
    run(&mut open.socket("/exec").await, &["sh", "-c", script], b"").await
}

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr[..]].concat()).into_owned()
}

#[test]
fn what_a_vnode_writes_ends_at_its_quota_in_bytes_and_in_files() {
    in_own_network(async {
        let open = Open::new().await;
        let full = shell(&open, "dd if=/dev/zero of=/root/full bs=1M count=200").await;
        assert!(said(&full).contains("No space left on device"), "{full:?}");
        let image = open.worker.state("vnodes/v7/disk.img");
        let taken = fs::metadata(&image).expect("the disk").blocks() * 512;
        assert!(taken <= 64 << 20, "{taken} bytes of the worker's disk");

        let freed = shell(&open, "rm /root/full && sync && echo gone").await;
        assert!(said(&freed).contains("gone"));
        command(
            "sync",
            &[
                "--file-system",
                &open.worker.state("vnodes/v7/disk").display().to_string(),
            ],
        );
        let left = fs::metadata(&image).expect("the disk").blocks() * 512;
        assert!(
            left < 8 << 20,
            "what was deleted inside is a hole again, not {left} bytes"
        );

        let script = "mkdir /root/m; i=0; while : > /root/m/$i; do i=$((i+1)); done";
        let many = shell(&open, script).await;
        assert!(said(&many).contains("No space left on device"), "{many:?}");
        assert!(said(&shell(&open, "rm -r /root/m && echo alive").await).contains("alive"));
        open.end().await;
    });
}

/// What `df` inside says that the root file system holds, in MiB.
async fn holds(open: &Open) -> u64 {
    let told = said(&shell(open, "df -m / | tail -n 1").await);
    let size = told.split_whitespace().nth(1);
    size.and_then(|size| size.parse().ok())
        .unwrap_or_else(|| panic!("df says {told}"))
}

#[test]
fn a_disk_that_its_vnode_has_filled_grows_while_it_runs_or_where_that_cannot_be_when_it_starts() {
    in_own_network(async {
        let open = Open::new().await;
        let script = "dd if=/dev/urandom of=/root/full bs=1M count=200; md5sum /root/full";
        let full = shell(&open, script).await;
        assert!(said(&full).contains("No space left on device"), "{full:?}");
        let (init, before) = (open.worker.init_pid(V7), holds(&open).await);
        assert!(before < 64, "{before} MiB");
        let mut vnode = open.worker.vnode(7, Running);
        vnode.disk_mib = DiskMib(4_096);
        let grown = open.worker.assignment(vec![vnode.clone()]);
        round(&open.host, &grown).await;
        assert_eq!(open.worker.init_pid(V7), init, "it goes on");
        if !observe(&open.host).await.grows_disks {
            assert_eq!(holds(&open).await, before, "not as long as it runs");
            let stopped = AssignedVnode {
                wanted: Stopped,
                ..vnode.clone()
            };
            let stopped = open.worker.assignment(vec![stopped]);
            round(&open.host, &stopped).await;
            round(&open.host, &grown).await;
        }
        let after = holds(&open).await;
        assert!((3_900..4_096).contains(&after), "{after} MiB");
        let script =
            "md5sum /root/full; dd if=/dev/zero of=/root/more bs=1M count=200 && echo room";
        let more = shell(&open, script).await;
        assert!(said(&more).contains("room"), "{more:?}");
        let sum = |ran: &Ran| {
            let text = String::from_utf8_lossy(&ran.stdout).into_owned();
            text.lines().next().map(str::to_owned)
        };
        assert_eq!(sum(&more), sum(&full), "what was there is as it was");
        assert!(plan_is_empty(&open, vnode).await);
        open.end().await;
    });
}

async fn plan_is_empty(open: &Open, vnode: AssignedVnode) -> bool {
    let wanted = open.worker.assignment(vec![vnode]);
    plan(&wanted, &observe(&open.host).await, Some(&wanted)).is_empty()
}

/// Files of disks that stand ready.
fn spares(worker: &Worker) -> Vec<PathBuf> {
    let dir = fs::read_dir(worker.state("spares")).expect("a directory");
    dir.flatten().map(|entry| entry.path()).collect()
}

async fn make_ahead(host: &Arc<LinuxHost>) {
    let host = host.clone();
    let made = tokio::task::spawn_blocking(move || host.make_ahead()).await;
    made.expect("a thread").expect("disks stand ready");
}

#[test]
fn a_disk_that_stands_ready_becomes_the_next_vnodes_and_goes_with_it() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        make_ahead(&host).await;
        assert_eq!(spares(&worker).len(), 0, "nobody has asked for any size");
        perform(&host, Act::Prepare(Box::new(worker.vnode(8, Running)))).await;
        make_ahead(&host).await;
        let ready = spares(&worker);
        assert_eq!(ready.len(), 8);
        let inodes = |paths: &[PathBuf]| -> BTreeSet<u64> {
            let inode = |path: &PathBuf| fs::metadata(path).expect("a file").ino();
            paths.iter().map(inode).collect()
        };
        let known = inodes(&ready);

        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        let image = worker.state("vnodes/v7/disk.img");
        assert!(known.contains(&fs::metadata(&image).expect("the disk").ino()));
        assert_eq!(spares(&worker).len(), 7);
        assert_eq!(attached_to(&image).expect("devices").len(), 1);
        let upper = fs::metadata(worker.state("vnodes/v7/disk/upper")).expect("its layer");
        assert_eq!(upper.uid(), worker.vnode(7, Running).uid_base);

        let mut larger = worker.vnode(9, Running);
        larger.disk_mib = DiskMib(65);
        perform(&host, Act::Prepare(Box::new(larger))).await;
        assert_eq!(spares(&worker).len(), 7, "it is of another size");

        for id in [7, 8, 9] {
            perform(&host, Act::Remove(VnodeId(id))).await;
        }
        assert!(!image.exists());
        let next = worker.open();
        assert_eq!(spares(&worker).len(), 0, "what an agent left is no disk");
        drop((host, next));
    });
}

#[test]
fn a_disk_that_was_made_ready_and_is_gone_is_made_as_if_there_had_been_none() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        perform(&host, Act::Prepare(Box::new(worker.vnode(8, Running)))).await;
        make_ahead(&host).await;
        for spare in spares(&worker) {
            fs::remove_file(spare).expect("deleted");
        }
        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        let image = worker.state("vnodes/v7/disk.img");
        assert_eq!(attached_to(&image).expect("devices").len(), 1);
    });
}

#[test]
fn templates_of_sizes_that_were_asked_for_once_do_not_pile_up() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        for mib in 64..84 {
            let mut vnode = worker.vnode(7, Running);
            vnode.disk_mib = DiskMib(mib);
            perform(&host, Act::Prepare(Box::new(vnode))).await;
            perform(&host, Act::Remove(V7)).await;
        }
        let templates = fs::read_dir(worker.state("templates")).expect("a directory");
        let files = templates.flatten().filter(|entry| entry.path().is_file());
        assert_eq!(files.count(), 16);
    });
}

#[test]
fn a_disk_that_stands_still_grows_and_never_shrinks_and_keeps_what_is_on_it() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let mut vnode = worker.vnode(7, Running);
        round(&host, &worker.assignment(vec![vnode.clone()])).await;
        let inside = worker.state("vnodes/v7/rootfs/root/kept");
        fs::write(&inside, "here").expect("written");
        vnode.wanted = Stopped;
        round(&host, &worker.assignment(vec![vnode.clone()])).await;
        for (mib, least) in [(64, 40), (600, 550), (32, 550)] {
            vnode.disk_mib = DiskMib(mib);
            perform(&host, Act::Prepare(Box::new(vnode.clone()))).await;
            let disk =
                nix::sys::statvfs::statvfs(&worker.state("vnodes/v7/disk")).expect("mounted");
            let holds = (disk.blocks() * disk.fragment_size()) >> 20;
            assert!((least..600).contains(&holds), "{holds} MiB");
            assert_eq!(fs::read_to_string(&inside).expect("readable"), "here");
        }
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn a_vnode_of_before_disks_keeps_its_files_where_they_are() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let old = worker.state("vnodes/v7/upper/root");
        fs::create_dir_all(&old).expect("made");
        fs::write(old.join("kept"), "of before").expect("written");
        let root = Some(worker.uid_base);
        std::os::unix::fs::chown(&old, root, root).expect("given to the vnode's root");
        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        let text = fs::read_to_string(worker.state("vnodes/v7/rootfs/root/kept"));
        assert_eq!(text.expect("readable"), "of before");
        assert!(!worker.state("vnodes/v7/disk.img").exists());
        perform(&host, Act::Remove(V7)).await;
        assert!(!worker.state("vnodes/v7").exists(), "nothing is left");
    });
}

/// A crash may leave any of these: the next attempt goes on from there, and removal finds all of it.
#[test]
fn a_disk_that_was_left_half_made_is_finished_or_removed() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let before = worker.traces(&[7]);
        let vnode = worker.vnode(7, Running);
        let prepare = Act::Prepare(Box::new(vnode.clone()));
        let dir = worker.state("vnodes/v7");
        let halves: [&dyn Fn(); 4] = [
            &|| fs::create_dir_all(&dir).expect("made"),
            &|| fs::write(dir.join("disk.new"), "torn").expect("written"),
            &|| {
                // Mounted, but nothing above it.
                nix::mount::umount2(&dir.join("rootfs"), nix::mount::MntFlags::empty())
                    .expect("unmounted");
            },
            &|| {
                for point in ["rootfs", "disk"] {
                    nix::mount::umount2(&dir.join(point), nix::mount::MntFlags::empty())
                        .expect("unmounted");
                }
            },
        ];
        for half in halves {
            half();
            perform(&host, prepare.clone()).await;
            assert!(worker.state("vnodes/v7/rootfs/bin/busybox").exists());
            assert_eq!(
                attached_to(&dir.join("disk.img")).expect("devices").len(),
                1
            );
        }
        for half in halves.iter().skip(2) {
            half();
            perform(&host, Act::Remove(V7)).await;
            perform(&host, Act::SweepImages(Vec::new())).await;
            assert_eq!(worker.traces(&[7]), before);
            perform(&host, prepare.clone()).await;
        }
        perform(&host, Act::Remove(V7)).await;
        perform(&host, Act::SweepImages(Vec::new())).await;
        assert_eq!(worker.traces(&[7]), before);
    });
}

/// A process with a mount namespace of its own, and with that a copy of each mount that there is.
struct Holder(Child);

impl Holder {
    fn begin() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--"])
            .args(["sh", "-c", "echo held && read _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let mut said = String::new();
        let told = holder.stdout.take().expect("piped");
        BufReader::new(told).read_line(&mut said).expect("a line");
        assert_eq!(said, "held\n");
        Self(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("ended");
    }
}

/// The file system goes on as long as anybody has it mounted, and with it what was not written yet: no worker may be given the
/// disk before.
#[test]
fn a_vnode_that_leaves_is_not_still_while_another_mount_namespace_holds_its_disk() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let mut wanted = worker.assignment(vec![worker.vnode(7, Running)]);
        round(&host, &wanted).await;
        wanted.departures.push(AssignedDeparture {
            vnode: V7,
            number: LogIndex(40),
            to: WorkerId(6),
            stage: DepartureStage::Still,
        });
        let holder = Holder::begin();

        let planned = plan(&wanted, &observe(&host).await, Some(&wanted));
        let mut failed = None;
        for act in planned.vnodes.into_values().flatten() {
            failed = try_to(&host, act).await.err();
        }
        let cause = failed.expect("the disk is not let go");
        assert!(cause.contains("another mount namespace"), "{cause}");
        let still = |seen: &Observation| departures(&wanted, seen)[&V7].still;
        let seen = observe(&host).await;
        let stands_still = still(&seen);
        let again = plan(&wanted, &seen, Some(&wanted)).vnodes.contains_key(&V7);

        drop(holder);
        assert!(!stands_still, "what is written yet would be lost");
        assert!(again, "it is tried again");
        round(&host, &wanted).await;
        assert!(still(&observe(&host).await));
        round(&host, &worker.assignment(Vec::new())).await;
    });
}

/// Two devices of one disk would be two file systems that know nothing of each other.
#[test]
fn a_disk_that_another_mount_namespace_holds_is_mounted_by_the_device_that_it_is() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let mut wanted = worker.assignment(vec![worker.vnode(7, Running)]);
        round(&host, &wanted).await;
        run_in(&worker, 7, "echo kept > /root/file");
        let holder = Holder::begin();
        wanted.departures.push(AssignedDeparture {
            vnode: V7,
            number: LogIndex(40),
            to: WorkerId(6),
            stage: DepartureStage::Still,
        });
        let planned = plan(&wanted, &observe(&host).await, Some(&wanted));
        for act in planned.vnodes.into_values().flatten() {
            drop(try_to(&host, act).await);
        }
        let disk = worker.state("vnodes/v7/disk.img");
        assert_eq!(attached_to(&disk).expect("devices").len(), 1);

        // The move was called off.
        wanted.departures.clear();
        round(&host, &wanted).await;
        assert_eq!(run_in(&worker, 7, "cat /root/file"), "kept\n");
        assert_eq!(attached_to(&disk).expect("devices").len(), 1);
        drop(holder);
        round(&host, &worker.assignment(Vec::new())).await;
    });
}
