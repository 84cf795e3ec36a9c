//! What runs in a vnode is written to files and goes on from them, on real LXC and CRIU.

mod ahead;
mod crash;
mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::door::Open;
use crate::isolation::{WAYS, probe};
use crate::support::{
    CLUSTER, Worker, command, in_own_network, observe, perform, round, run_in, spec, until,
};
use docklet_agent::checkpoint;
use docklet_agent::host::Act;
use docklet_agent::host::linux::LinuxHost;
use docklet_control::assignment::Assignment;
use docklet_control::id::VnodeId;
use docklet_control::model::VnodeWanted::Running;
use docklet_link::Authority;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const V7: VnodeId = VnodeId(7);
/// Counts in memory, and writes to the disk.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i >> /root/count; sleep 0.01; done";

/// A worker whose vnodes run these lines of shell as their program.
fn worker(program: &str) -> Worker {
    worker_of(&Authority::create(CLUSTER).expect("an authority"), program)
}

fn worker_of(ca: &Authority, program: &str) -> Worker {
    if let Err(cause) = checkpoint::criu::ability() {
        panic!("{cause}; or `make criu`");
    }
    let inittab = b"::respawn:/bin/work\n".to_vec();
    let program = format!("#!/bin/sh\n{program}\n").into_bytes();
    let files = [
        ("etc/inittab".to_owned(), 0o644, inittab),
        ("bin/work".to_owned(), 0o755, program),
    ];
    Worker::with_files(ca, 5, &files)
}

/// A worker with the vnode that counts; what there was of it before, and what is assigned.
async fn counting() -> (Worker, Arc<LinuxHost>, BTreeSet<String>, Assignment) {
    let worker = worker(COUNT);
    let host = worker.open();
    let before = worker.traces(&[7]);
    let wanted = worker.assignment(vec![worker.vnode(7, Running)]);
    round(&host, &wanted).await;
    (worker, host, before, wanted)
}

async fn checkpoint(worker: &Worker, host: &Arc<LinuxHost>) -> Result<(), String> {
    let (host, vnode) = (host.clone(), worker.vnode(7, Running));
    let done = tokio::task::spawn_blocking(move || checkpoint::checkpoint(&host, &vnode));
    let done = done.await.expect("no panic");
    done.map_err(|fault| fault.full_text())
}

async fn resume(worker: &Worker, host: &Arc<LinuxHost>) -> Result<(), String> {
    let (host, vnode) = (host.clone(), worker.vnode(7, Running));
    let done =
        tokio::task::spawn_blocking(move || checkpoint::resume(&host, &vnode, &spec(), None));
    let done = done.await.expect("no panic");
    done.map_err(|fault| fault.full_text())
}

