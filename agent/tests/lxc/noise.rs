//! Bad neighbours: what a vnode feels of another one on the same worker that takes all it can get. Figures are printed,
//! not held against a bar; that the victim goes on and gets its own share is checked.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use docklet_agent::host::Act;
use docklet_control::amount::{CpuMilli, MemoryMib, VnodeSize};
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::VnodeId;
use docklet_control::model::VnodeWanted::Running;
use docklet_link::Authority;

use crate::isolation::bring_probe;
use crate::support::{CLUSTER, Worker, in_own_network, perform, round};

const VICTIM: VnodeId = VnodeId(7);
const NOISY: VnodeId = VnodeId(8);

/// What it takes, and how, in the words of a shell.
const NOISES: [(&str, &str); 6] = [
    (
        "busy loops",
        "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait",
    ),
    ("fork bomb", "b() { b | b & }; while :; do b; sleep 1; done"),
    ("memory hog", "while :; do tail /dev/zero; done"),
    (
        "writer",
        "while :; do dd if=/dev/zero of=/root/f bs=1M count=200 conv=fsync; done",
    ),
    (
        "many files",
        "mkdir -p /root/m; while :; do for i in 1 2 3 4 5 6 7 8 9; do : > /root/m/$i; done; rm /root/m/*; done",
    ),
    ("terminals and watchers", "exec /bin/probe exhaust"),
];

fn vnode(worker: &Worker, id: VnodeId) -> AssignedVnode {
    let mut vnode = worker.vnode(id.0, Running);
    vnode.size = VnodeSize {
        cpu_milli: CpuMilli(1_000),
        memory_mib: MemoryMib(128),
        pids_max: 512,
    };
    vnode
}

/// A program in a vnode, without the data port between.
fn inside(worker: &Worker, id: VnodeId, argv: &[&str]) -> Command {
    let request = serde_json::json!({"Attach": {
        "lxc_path": worker.state("lxc"),
        "name": format!("v{id}"),
        "argv": argv,
        "environment": ["PATH=/bin:/sbin"],
        "directory": "/",
        "terminal": false,
    }});
    let path = worker.state(&format!("run/noise-{id}-{}", argv.len()));
    std::fs::write(&path, request.to_string()).expect("written");
    let mut command = Command::new(crate::support::HELPER);
    command.args(["__lxc-helper", &path.display().to_string(), "/dev/null"]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn percentile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = ((values.len() - 1) as f64 * part) as usize;
    values[at]
}

/// Milliseconds of the victim's answers to pings, and of its work.
fn feel(worker: &Worker) -> (Vec<f64>, Vec<f64>) {
    // As the segment's gateway does.
    let gateway = format!("--net={}", worker.state("gateways/g40").display());
    let pings = Command::new("nsenter")
        .args([
            &gateway,
            "/bin/busybox",
            "ping",
            "-c",
            "180",
            "-i",
            "0.01",
            "10.64.0.7",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a ping");
    let work = inside(worker, VICTIM, &["/bin/probe", "measure"])
        .output()
        .expect("the probe");
    let pings = pings.wait_with_output().expect("pings");
    let times = |text: &str| {
        let times = text
            .lines()
            .filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok());
        times.collect::<Vec<f64>>()
    };
    let work = String::from_utf8_lossy(&work.stdout).into_owned();
    let work = work
        .lines()
        .filter_map(|line| Some(line.parse::<f64>().ok()? / 1_000.0));
    (
        times(&String::from_utf8_lossy(&pings.stdout)),
        work.collect(),
    )
}

#[test]
fn a_vnode_goes_on_beside_a_neighbour_that_takes_all_it_can_get() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let host = worker.open();
        let both = [VICTIM, NOISY].map(|id| vnode(&worker, id));
        round(&host, &worker.assignment(both.to_vec())).await;
        for id in [VICTIM, NOISY] {
            bring_probe(&worker, id);
        }
        let (pings, work) = feel(&worker);
        let quiet = (percentile(pings, 0.99), percentile(work, 0.99));
        let mut table = format!(
            "{:<24}{:>14}{:>14}\n",
            "p99 in ms (times quiet)", "ping", "1 ms of CPU"
        );
        let _ = writeln!(table, "{:<24}{:>14.3}{:>14.3}", "quiet", quiet.0, quiet.1);
        for (name, script) in NOISES {
            let mut noise = inside(&worker, NOISY, &["/bin/sh", "-c", script]);
            let mut noise = noise.stdout(Stdio::null()).spawn().expect("noise");
            let (pings, work) = feel(&worker);
            assert!(pings.len() > 170, "{name}: {} of 180 pings", pings.len());
            assert!(work.len() > 50, "{name}: {} pieces of work", work.len());
            let (ping, work) = (percentile(pings, 0.99), percentile(work, 0.99));
            let _ = writeln!(
                table,
                "{name:<24}{ping:>8.3} {:>4.1}x{work:>8.3} {:>4.1}x",
                ping / quiet.0,
                work / quiet.1
            );
            perform(&host, Act::Stop(NOISY, crate::support::spec())).await;
            noise.wait().expect("it ends with its vnode");
            round(&host, &worker.assignment(both.to_vec())).await;
        }
        println!("{table}");
        perform(&host, Act::Remove(VICTIM)).await;
        perform(&host, Act::Remove(NOISY)).await;
    });
}

#[test]
fn what_one_vnode_takes_of_the_kernel_another_still_gets() {
    in_own_network(async {
        let worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let host = worker.open();
        let both = [VICTIM, NOISY].map(|id| vnode(&worker, id));
        round(&host, &worker.assignment(both.to_vec())).await;
        let mut said = Vec::new();
        let mut running = Vec::new();
        for id in [NOISY, VICTIM] {
            bring_probe(&worker, id);
            let mut child = inside(&worker, id, &["/bin/probe", "exhaust"])
                .stdout(Stdio::piped())
                .spawn()
                .expect("the probe");
            let out = child.stdout.take().expect("a pipe");
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line)
                .expect("a line");
            said.push(line);
            running.push(child);
        }
        assert_eq!(said[0], said[1], "the second gets as much as the first");
        assert_eq!(said[0], "256 terminals, 512 watchers\n");
        for id in [NOISY, VICTIM] {
            perform(&host, Act::Remove(id)).await;
        }
        for mut child in running {
            child.wait().expect("it ends with its vnode");
        }
    });
}
