//! A worker's machine without any master: containers on real LXC are made, looked at, adopted and removed.

use std::fs;

use crate::support::{
    CLUSTER, Worker, command, in_own_network, observe, perform, processes_of, round, until,
};
use docklet_agent::host::Act;
use docklet_agent::plan::plan;
use docklet_control::assignment::{AssignedVnode, Assignment};
use docklet_control::id::{Epoch, VnodeId};
use docklet_control::model::VnodeWanted::{Removed, Running, Stopped};
use docklet_link::Authority;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const V7: VnodeId = VnodeId(7);
const START: [&str; 2] = ["prepare files", "start container"];
const NOTHING: [&str; 0] = [];

fn worker() -> Worker {
    Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5)
}

fn proc_file(pid: i32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).expect("a live process")
}

#[test]
fn a_vnode_is_made_within_its_limits_and_leaves_nothing() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let before = worker.traces(&[7]);
        let wanted = worker.assignment(vec![worker.vnode(7, Running)]);
        let steps = round(&host, &wanted).await;
        assert_eq!(steps, ["make network", "tell names", START[0], START[1]]);
        assert_eq!(round(&host, &wanted).await, NOTHING, "it is as wanted");
        let seen = observe(&host).await.vnodes[&V7].clone();
        assert!(seen.running && seen.epoch == Some(Epoch(10)));

        let memory = worker.cgroup_file(V7, &["memory.limit_in_bytes", "memory.max"]);
        assert_eq!(memory, (48_u64 << 20).to_string());
        assert_eq!(worker.cgroup_file(V7, &["pids.max"]), "64");
        let cpu = worker.cgroup_file(V7, &["cpu.cfs_quota_us", "cpu.max"]);
        assert_eq!(cpu.split(' ').next(), Some("50000"), "half a core");

        let init = worker.init_pid(V7).expect("an init");
        for map in ["uid_map", "gid_map"] {
            let text = proc_file(init, map);
            let fields: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(
                fields,
                ["0", &worker.uid_base.to_string(), "65536"],
                "{map}"
            );
        }
        let root = fs::metadata(format!("/proc/{init}/root/bin/busybox")).expect("the image");
        assert_eq!(
            std::os::unix::fs::MetadataExt::uid(&root),
            worker.uid_base,
            "files of the image belong to the container's root"
        );
        assert!(proc_file(init, "root/etc/hosts").contains("10.64.0.7\thost-0"));

        let stopped = worker.assignment(vec![worker.vnode(7, Stopped)]);
        assert_eq!(round(&host, &stopped).await, ["stop container"]);
        assert!(!observe(&host).await.vnodes[&V7].running);
        assert!(worker.cgroups(V7).is_empty(), "no process, no cgroup");
        assert!(
            worker.state("vnodes/v7/disk.img").exists(),
            "its files stay"
        );

        let removed = worker.assignment(vec![worker.vnode(7, Removed)]);
        assert_eq!(round(&host, &removed).await, ["remove"]);
        let nothing = worker.assignment(Vec::new());
        assert_eq!(
            round(&host, &nothing).await,
            ["unmount images", "remove network"]
        );
        assert_eq!(worker.traces(&[7]), before);
    });
}

#[test]
fn a_vnode_has_its_way_out_and_its_name_server_at_the_gateway() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        let init = worker.init_pid(V7).expect("an init").to_string();
        let resolv = fs::read_to_string(format!("/proc/{init}/root/etc/resolv.conf"));
        assert_eq!(
            resolv.expect("a file"),
            "nameserver 10.64.0.1\nsearch lab\n"
        );
        let inside = |words: &[&str]| {
            let enter = ["-t", &init, "--net", "--"];
            command("nsenter", &[&enter, words].concat())
        };
        let route = inside(&["ip", "route", "show", "default"]);
        assert!(route.contains("via 10.64.0.1 dev eth0"), "{route}");
        inside(&["busybox", "ping", "-c", "1", "-W", "5", "10.64.0.1"]);
        let question = ["busybox", "nslookup", "-type=a", "host-0.lab", "10.64.0.1"];
        assert!(inside(&question).contains("10.64.0.7"));
        perform(&host, Act::Remove(V7)).await;
    });
}

#[test]
fn what_a_vnode_wrote_is_there_after_a_stop_and_belongs_to_its_own_ids() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let running = worker.assignment(vec![worker.vnode(7, Running)]);
        round(&host, &running).await;
        let init = worker.init_pid(V7).expect("an init");
        let inside = format!("/proc/{init}/root/root/kept");
        fs::write(&inside, "by hand").expect("written");
        let stopped = worker.assignment(vec![worker.vnode(7, Stopped)]);
        round(&host, &stopped).await;
        assert_eq!(round(&host, &running).await, START);
        let again = worker.init_pid(V7).expect("an init");
        assert_eq!(proc_file(again, "root/root/kept"), "by hand");
        perform(&host, Act::Remove(V7)).await;
    });
}