/// Lines of a file in the vnode.
fn lines(worker: &Worker, id: VnodeId, file: &str) -> Vec<String> {
    let path = worker.state(&format!("vnodes/v{id}/rootfs/{file}"));
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until a file has so many more lines; answers how many it has then.
fn until_longer(worker: &Worker, file: &str, by: usize) -> usize {
    let begun = lines(worker, V7, file).len();
    until("progress", || {
        let length = lines(worker, V7, file).len();
        (length >= begun + by).then_some(length)
    })
}

/// No number is missing, none is there twice.
fn assert_counted(lines: &[String]) {
    for (line, number) in lines.iter().zip(1..) {
        assert_eq!(line, &number.to_string());
    }
}

/// Paths of the vnode whose name says checkpoint.
fn left(worker: &Worker) -> Vec<String> {
    let entries = fs::read_dir(worker.state("vnodes/v7")).expect("its directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut left: Vec<String> = names
        .filter(|name| name.starts_with("checkpoint"))
        .collect();
    left.sort_unstable();
    left
}

/// Processes of CRIU at work on this worker's vnodes.
fn criu(worker: &Worker) -> Vec<Pid> {
    let state = worker.state("vnodes").display().to_string();
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let at_work = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        arguments.starts_with(&worker.state("programs").display().to_string())
            && arguments.contains(&state)
    };
    pids.filter(at_work).map(Pid::from_raw).collect()
}

/// What holds a vnode in, as the kernel tells of its first process and of its cgroup.
fn walls(worker: &Worker) -> BTreeMap<String, String> {
    let init = worker.init_pid(V7).expect("an init");
    let of = |name: &str| fs::read_to_string(format!("/proc/{init}/{name}")).expect("it lives");
    let wanted = ["Cap", "Seccomp", "NoNewPrivs", "Uid", "Gid", "Groups"];
    let status = of("status");
    let status = status.lines().filter_map(|line| line.split_once(':'));
    let status = status.filter(|(name, _)| wanted.iter().any(|wanted| name.starts_with(wanted)));
    let mut walls: BTreeMap<String, String> = status
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    for name in ["uid_map", "gid_map", "limits", "cgroup"] {
        walls.insert(name.to_owned(), of(name));
    }
    for names in [
        &["memory.limit_in_bytes", "memory.max"][..],
        &["memory.memsw.limit_in_bytes", "memory.swap.max"],
        &["cpu.cfs_quota_us", "cpu.max"],
        &["cpu.shares", "cpu.weight"],
        &["pids.max"],
        &["devices.list", "cgroup.max.descendants"],
        &["blkio.throttle.read_bps_device", "io.max"],
    ] {
        walls.insert(names[0].to_owned(), worker.cgroup_file(V7, names));
    }
    let inside = "cat /proc/sys/user/max_*; hostname; ip addr show dev eth0 | grep -v eth0; ip route; \
                  cat /proc/interrupts /proc/keys; ls /proc/acpi /sys/firmware";
    walls.insert("inside".to_owned(), run_in(worker, 7, inside));
    // Numbers of mounts are new, and so is their order.
    let mounts = run_in(worker, 7, "cat /proc/self/mountinfo");
    let mut mounts: Vec<String> = mounts.lines().map(mount).collect();
    mounts.sort_unstable();
    walls.insert("mounts".to_owned(), mounts.join("\n"));
    walls
}

/// Root, place, options and kind of a line of mountinfo(5).
fn mount(line: &str) -> String {
    let fields: Vec<&str> = line.split(' ').collect();
    let kind = fields.iter().position(|field| *field == "-");
    let kind = kind.and_then(|at| fields.get(at + 1)).unwrap_or(&"");
    [fields[3], fields[4], fields[5], kind].join(" ")
}

async fn end(host: &Arc<LinuxHost>, worker: &Worker, before: &BTreeSet<String>) {
    perform(host, Act::Remove(V7)).await;
    round(host, &worker.assignment(Vec::new())).await;
    assert_eq!(&worker.traces(&[7]), before);
}

#[test]
fn a_program_goes_on_where_it_was_and_loses_no_step() {
    in_own_network(async {
        let (worker, host, before, _) = counting().await;
        until_longer(&worker, "root/count", 20);
        let walls_before = walls(&worker);
        let begun = Instant::now();
        checkpoint(&worker, &host).await.expect("a checkpoint");
        println!("checkpoint: {:?}", begun.elapsed());
        assert!(!observe(&host).await.vnodes[&V7].running);
        assert!(worker.cgroups(V7).is_empty(), "no process, no cgroup");
        assert_eq!(
            left(&worker),
            ["checkpoint", "checkpoint-boot", "checkpoint.log"]
        );
        let images = fs::read_dir(worker.state("vnodes/v7/checkpoint")).expect("images");
        for image in images {
            let name = image.expect("an entry").path();
            assert_eq!(
                name.extension().and_then(|e| e.to_str()),
                Some("img"),
                "{name:?}"
            );
        }
        let begun = Instant::now();
        resume(&worker, &host).await.expect("resumed");
        println!("resume: {:?}", begun.elapsed());
        until_longer(&worker, "root/count", 20);
        assert_counted(&lines(&worker, V7, "root/count"));
        assert_eq!(walls(&worker), walls_before);
        assert_eq!(left(&worker), ["checkpoint.log"]);
        let again = resume(&worker, &host).await.expect_err("it was used");
        assert!(
            again.contains("has no checkpoint here that was not used yet"),
            "{again}"
        );
        until_longer(&worker, "root/count", 5);
        end(&host, &worker, &before).await;
    });
}

#[test]
fn what_cannot_be_written_runs_on_and_is_named() {
    in_own_network(async {
        let odd = format!("unshare -u sleep 1000 & {COUNT}");
        let worker = worker(&odd);
        let host = worker.open();
        let before = worker.traces(&[7]);
        round(&host, &worker.assignment(vec![worker.vnode(7, Running)])).await;
        until_longer(&worker, "root/count", 20);
        let init = worker.init_pid(V7);
        let why = checkpoint(&worker, &host)
            .await
            .expect_err("a namespace of its own");
        println!("{why}");
        assert!(why.contains("it cannot move while it runs"), "{why}");
        assert!(why.contains("it has made itself a namespace"), "{why}");
        assert!(why.contains("program sleep"), "{why}");
        until_longer(&worker, "root/count", 20);
        assert_eq!(worker.init_pid(V7), init, "the same one");
        assert_counted(&lines(&worker, V7, "root/count"));
        assert_eq!(left(&worker), ["checkpoint.log"]);
        assert!(run_in(&worker, 7, "ping -c 1 -w 5 10.64.0.1").contains("1 packets received"));
        end(&host, &worker, &before).await;
    });
}

/// Ends the helper that has CRIU at work, as soon as it is.
fn kill_helper(worker: &Worker) {
    let parent = |pid: &Pid| -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse().ok()
    };
    let own = i32::try_from(std::process::id()).expect("a pid");
    let helper = until("CRIU at work", || {
        let mut pid = criu(worker).first().and_then(parent)?;
        while let Some(above) =
            parent(&Pid::from_raw(pid)).filter(|above| *above > 1 && *above != own)
        {
            pid = above;
        }
        Some(pid)
    });
    kill(Pid::from_raw(helper), Signal::SIGKILL).expect("killed");
}

