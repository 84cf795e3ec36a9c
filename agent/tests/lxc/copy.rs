//! Vnodes that begin with what a snapshot of another has: its files, and nothing by which it is known.

use std::fs;

use docklet_agent::host::Act;
use docklet_control::amount::DiskMib;
use docklet_control::assignment::{AssignedCopy, AssignedVnode, Assignment};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted::{Running, Stopped};
use docklet_link::Authority;
use nix::sys::statvfs::statvfs;

use crate::support::{CLUSTER, Worker, in_own_network, round, run_in, try_to};

const V7: VnodeId = VnodeId(7);
/// What every vnode of the image finds.
const OF_IMAGE: &str = "0123456789abcdef0123456789abcdef";

/// Vnode 8, which begins with snapshot 50 of vnode 7.
pub fn begins(worker: &Worker) -> AssignedVnode {
    AssignedVnode {
        hostname: "host-9".to_owned(),
        copy_of: Some(AssignedCopy {
            vnode: V7,
            number: LogIndex(50),
        }),
        ..worker.vnode(8, Running)
    }
}

fn both(worker: &Worker) -> Assignment {
    let mut wanted = worker.with_snapshots(&[50]);
    wanted.vnodes.push(begins(worker));
    wanted
}

fn worker() -> Worker {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let id = format!("{OF_IMAGE}\n").into_bytes();
    Worker::with_files(&ca, 5, &[("etc/machine-id".to_owned(), 0o444, id)])
}

#[test]
fn a_vnode_begins_with_the_files_of_another_and_is_itself() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let before = worker.traces(&[7, 8]);
        round(&host, &worker.with_snapshots(&[])).await;
        run_in(
            &worker,
            7,
            "echo one > /root/kept && mkdir -p /etc/ssh && echo key > /etc/ssh/ssh_host_rsa_key && echo c > /etc/ssh/sshd_config",
        );
        round(&host, &worker.with_snapshots(&[50])).await;
        run_in(&worker, 7, "echo two > /root/kept");

        let mut wanted = both(&worker);
        wanted.vnodes[1].disk_mib = DiskMib(128);
        let init = worker.init_pid(V7);
        let steps = round(&host, &wanted).await;
        assert_eq!(steps, ["prepare files", "start container"]);
        assert_eq!(worker.init_pid(V7), init, "the other does not notice");
        let inside = |line: &str| run_in(&worker, 8, line).trim().to_owned();
        assert_eq!(inside("cat /root/kept"), "one");
        assert_eq!(
            inside("ls /etc/ssh"),
            "sshd_config",
            "host keys are its own"
        );
        assert_eq!(inside("hostname"), "host-9");
        assert!(inside("ip address show dev eth0").contains("10.64.0.8/22"));
        let id = inside("cat /etc/machine-id");
        assert!(id.len() == 32 && id != OF_IMAGE, "{id}");
        assert_eq!(run_in(&worker, 7, "cat /etc/machine-id").trim(), OF_IMAGE);
        let disk = statvfs(&worker.state("vnodes/v8/disk")).expect("mounted");
        let holds = (disk.blocks() * disk.fragment_size()) >> 20;
        assert!((96..128).contains(&holds), "{holds} MiB");

        // From now on it is a vnode as all others, whatever the assignment still says.
        inside("echo three > /root/kept && echo own > /etc/ssh/ssh_host_rsa_key && sync");
        wanted.vnodes[1].wanted = Stopped;
        round(&host, &wanted).await;
        wanted.vnodes[1].wanted = Running;
        round(&host, &wanted).await;
        assert_eq!(
            inside("cat /root/kept /etc/ssh/ssh_host_rsa_key"),
            "three\nown"
        );
        assert_eq!(inside("cat /etc/machine-id"), id);
        assert_eq!(run_in(&worker, 7, "cat /root/kept"), "two\n");

        // It outlives what it was made of.
        let alone = worker.assignment(vec![wanted.vnodes[1].clone()]);
        round(&host, &alone).await;
        assert_eq!(inside("cat /root/kept"), "three");
        round(&host, &worker.assignment(Vec::new())).await;
        round(&host, &worker.assignment(Vec::new())).await;
        assert_eq!(worker.traces(&[7, 8]), before);
    });
}

#[test]
fn what_may_not_be_had_is_not_copied_and_leaves_nothing() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.with_snapshots(&[])).await;
        round(&host, &worker.with_snapshots(&[50])).await;
        let prepare = |vnode: AssignedVnode| try_to(&host, Act::Prepare(Box::new(vnode)));
        let disk = worker.state("vnodes/v8/disk.img");
        let nothing = || !disk.exists() && !disk.with_extension("new").exists();

        let mut small = begins(&worker);
        small.disk_mib = DiskMib(32);
        let cause = prepare(small).await.expect_err("too large");
        assert!(cause.contains("larger than the 32 MiB"), "{cause}");
        assert!(nothing());

        let note = worker.state("vnodes/v7/snapshots/50.json");
        let text = fs::read_to_string(&note).expect("a note");
        let other = text.replace(&worker.uid_base.to_string(), "65536");
        fs::write(&note, other).expect("written");
        let cause = prepare(begins(&worker)).await.expect_err("of another");
        assert!(cause.contains("user ids"), "{cause}");
        fs::write(&note, text).expect("written");
        assert!(nothing());

        let mut missing = begins(&worker);
        missing.copy_of = missing.copy_of.map(|copy| AssignedCopy {
            number: LogIndex(51),
            ..copy
        });
        let cause = prepare(missing).await.expect_err("not there");
        assert!(cause.contains("not on this worker any more"), "{cause}");
        assert!(nothing());
        round(&host, &worker.assignment(Vec::new())).await;
    });
}
