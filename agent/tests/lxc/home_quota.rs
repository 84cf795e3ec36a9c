//! What homes may hold: on a worker's own disk a hard quota, on a shared file system a refusal to start more.

use std::fs;
use std::os::unix::fs::MetadataExt;

use docklet_agent::home::Homes;
use docklet_agent::host::Act;
use docklet_agent::loop_device::attached_to;
use docklet_agent::plan::plan;
use docklet_control::amount::{DiskMib, MemoryMib};
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{UserId, VnodeId};
use docklet_control::model::VnodeWanted::Running;
use docklet_link::Authority;

use crate::support::{
    CLUSTER, Worker, command, in_own_network, observe, perform, round, run_in, try_to, until,
};

fn worker() -> Worker {
    Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5)
}

fn vnode(worker: &Worker, id: u64, home_mib: u64) -> AssignedVnode {
    AssignedVnode {
        home_mib: Some(DiskMib(home_mib)),
        ..worker.vnode(id, Running)
    }
}

/// Writes as much as there is room for; answers how many MiB that was.
const FILL: &str =
    "dd if=/dev/zero of=/root/nfs/full bs=64k 2>/dev/null; sync; du -m /root/nfs/full | cut -f 1";

fn fill(worker: &Worker, id: u64) -> u64 {
    let text = run_in(worker, id, &format!("rm -f /root/nfs/full; sync; {FILL}"));
    text.trim().parse().expect("MiB")
}

/// What `df` inside says: size and what is free, in MiB.
fn df(worker: &Worker, id: u64) -> (u64, u64) {
    let told = run_in(worker, id, "df -m /root/nfs | tail -n 1");
    let words: Vec<u64> = told
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    (words[0], words[2])
}

#[test]
fn what_is_written_to_a_home_ends_at_its_quota_for_all_vnodes_of_its_owner_and_nobody_else() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let mut other = vnode(&worker, 9, 64);
        other.owner = UserId(2);
        other.uid_base += 1_000 * 65_536;
        let vnodes = vec![vnode(&worker, 7, 64), vnode(&worker, 8, 64), other];
        round(&host, &worker.assignment(vnodes.clone())).await;
        let (size, free) = df(&worker, 7);
        assert!(
            (30..64).contains(&size) && free <= size,
            "{size} MiB, {free} free"
        );
        let filled = fill(&worker, 7);
        assert!(
            (free.saturating_sub(3)..=free + 1).contains(&filled),
            "{filled} of {free} MiB"
        );
        assert!(df(&worker, 8).1 <= 1, "the same home in the other vnode");
        let more = run_in(
            &worker,
            8,
            "dd if=/dev/zero of=/root/nfs/more bs=1M count=8 2>&1 || true",
        );
        assert!(more.contains("No space left on device"), "{more}");
        let image = worker.state("homes/u1.img");
        let taken = fs::metadata(&image).expect("the home").blocks() * 512;
        assert!(taken <= 64 << 20, "{taken} bytes of the worker's disk");
        assert!(fill(&worker, 9) > 20, "somebody else's is empty");

        run_in(&worker, 7, "rm /root/nfs/full");
        let script = "mkdir /root/nfs/m; i=0; while : > /root/nfs/m/$i; do i=$((i+1)); done 2>&1 | tail -n 1; rm -r /root/nfs/m";
        let many = run_in(&worker, 8, script);
        assert!(
            many.contains("No space left on device"),
            "files are bounded too: {many}"
        );
        run_in(&worker, 7, "echo kept > /root/nfs/kept");

        // It outlives the vnodes, takes part in no mount meanwhile, and is found again.
        for id in [7, 8, 9] {
            perform(&host, Act::Remove(VnodeId(id))).await;
        }
        let steps = round(&host, &worker.assignment(Vec::new())).await;
        assert!(steps.contains(&"unmount homes"), "{steps:?}");
        until("no device", || {
            attached_to(&image)
                .expect("devices")
                .is_empty()
                .then_some(())
        });
        round(&host, &worker.assignment(vec![vnode(&worker, 10, 64)])).await;
        assert_eq!(run_in(&worker, 10, "cat /root/nfs/kept"), "kept\n");
        let listing = run_in(&worker, 10, "ls -ld /root/nfs; ls -A /root/nfs");
        assert!(listing.starts_with("drwx------"), "{listing}");
        assert!(
            !listing.contains("upper") && !listing.contains("lost+found"),
            "{listing}"
        );
        perform(&host, Act::Remove(VnodeId(10))).await;
    });
}

#[test]
fn a_smaller_quota_holds_at_once_and_takes_nothing_away_and_a_larger_one_gives_it_back() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let start = worker.assignment(vec![vnode(&worker, 7, 256)]);
        round(&host, &start).await;
        let whole = df(&worker, 7).1;
        assert!(whole > 180, "{whole} MiB");
        run_in(
            &worker,
            7,
            "dd if=/dev/zero of=/root/nfs/here bs=1M count=100 2>/dev/null; md5sum /root/nfs/here > /root/sum",
        );
        let init = worker.init_pid(VnodeId(7));

        let smaller = worker.assignment(vec![vnode(&worker, 7, 128)]);
        assert_eq!(round(&host, &smaller).await, ["size home"]);
        assert!(plan(&smaller, &observe(&host).await, Some(&smaller)).is_empty());
        let free = df(&worker, 7).1;
        assert!(free < 30, "{free} MiB");
        assert!(fill(&worker, 7) <= free + 1, "no more than what is free");

        let least = worker.assignment(vec![vnode(&worker, 7, 64)]);
        round(&host, &least).await;
        run_in(&worker, 7, "rm /root/nfs/full; md5sum -c /root/sum");
        assert_eq!(df(&worker, 7).1, 0, "more is in it than it may hold");
        assert_eq!(fill(&worker, 7), 0);
        run_in(&worker, 7, "rm /root/nfs/*; sync");
        let filled = fill(&worker, 7);
        assert!((30..64).contains(&filled), "{filled} MiB");

        round(&host, &start).await;
        let again = df(&worker, 7).1 + filled;
        assert!(again.abs_diff(whole) <= 3, "{again} MiB, {whole} at first");
        assert_eq!(worker.init_pid(VnodeId(7)), init, "it went on");
        perform(&host, Act::Remove(VnodeId(7))).await;
    });
}