#[test]
fn a_helper_that_dies_in_between_leaves_nothing_and_the_vnode_begins_from_its_disk() {
    in_own_network(async {
        let (worker, host, before, wanted) = counting().await;
        until_longer(&worker, "root/count", 5);
        for step in ["checkpoint", "resume"] {
            if step == "resume" {
                checkpoint(&worker, &host).await.expect("a checkpoint");
            }
            let why = std::thread::scope(|scope| {
                let killing = scope.spawn(|| kill_helper(&worker));
                let runtime = tokio::runtime::Handle::current();
                let done = tokio::task::block_in_place(|| {
                    runtime.block_on(async {
                        match step {
                            "checkpoint" => checkpoint(&worker, &host).await,
                            _ => resume(&worker, &host).await,
                        }
                    })
                });
                killing.join().expect("killed");
                done.expect_err("its helper died")
            });
            println!("{step}: {why}");
            assert!(criu(&worker).is_empty(), "no process of CRIU");
            assert!(!observe(&host).await.vnodes[&V7].running, "{step}");
            assert!(!is_held(), "{step}");
            assert!(worker.cgroups(V7).is_empty(), "{step}");
            let marks = left(&worker);
            assert!(
                marks.iter().all(|name| name == "checkpoint.log"),
                "{marks:?}"
            );
            assert_eq!(
                round(&host, &wanted).await,
                ["prepare files", "start container"]
            );
            until_longer(&worker, "root/count", 5);
        }
        end(&host, &worker, &before).await;
    });
}

