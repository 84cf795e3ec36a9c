//! GPUs of real containers: a card's node is there for the vnode that was given it, and opens for nobody else. The cards
//! are a stand-in's; their nodes are harmless devices of this machine.

#[path = "../gpu/stub.rs"]
mod stub;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use docklet_agent::gpu::{GpuSettings, Sight};
use docklet_agent::host::Act;
use docklet_agent::host::linux::LinuxHost;
use docklet_agent::meter::Meter;
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{Epoch, VnodeId};
use docklet_control::meter::Measure;
use docklet_control::model::VnodeWanted::{Removed, Running};
use docklet_link::Authority;
use nix::sys::stat::{Mode, SFlag, mknod};

use crate::defences::{item, leave_out};
use crate::support::{CLUSTER, Worker, in_own_network, round, run_in, spec, try_to};
use stub::{Stub, card};

/// Devices that do nothing when they are opened, where a machine has them; four are needed.
const HARMLESS: [&str; 7] = [
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/loop-control",
    "/dev/kvm",
    "/dev/btrfs-control",
    "/dev/autofs",
    "/dev/rfkill",
];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// A driver with two cards, a library, a program, and a file that is nobody's business.
fn driver() -> Stub {
    let stub = Stub::new();
    stub.say(&[card("GPU-a", 0), card("GPU-b", 1)]);
    fs::create_dir(stub.path("dev")).expect("made");
    let harmless = HARMLESS.iter().filter(|path| File::open(path).is_ok());
    let numbers: Vec<u64> = harmless
        .map(|path| fs::metadata(path).expect("a device").rdev())
        .collect();
    let names = ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"];
    assert!(
        numbers.len() >= names.len(),
        "devices to stand for cards: {HARMLESS:?}"
    );
    for (name, number) in names.into_iter().zip(numbers) {
        let path = stub.path("dev").join(name);
        mknod(&path, SFlag::S_IFCHR, Mode::empty(), number).expect("a node");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .expect("open to all");
    }
    let dir = stub.path("driver");
    fs::create_dir(&dir).expect("made");
    for (name, text) in [
        ("libcuda.so.550.54.14", "cuda"),
        ("libnvidia-ml.so.1", "ml"),
        ("libother.so.1", "nobody's business"),
        ("nvidia-smi", "#!/bin/sh\necho smi\n"),
    ] {
        let path = dir.join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("executable");
    }
    std::os::unix::fs::symlink("libcuda.so.550.54.14", dir.join("libcuda.so.1")).expect("linked");
    stub
}

fn worker(stub: &Stub, files: &[(String, u32, Vec<u8>)]) -> Worker {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let mut worker = Worker::with_files(&ca, 5, files);
    worker.config.gpus = stub.settings();
    worker
}