#[test]
fn a_home_grows_while_it_is_in_use_or_where_that_cannot_be_when_its_owners_vnodes_start() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.assignment(vec![vnode(&worker, 7, 64)])).await;
        run_in(&worker, 7, "echo kept > /root/nfs/kept");
        let larger = worker.assignment(vec![vnode(&worker, 7, 512)]);
        assert_eq!(round(&host, &larger).await, ["size home"]);
        if !observe(&host).await.grows_disks {
            assert!(df(&worker, 7).0 < 64, "not as long as it is mounted");
            perform(&host, Act::Remove(VnodeId(7))).await;
            round(&host, &worker.assignment(Vec::new())).await;
            round(&host, &larger).await;
        }
        let size = df(&worker, 7).0;
        assert!((450..512).contains(&size), "{size} MiB");
        assert_eq!(run_in(&worker, 7, "cat /root/nfs/kept"), "kept\n");
        perform(&host, Act::Remove(VnodeId(7))).await;
    });
}

/// A home of which a file system is in use must never be attached a second time.
#[test]
fn a_home_that_was_left_half_made_is_finished_and_is_one_disk_at_any_time() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let prepare = Act::Prepare(Box::new(vnode(&worker, 7, 64)));
        perform(&host, prepare.clone()).await;
        let (image, point) = (worker.state("homes/u1.img"), worker.state("homes/u1"));
        fs::write(point.join("kept"), "here").expect("written");
        let held = fs::File::open(point.join("kept")).expect("a file that holds the file system");
        command("umount", &["-l", point.to_str().expect("text")]);
        perform(&host, prepare.clone()).await;
        assert_eq!(attached_to(&image).expect("devices").len(), 1);
        assert_eq!(
            fs::read_to_string(point.join("kept")).expect("readable"),
            "here"
        );
        drop(held);
        perform(&host, prepare.clone()).await;
        perform(&host, Act::Remove(VnodeId(7))).await;
        perform(&host, Act::SweepHomes(Vec::new())).await;
        assert!(!observe(&host).await.homes.contains(&UserId(1)));
        until("no device", || {
            attached_to(&image)
                .expect("devices")
                .is_empty()
                .then_some(())
        });
        // A worker that lost its power mounts it anew.
        perform(&host, prepare).await;
        assert_eq!(
            fs::read_to_string(point.join("kept")).expect("readable"),
            "here"
        );
        perform(&host, Act::Remove(VnodeId(7))).await;
        perform(&host, Act::SweepHomes(Vec::new())).await;
    });
}

#[test]
fn a_home_that_an_older_agent_made_keeps_its_files_where_they_are() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        run_in(&worker, 7, "echo old > /root/nfs/old");
        round(
            &host,
            &worker.assignment(vec![worker.vnode(7, Running), vnode(&worker, 8, 64)]),
        )
        .await;
        assert_eq!(run_in(&worker, 8, "cat /root/nfs/old"), "old\n");
        assert!(!worker.state("homes/u1.img").exists());
        for id in [7, 8] {
            perform(&host, Act::Remove(VnodeId(id))).await;
        }
    });
}

#[test]
fn whoever_has_too_much_in_a_shared_home_starts_nothing_more_until_it_is_less() {
    in_own_network(async {
        let mut worker = worker();
        let point = worker.state("shared");
        fs::create_dir(&point).expect("a mount point");
        command(
            "mount",
            &["-t", "tmpfs", "shared", point.to_str().expect("text")],
        );
        worker.config.homes = Homes {
            dir: point.clone(),
            mounted: true,
        };
        let host = worker.open();
        // What it writes to memory counts as its own.
        let mut first = vnode(&worker, 7, 64);
        first.size.memory_mib = MemoryMib(256);
        round(&host, &worker.assignment(vec![first])).await;
        let told = run_in(
            &worker,
            7,
            "cat /etc/docklet/home; dd if=/dev/zero of=/root/nfs/f bs=1M count=70 2>/dev/null",
        );
        assert!(told.contains("no more of your vnodes start"), "{told}");
        // Another agent looks at once; this one would within half a minute.
        drop(host);
        let host = worker.open();
        let prepare = Act::Prepare(Box::new(vnode(&worker, 8, 64)));
        let refused = loop {
            match try_to(&host, prepare.clone()).await {
                Err(refused) => break refused,
                Ok(()) => tokio::task::yield_now().await,
            }
        };
        assert!(
            refused.contains("70 MiB are in it, and it may hold 64 MiB"),
            "{refused}"
        );
        assert_eq!(
            run_in(&worker, 7, "wc -c < /root/nfs/f").trim(),
            "73400320",
            "what runs goes on"
        );
        perform(&host, Act::Prepare(Box::new(vnode(&worker, 8, 80)))).await;
        for id in [7, 8] {
            perform(&host, Act::Remove(VnodeId(id))).await;
        }
        drop(host);
        command("umount", &[point.to_str().expect("text")]);
    });
}