/// Whether the worker's bridge keeps from the vnode what is sent to it.
fn is_held() -> bool {
    command("nft", &["list", "set", "bridge", "docklet", "held"]).contains("\"dkh7\"")
}

/// The directory of a checkpoint, under one of its names.
fn place(worker: &Worker, name: &str) -> PathBuf {
    worker.state(&format!("vnodes/v7/{name}"))
}

#[test]
fn an_agent_takes_up_what_another_left_half_done() {
    in_own_network(async {
        let (worker, host, before, wanted) = counting().await;
        until_longer(&worker, "root/count", 5);
        checkpoint(&worker, &host).await.expect("a checkpoint");
        let host = worker.open();
        assert!(place(&worker, "checkpoint").exists(), "what is whole stays");
        resume(&worker, &host).await.expect("resumed");
        until_longer(&worker, "root/count", 5);
        // It came to its end, and only deleting was left.
        fs::create_dir(place(&worker, "checkpoint.done")).expect("made");
        let host = worker.open();
        assert!(observe(&host).await.vnodes[&V7].running, "it runs on");
        for half in ["checkpoint.new", "checkpoint.used"] {
            fs::create_dir(place(&worker, half)).expect("made");
            if half == "checkpoint.used" {
                command("nft", &["add element bridge docklet held { \"dkh7\" }"]);
                assert!(is_held());
            }
            let host = worker.open();
            assert!(!is_held(), "{half}");
            assert!(!observe(&host).await.vnodes[&V7].running, "{half}");
            assert!(!place(&worker, half).exists());
            assert_eq!(
                round(&host, &wanted).await,
                ["prepare files", "start container"]
            );
        }
        checkpoint(&worker, &host).await.expect("a checkpoint");
        fs::write(place(&worker, "checkpoint-boot"), "another").expect("written");
        let host = worker.open();
        assert!(
            !place(&worker, "checkpoint").exists(),
            "the machine was started anew"
        );
        round(&host, &wanted).await;
        checkpoint(&worker, &host).await.expect("a checkpoint");
        round(&host, &wanted).await;
        let gone = resume(&worker, &host)
            .await
            .expect_err("it began from its disk");
        assert!(gone.contains("has no checkpoint"), "{gone}");
        end(&host, &worker, &before).await;
    });
}

/// The probe's tries are those of a vnode that was just started: `isolation.rs`.
#[test]
fn every_known_way_out_of_a_vnode_that_was_brought_back_is_closed() {
    in_own_network(async {
        let open = Open::new().await;
        checkpoint(&open.worker, &open.host).await.expect("done");
        resume(&open.worker, &open.host).await.expect("resumed");
        let text = probe(&open).await;
        let other: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains(": refused, "))
            .collect();
        assert!(other.is_empty(), "{other:#?}");
        assert_eq!(text.lines().count(), WAYS);
        open.end().await;
    });
}

/// Switches learn from it where the vnode is now.
#[test]
fn a_session_of_exec_ends_with_a_checkpoint_and_the_rest_goes_on() {
    in_own_network(async {
        let (worker, host, ..) = counting().await;
        std::thread::scope(|scope| {
            let session = scope.spawn(|| {
                std::panic::catch_unwind(|| run_in(&worker, 7, "touch /root/begun; sleep 1000"))
            });
            let begun = worker.state("vnodes/v7/rootfs/root/begun");
            until("a session", || begun.exists().then_some(()));
            let runtime = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| {
                runtime.block_on(async {
                    checkpoint(&worker, &host).await.expect("a checkpoint");
                    resume(&worker, &host).await.expect("resumed");
                });
            });
            assert!(session.join().expect("no panic of ours").is_err());
        });
        until_longer(&worker, "root/count", 5);
        assert_counted(&lines(&worker, V7, "root/count"));
        assert!(!run_in(&worker, 7, "ps").contains("sleep 1000"));
        perform(&host, Act::Remove(V7)).await;
    });
}