fn until(what: &str, host: &LinuxHost, holds: impl Fn(&Sight) -> bool) {
    let begun = Instant::now();
    while !holds(&host.gpus().now()) {
        assert!(begun.elapsed() < Duration::from_secs(20), "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn with_gpus(worker: &Worker, id: u64, gpus: &[&str]) -> AssignedVnode {
    AssignedVnode {
        gpus: gpus.iter().map(|uuid| (*uuid).to_owned()).collect(),
        ..worker.vnode(id, Running)
    }
}

/// The cgroups of a vnode's processes that rule devices.
fn device_cgroups(worker: &Worker, id: u64) -> Vec<PathBuf> {
    let payloads = worker
        .cgroups(VnodeId(id))
        .into_iter()
        .map(|dir| dir.join(format!("lxc.payload.v{id}")));
    let rules =
        |dir: &PathBuf| dir.join("devices.list").exists() || dir.join("cgroup.type").exists();
    let found: Vec<PathBuf> = payloads.filter(rules).collect();
    assert!(!found.is_empty(), "cgroups of vnode {id}");
    found
}

/// Whether root of this machine, once it is in the vnode's cgroup, may open a device: only the cgroup is in its way.
fn opens_from_within(worker: &Worker, id: u64, node: &Path) -> bool {
    let join: String = device_cgroups(worker, id)
        .iter()
        .map(|dir| format!("echo 0 > {}/cgroup.procs && ", dir.display()))
        .collect();
    let line = format!("{join} exec 3< {}", node.display());
    let ran = Command::new("/bin/busybox")
        .args(["sh", "-c", &line])
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        ran.status.success() || said.contains("Operation not permitted"),
        "{line}: {said}"
    );
    ran.status.success()
}

fn nodes_in(worker: &Worker, id: u64) -> String {
    run_in(worker, id, "ls /dev | grep nvidia | tr '\\n' ' '; true")
        .trim_end()
        .to_owned()
}

#[test]
fn a_card_opens_for_the_vnode_that_has_it_and_for_no_other() {
    in_own_network(async {
        let stub = driver();
        let place = |path: &str| (path.to_owned(), 0o644, b"here".to_vec());
        let worker = worker(
            &stub,
            &[place(&format!("{LIBRARIES}/here")), place("usr/bin/here")],
        );
        let host = worker.open();
        until("cards", &host, |sight| sight.offered().len() == 2);
        let before = worker.traces(&[7, 8, 9]);
        let vnodes = vec![
            with_gpus(&worker, 7, &["GPU-a"]),
            with_gpus(&worker, 8, &["GPU-b"]),
            worker.vnode(9, Running),
        ];
        round(&host, &worker.assignment(vnodes)).await;

        assert_eq!(nodes_in(&worker, 7), "nvidia-uvm nvidia0 nvidiactl");
        assert_eq!(nodes_in(&worker, 8), "nvidia-uvm nvidia1 nvidiactl");
        assert_eq!(nodes_in(&worker, 9), "");
        run_in(
            &worker,
            7,
            "exec 3< /dev/nvidia0 4< /dev/nvidiactl 5< /dev/nvidia-uvm",
        );
        run_in(&worker, 8, "exec 3< /dev/nvidia1");
        run_in(
            &worker,
            7,
            "! mknod /tmp/other c 10 229 2> /dev/null && ! chmod 600 /dev/nvidia0 2> /dev/null",
        );

        let node = |name: &str| stub.path("dev").join(name);
        for (id, opens) in [
            (7, [true, false, true]),
            (8, [false, true, true]),
            (9, [false; 3]),
        ] {
            let found = ["nvidia0", "nvidia1", "nvidiactl"]
                .map(|name| opens_from_within(&worker, id, &node(name)));
            assert_eq!(found, opens, "vnode {id}");
        }

        let seen = run_in(
            &worker,
            7,
            &format!(
                "cd /{LIBRARIES}; cat libcuda.so.1 libcuda.so.550.54.14 libnvidia-ml.so.1; ls"
            ),
        );
        assert_eq!(
            seen,
            "cudacudamlhere\nlibcuda.so.1\nlibcuda.so.550.54.14\nlibnvidia-ml.so.1\n"
        );
        assert_eq!(run_in(&worker, 7, "nvidia-smi"), "smi\n");
        let write = format!("! (echo x > /{LIBRARIES}/libcuda.so.1) 2> /dev/null");
        run_in(&worker, 7, &write);
        // Whose the files are would be in the way too.
        let mounts = run_in(&worker, 7, "cat /proc/self/mountinfo");
        let mounts = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let of_driver =
            mounts.filter(|mount| mount[4].contains("libcuda") || mount[4].contains("smi"));
        let options: Vec<bool> = of_driver.map(|mount| mount[5].starts_with("ro,")).collect();
        assert_eq!(options, [true; 3], "read-only");
        assert_eq!(
            fs::read_to_string(stub.path("driver/libcuda.so.1")).expect("read"),
            "cuda"
        );
        assert!(
            run_in(&worker, 9, &format!("ls /{LIBRARIES} /usr/bin"))
                .matches("here")
                .count()
                == 2
        );
        for id in [7, 8, 9] {
            let told =
                fs::read_to_string(worker.state(&format!("lxc/v{id}/config"))).expect("a file");
            assert!(
                !told.contains("lxc.hook") && !told.contains("NVIDIA"),
                "{told}"
            );
        }

        let meter = Meter::open(&worker.config, host.gpus().clone());
        meter.look();
        let live = meter.live().borrow().clone();
        let holders: Vec<_> = live.gpus.iter().map(|now| now.vnode).collect();
        assert_eq!(holders, [Some(VnodeId(7)), Some(VnodeId(8))]);
        let used: Vec<_> = live
            .vnodes
            .iter()
            .map(|(_, usage)| usage.values.get(Measure::Gpu))
            .collect();
        assert_eq!(used, [Some(0.25), Some(0.25), None]);
        assert_eq!(live.worker.values.get(Measure::Gpu), Some(0.5));

        let removed = [7, 8, 9].map(|id| worker.vnode(id, Removed)).to_vec();
        round(&host, &worker.assignment(removed)).await;
        round(&host, &worker.assignment(Vec::new())).await;
        assert_eq!(worker.traces(&[7, 8, 9]), before);
    });
}

#[test]
fn a_vnode_does_not_start_with_a_card_that_is_gone_or_strange_and_starts_once_it_is_there() {
    in_own_network(async {
        let stub = driver();
        let worker = worker(&stub, &[]);
        let host = worker.open();
        until("cards", &host, |sight| sight.offered().len() == 2);
        let vnode = with_gpus(&worker, 7, &["GPU-a", "GPU-b"]);
        round(&host, &worker.assignment(vec![vnode.clone()])).await;
        assert_eq!(nodes_in(&worker, 7), "nvidia-uvm nvidia0 nvidia1 nvidiactl");
        // The image has none of the usual places.
        assert_eq!(
            run_in(&worker, 7, "cat /usr/local/nvidia/lib64/libcuda.so.1"),
            "cuda"
        );

        stub.say(&[card("GPU-a", 0)]);
        until("loss", &host, |sight| sight.offered().len() == 1);
        let anew = |gpus: &[&str], epoch| {
            Box::new(AssignedVnode {
                epoch: Epoch(epoch),
                ..with_gpus(&worker, 7, gpus)
            })
        };
        try_to(&host, Act::Stop(VnodeId(7), spec()))
            .await
            .expect("stopped");
        let start = async |gpus: &[&str], epoch| {
            try_to(&host, Act::Prepare(anew(gpus, epoch))).await?;
            try_to(&host, Act::Start(anew(gpus, epoch), spec(), None)).await
        };
        let refused = start(&["GPU-b"], 11).await.expect_err("gone");
        assert!(
            refused.contains("GPU GPU-b: the driver does not list it"),
            "{refused}"
        );
        for strange in [
            "GPU-a\nlxc.hook.start = /bin/true",
            "../nvidia0",
            "",
            "GPU-c",
        ] {
            let refused = start(&[strange], 11).await.expect_err("no card");
            assert!(refused.contains("not on this worker"), "{refused}");
        }
        let node = stub.path("dev/nvidia0");
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&node, mode(0o600)).expect("closed");
        let refused = start(&["GPU-a"], 11).await.expect_err("closed");
        assert!(refused.contains("vnodes need 666"), "{refused}");
        fs::set_permissions(&node, mode(0o666)).expect("open to all");
        start(&["GPU-a"], 12).await.expect("a card that is well");
        assert_eq!(nodes_in(&worker, 7), "nvidia-uvm nvidia0 nvidiactl");
        round(&host, &worker.assignment(vec![worker.vnode(7, Removed)])).await;
    });
}

