//! Limits that change while a vnode runs, and what it sees of them.

use std::fs;
use std::path::Path;

use docklet_agent::host::Act;
use docklet_agent::plan::plan;
use docklet_control::amount::{CpuMilli, MemoryMib, VnodeSize};
use docklet_control::assignment::{AssignedResize, AssignedVnode, Assignment};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::VnodeWanted::{Running, Stopped};
use docklet_control::report::{ResizeReport, ResizeTold};
use docklet_link::Authority;

use crate::support::{
    CLUSTER, Worker, in_own_network, observe, perform, round, run_in, try_to, until,
};

const V7: VnodeId = VnodeId(7);

fn worker() -> Worker {
    Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5)
}

pub fn size(cpu_milli: u32, memory_mib: u32, pids_max: u32) -> VnodeSize {
    VnodeSize {
        cpu_milli: CpuMilli(cpu_milli),
        memory_mib: MemoryMib(memory_mib),
        pids_max,
    }
}

/// Vnode 7 of this size, of whose limits the masters wait to hear.
pub fn wanted(worker: &Worker, size: VnodeSize) -> Assignment {
    let vnode = AssignedVnode {
        size,
        ..worker.vnode(7, Running)
    };
    Assignment {
        resizes: vec![AssignedResize {
            vnode: V7,
            number: LogIndex(99),
        }],
        ..worker.assignment(vec![vnode])
    }
}

/// What the kernel says of memory in MiB, CPU in thousandths and processes.
fn limits(worker: &Worker) -> (u64, u64, u64) {
    let number = |text: String| text.parse::<u64>().expect("a number");
    let memory = worker.cgroup_file(V7, &["memory.limit_in_bytes", "memory.max"]);
    let cpu = worker.cgroup_file(V7, &["cpu.cfs_quota_us", "cpu.max"]);
    let quota = cpu.split(' ').next().expect("a quota").to_owned();
    let pids = worker.cgroup_file(V7, &["pids.max"]);
    (number(memory) >> 20, number(quota) / 100, number(pids))
}

fn reports(wanted: &Assignment, seen: &docklet_agent::host::Observation) -> Vec<ResizeTold> {
    let reports = docklet_agent::plan::resizes::reports(wanted, seen, &Default::default());
    reports
        .into_iter()
        .map(|ResizeReport { number, told, .. }| {
            assert_eq!(number, LogIndex(99));
            told
        })
        .collect()
}

#[test]
fn limits_change_while_the_vnode_runs_and_an_agent_that_comes_back_keeps_them() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        assert_eq!(limits(&worker), (48, 500, 64));
        let init = worker.init_pid(V7);
        for (size, is) in [
            (size(2_000, 256, 1_024), (256, 2_000, 1_024)),
            (size(100, 64, 32), (64, 100, 32)),
        ] {
            let wanted = wanted(&worker, size);
            let before = observe(&host).await;
            assert_eq!(reports(&wanted, &before), [], "not yet");
            assert_eq!(round(&host, &wanted).await, ["resize"]);
            assert_eq!(limits(&worker), is);
            let seen = observe(&host).await;
            assert_eq!(reports(&wanted, &seen), [ResizeTold::Done]);
            assert!(plan(&wanted, &seen, Some(&wanted)).is_empty());
        }
        assert_eq!(worker.init_pid(V7), init, "it went on");
        let swap = Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes");
        if swap.exists() {
            let both = worker.cgroup_file(V7, &["memory.memsw.limit_in_bytes"]);
            assert_eq!(both, (64_u64 << 20).to_string());
        }
        // Another agent sets what the vnode was resized to, not what it was started with.
        drop(host);
        let quota = worker.cgroup_path(V7, &["cpu.cfs_quota_us", "cpu.max"]);
        fs::write(&quota, "-1")
            .or_else(|_| fs::write(&quota, "max"))
            .expect("written");
        let host = worker.open();
        assert_eq!(limits(&worker), (64, 100, 32));
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn memory_that_is_in_use_stays_until_it_is_free_and_nothing_is_killed_for_it() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &wanted(&worker, size(1_000, 256, 64))).await;
        // Memory that cannot be written anywhere else.
        run_in(
            &worker,
            7,
            "mkdir -p /run/hog && mount -t tmpfs none /run/hog && dd if=/dev/zero of=/run/hog/f bs=1M count=100",
        );
        let init = worker.init_pid(V7);
        let smaller = Act::Resize(V7, size(700, 32, 50));
        let refused = try_to(&host, smaller.clone()).await.expect_err("in use");
        assert!(
            refused.contains("MiB of memory are in use, and 32 MiB were asked for"),
            "{refused}"
        );
        assert_eq!(limits(&worker), (256, 700, 50), "all else holds already");
        assert_eq!(run_in(&worker, 7, "wc -c < /run/hog/f").trim(), "104857600");
        run_in(
            &worker,
            7,
            "dd if=/dev/zero of=/run/hog/more bs=1M count=50; rm /run/hog/*",
        );
        perform(&host, smaller).await;
        assert_eq!(limits(&worker), (32, 700, 50));
        assert_eq!(worker.init_pid(V7), init);
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn files_that_were_only_read_make_room_for_less_memory() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let mut vnode = worker.vnode(7, Running);
        vnode.size = size(1_000, 256, 64);
        vnode.disk_mib = docklet_control::amount::DiskMib(256);
        round(&host, &worker.assignment(vec![vnode])).await;
        run_in(
            &worker,
            7,
            "dd if=/dev/zero of=/root/f bs=1M count=100 && cat /root/f > /dev/null",
        );
        perform(&host, Act::Resize(V7, size(1_000, 24, 64))).await;
        assert_eq!(limits(&worker).0, 24);
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn a_vnode_that_stands_still_has_its_new_limits_when_it_is_started() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        let mut stopped = wanted(&worker, size(900, 96, 80));
        stopped.vnodes[0].wanted = Stopped;
        round(&host, &stopped).await;
        let seen = observe(&host).await;
        assert_eq!(reports(&stopped, &seen), [ResizeTold::Done]);
        assert!(plan(&stopped, &seen, Some(&stopped)).is_empty());
        let refused = try_to(&host, Act::Resize(V7, size(900, 96, 80))).await;
        assert!(
            refused
                .expect_err("it stands still")
                .contains("does not run")
        );
        round(&host, &wanted(&worker, size(900, 96, 80))).await;
        assert_eq!(limits(&worker), (96, 900, 80));
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn what_a_vnode_sees_of_its_memory_and_cores_is_new_at_once() {
    if !Path::new("/var/lib/lxcfs/proc/meminfo").exists() {
        println!("not tried: lxcfs does not run here (`docklet dev up` starts it)");
        return;
    }
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &wanted(&worker, size(500, 64, 64))).await;
        let sees = || {
            let script =
                "grep MemTotal /proc/meminfo | tr -s ' '; grep -c ^processor /proc/cpuinfo";
            run_in(&worker, 7, script)
        };
        assert_eq!(sees(), "MemTotal: 65536 kB\n1\n");
        round(&host, &wanted(&worker, size(2_000, 128, 64))).await;
        until("the new truth", || {
            (sees() == "MemTotal: 131072 kB\n2\n").then_some(())
        });
        perform(&host, Act::Remove(V7)).await;
    });
}