/// The quota is set after the start; who dies in between leaves a container without.
#[test]
fn a_new_agent_gives_a_vnode_the_cpu_quota_that_a_cut_short_start_left_out() {
    in_own_network(async {
        let worker = worker();
        let first = worker.open();
        round(&first, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        drop(first);
        let quota = ["cpu.cfs_quota_us", "cpu.max"];
        let file = worker.cgroup_path(V7, &quota);
        let none = if file.ends_with("cpu.max") {
            "max"
        } else {
            "-1"
        };
        fs::write(&file, none).expect("written");
        let second = worker.open();
        let cpu = worker.cgroup_file(V7, &quota);
        assert_eq!(cpu.split(' ').next(), Some("50000"), "half a core");
        perform(&second, Act::Remove(V7)).await;
    });
}

#[test]
fn a_new_agent_adopts_what_runs_and_starts_nothing_anew() {
    in_own_network(async {
        let worker = worker();
        let first = worker.open();
        let wanted = worker.assignment(vec![worker.vnode(7, Running)]);
        round(&first, &wanted).await;
        let init = worker.init_pid(V7);
        drop(first);

        let second = worker.open();
        let seen = observe(&second).await;
        assert!(seen.vnodes[&V7].running);
        assert!(plan(&wanted, &seen, Some(&wanted)).is_empty());
        assert_eq!(worker.init_pid(V7), init, "the same init runs on");

        let mut moved = worker.vnode(7, Running);
        moved.epoch = Epoch(11);
        let moved = worker.assignment(vec![moved]);
        let steps = round(&second, &moved).await;
        assert_eq!(steps, ["stop container", START[0], START[1]]);
        assert_ne!(
            worker.init_pid(V7),
            init,
            "another placement is another run"
        );
        perform(&second, Act::Remove(V7)).await;
    });
}

#[test]
fn a_vnode_that_was_killed_from_outside_is_seen_and_started_again() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let wanted = worker.assignment(vec![worker.vnode(7, Running)]);
        round(&host, &wanted).await;
        let init = worker.init_pid(V7).expect("an init");
        kill(Pid::from_raw(init), Signal::SIGKILL).expect("killed");
        until("end of the container", || {
            worker.init_pid(V7).is_none().then_some(())
        });
        assert!(worker.state("vnodes/v7/placed.json").exists());
        assert!(!observe(&host).await.vnodes[&V7].running);
        assert_eq!(round(&host, &wanted).await, START);
        assert_ne!(worker.init_pid(V7).expect("an init"), init);
        perform(&host, Act::Remove(V7)).await;
    });
}

/// An init that the kernel does not end when its monitor dies: whoever changes its ids is not told of that.
fn survivor(worker: &Worker, vnodes: Vec<AssignedVnode>) -> Assignment {
    let mut wanted = worker.assignment(vnodes);
    let init = [
        "/bin/start-stop-daemon",
        "-S",
        "-p",
        "/run/none",
        "-c",
        "other",
        "-x",
        "/bin/sleep",
        "--",
        "1000",
    ];
    wanted.images[0].spec.init = init.map(str::to_owned).to_vec();
    wanted
}

/// Kills the vnode's monitor, the parent of its init.
fn kill_monitor(worker: &Worker) {
    let stat = proc_file(worker.init_pid(V7).expect("an init"), "stat");
    let parent = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(1));
    let monitor = parent.and_then(|pid| pid.parse().ok()).expect("a parent");
    kill(Pid::from_raw(monitor), Signal::SIGKILL).expect("killed");
    until("loss of the monitor", || {
        worker.init_pid(V7).is_none().then_some(())
    });
}

/// The monitor's death leaves a container that looks stopped to liblxc: a start beside it would be a second copy on
/// the same files.
#[test]
fn a_container_whose_monitor_died_is_replaced_and_not_doubled() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let wanted = survivor(&worker, vec![worker.vnode(7, Running)]);
        round(&host, &wanted).await;
        let orphan = worker.init_pid(V7).expect("an init");
        kill_monitor(&worker);
        let alive = || fs::metadata(format!("/proc/{orphan}/exe")).is_ok();
        assert!(alive(), "the container itself goes on");
        let seen = observe(&host).await.vnodes[&V7].clone();
        assert!(!seen.running && seen.orphaned);

        let steps = round(&host, &wanted).await;
        assert_eq!(steps, ["stop container", START[0], START[1]]);
        until("end of the orphan", || (!alive()).then_some(()));
        let init = worker.init_pid(V7).expect("an init");
        let inits = processes_of(worker.uid_base + 1);
        assert_eq!(inits, [init], "one init and nothing beside it");
        perform(&host, Act::Remove(V7)).await;
        assert_eq!(processes_of(worker.uid_base + 1), [0; 0]);
    });
}

/// Also one that was to stop, and one of which not even a file is left.
#[test]
fn an_orphan_that_nobody_wants_is_seen_and_ended() {
    in_own_network(async {
        let worker = worker();
        let host = worker.open();
        let running = survivor(&worker, vec![worker.vnode(7, Running)]);
        for wanted in [vec![worker.vnode(7, Stopped)], Vec::new()] {
            round(&host, &running).await;
            kill_monitor(&worker);
            if wanted.is_empty() {
                fs::remove_file(worker.state("vnodes/v7/placed.json")).expect("deleted");
            }
            let wanted = worker.assignment(wanted);
            round(&host, &wanted).await;
            assert_eq!(processes_of(worker.uid_base + 1), [0; 0]);
            assert!(worker.cgroups(V7).is_empty());
        }
    });
}