/// Version 2 of cgroups keeps the list in a program that cannot be read.
#[test]
fn a_vnode_whose_list_of_devices_is_not_as_it_was_set_does_not_start() {
    in_own_network(async {
        let mut worker = Worker::new(&Authority::create(CLUSTER).expect("an authority"), 5);
        let forgotten = [item("lxc.cgroup.devices.deny", "", None)];
        leave_out(&mut worker.config, &forgotten);
        let host = worker.open();
        let wanted = worker.assignment(vec![worker.vnode(7, Running)]);
        let vnode = Box::new(wanted.vnodes[0].clone());
        for network in wanted.networks {
            let made = Act::EnsureNetwork(network, wanted.fabric.clone());
            try_to(&host, made).await.expect("made");
        }
        try_to(&host, Act::Prepare(vnode.clone()))
            .await
            .expect("prepared");
        let started = try_to(&host, Act::Start(vnode, spec(), None)).await;
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        if unified {
            started.expect("what cannot be read is believed");
        } else {
            let refused = started.expect_err("open to all devices");
            assert!(refused.contains("limit devices.list is"), "{refused}");
            assert_eq!(worker.init_pid(VnodeId(7)), None, "it does not run");
        }
        round(&host, &worker.assignment(vec![worker.vnode(7, Removed)])).await;
    });
}

/// On a machine with a card of NVIDIA's and its driver. Elsewhere there is nothing to try.
#[test]
fn a_real_card_opens_for_its_vnode_where_there_is_one() {
    if !Path::new("/dev/nvidiactl").exists() {
        println!("no GPU on this machine: nothing was tried");
        return;
    }
    in_own_network(async {
        let ca = Authority::create(CLUSTER).expect("an authority");
        let mut worker = Worker::new(&ca, 5);
        worker.config.gpus.library = Some(GpuSettings::LIBRARY.into());
        let host = worker.open();
        until("card", &host, |sight| !sight.offered().is_empty());
        let sight = host.gpus().now();
        let well = sight.cards.iter().find(|card| card.problem.is_none());
        let card = well.expect("one that is offered");
        let own = with_gpus(&worker, 7, &[&card.gpu.uuid]);
        let vnodes = vec![own, worker.vnode(8, Running)];
        round(&host, &worker.assignment(vnodes)).await;
        let node = format!("/dev/nvidia{}", card.minor);
        run_in(&worker, 7, &format!("exec 3< {node} 4< /dev/nvidiactl"));
        run_in(&worker, 7, "test -s /usr/local/nvidia/lib64/libcuda.so.1");
        assert_eq!(nodes_in(&worker, 8), "");
        assert!(opens_from_within(&worker, 7, Path::new(&node)));
        assert!(!opens_from_within(&worker, 8, Path::new(&node)));
        assert!(!opens_from_within(&worker, 8, Path::new("/dev/nvidiactl")));
        let removed = [7, 8].map(|id| worker.vnode(id, Removed)).to_vec();
        round(&host, &worker.assignment(removed)).await;
        round(&host, &worker.assignment(Vec::new())).await;
    });
}
