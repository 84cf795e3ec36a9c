//! What the tests on real LXC share: a worker in a network namespace of its own, with a busybox image in its store.

#[path = "busybox.rs"]
mod busybox;

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use docklet_agent::AgentConfig;
use docklet_agent::gpu::GpuSettings;
use docklet_agent::home::Homes;
use docklet_agent::host::linux::LinuxHost;
use docklet_agent::host::{Act, Host, Observation};
use docklet_agent::images::ImageStore;
use docklet_agent::limits::IoLimit;
use docklet_agent::loop_device::attached_to;
use docklet_agent::lxc::{AttachRequest, Container, HelperRequest, Helpers, helper};
use docklet_agent::plan::plan;
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::assignment::{
    AssignedImage, AssignedNetwork, AssignedSnapshot, AssignedVnode, Assignment, Fabric,
    VclusterSecret,
};
use docklet_control::id::{
    Digest, Epoch, LogIndex, NetworkId, UserId, VclusterId, VnodeId, WorkerId,
};
use docklet_control::lost::Fencing;
use docklet_control::model::vnode::MacAddress;
use docklet_control::model::{Bandwidth, ClusterId, ImageSpec, VnodeWanted, WorkerCapacity};
use docklet_link::authority::SigningRequest;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::{Authority, Credentials};
use nix::sched::{CloneFlags, unshare};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub const HELPER: &str = env!("CARGO_BIN_EXE_docklet-agent-helper");
pub const CLUSTER: [u8; 16] = [7; 16];
pub const NETWORK: NetworkId = NetworkId(40);
/// Where the worker's data port is, in its own network namespace.
pub const DATA_PORT: u16 = 7_443;

/// One worker. What it made on the machine goes when it is dropped, also after a failure.
pub struct Worker {
    pub config: AgentConfig,
    pub image: Digest,
    pub blob_bytes: u64,
    /// First of its vnodes' user ids; each test's are others.
    pub uid_base: u32,
    dir: TempDir,
}

/// Runs a test in a network namespace of its own, within a runtime whose threads are in it too.
pub fn in_own_network<F: Future<Output = ()>>(test: F) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "containers and namespaces need root: run the tests as root"
    );
    // Only this thread, and what it starts, is in there; the namespace goes with the last of them.
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    command("ip", &["link", "set", "lo", "up"]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(test);
}

impl Worker {
    /// A worker of this cluster that holds the image.
    pub fn new(ca: &Authority, id: u64) -> Self {
        Self::with_files(ca, id, &[])
    }

    /// A worker whose image has these files beside busybox: path, mode and bytes.
    pub fn with_files(ca: &Authority, id: u64, files: &[(String, u32, Vec<u8>)]) -> Self {
        let mut worker = Self::empty(ca, id);
        let store = ImageStore::open(worker.state("images")).expect("a store");
        let blob = busybox::image(files);
        worker.image = Digest(Sha256::digest(&blob).into());
        worker.blob_bytes = blob.len() as u64;
        let mut receiving = store
            .receive(worker.image, blob.len() as u64)
            .expect("begun");
        receiving.write(&blob).expect("written");
        receiving.finish().expect("verified");
        worker
    }

    /// A worker without any image.
    pub fn empty(ca: &Authority, id: u64) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::Builder::new()
            .prefix("docklet-agent-test-")
            .tempdir_in("/var/tmp")
            .expect("a directory");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let blob = busybox::image(&[]);
        let config = AgentConfig {
            state_dir: dir.path().to_owned(),
            credentials: signed(ca, PeerRole::Agent, id).into(),
            masters: Vec::new(),
            data_listen: (Ipv4Addr::LOCALHOST, DATA_PORT).into(),
            underlay: IpAddr::V4(Ipv4Addr::LOCALHOST),
            resolv_conf: "/etc/resolv.conf".into(),
            cgroup_prefix: format!("docklet-test-{}-{number}", std::process::id()),
            capacity: WorkerCapacity::default(),
            vnode_io: IoLimit::default(),
            terminal_alone: Duration::from_secs(3_600),
            uploads_kept: Duration::from_secs(24 * 3_600),
            move_bytes_per_s: None,
            homes: Homes {
                dir: dir.path().join("homes"),
                mounted: false,
            },
            gpus: GpuSettings::none(),
            helpers: Helpers::copied(HELPER).expect("a thread"),
            gate: docklet_link::Gate::default(),
        };
        Self {
            config,
            image: Digest(Sha256::digest(&blob).into()),
            blob_bytes: blob.len() as u64,
            uid_base: 1_900_000_000 + number * 65_536,
            dir,
        }
    }

    /// A path in its state directory.
    pub fn state(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The machine as an agent takes it up.
    pub fn open(&self) -> Arc<LinuxHost> {
        Arc::new(LinuxHost::open(self.config.clone()).expect("a host"))
    }

    /// What a master would assign: these vnodes and what they need.
    pub fn assignment(&self, vnodes: Vec<AssignedVnode>) -> Assignment {
        let network = AssignedNetwork {
            id: NETWORK,
            peers: Vec::new(),
            subnet: Some("10.64.0.0/22".parse().expect("a subnet")),
            ports: Vec::new(),
        };
        let image = AssignedImage {
            digest: self.image,
            blob_bytes: self.blob_bytes,
            spec: spec(),
            holders: Vec::new(),
        };
        let networks = (!vnodes.is_empty()).then_some(network);
        Assignment {
            cluster: ClusterId(CLUSTER),
            index: LogIndex(1),
            worker: WorkerId(self.config.credentials.identity.id),
            masters: Vec::new(),
            master_ids: Vec::new(),
            networks: networks.into_iter().collect(),
            images: vec![image],
            vnodes,
            fabric: Fabric::default(),
            image_runs: Vec::new(),
            drops_images: false,
            saves: Vec::new(),
            snapshots: Some(Vec::new()),
            restores: Vec::new(),
            resizes: Vec::new(),
            arrivals: Vec::new(),
            departures: Vec::new(),
            fencing: Fencing::default(),
            drill: None,
            metering: docklet_control::assignment::Metering::default(),
            tells_idle: false,
        }
    }

    /// Vnode 7 running, with these snapshots.
    pub fn with_snapshots(&self, numbers: &[u64]) -> Assignment {
        let snapshots = numbers.iter().map(|number| AssignedSnapshot {
            vnode: VnodeId(7),
            number: LogIndex(*number),
            taken: false,
        });
        Assignment {
            snapshots: Some(snapshots.collect()),
            ..self.assignment(vec![self.vnode(7, VnodeWanted::Running)])
        }
    }

    /// One vnode of it.
    pub fn vnode(&self, id: u64, wanted: VnodeWanted) -> AssignedVnode {
        let last = u8::try_from(id).expect("a small number");
        let address = Ipv4Addr::new(10, 64, 0, last);
        AssignedVnode {
            id: VnodeId(id),
            epoch: Epoch(10),
            wanted,
            owner: UserId(1),
            uid_base: self.uid_base,
            vcluster: VclusterId(1),
            vcluster_name: "lab".to_owned(),
            hostname: "host-0".to_owned(),
            image: self.image,
            size: VnodeSize {
                cpu_milli: CpuMilli(500),
                memory_mib: MemoryMib(48),
                pids_max: 64,
            },
            disk_mib: DiskMib(64),
            network: NETWORK,
            address,
            prefix: 22,
            mac: MacAddress([0x0a, 0, 0, 0, 0, last]),
            hosts: vec![("host-0".to_owned(), address)],
            bandwidth: Bandwidth::default(),
            gpus: Vec::new(),
            copy_of: None,
            secret: Some(VclusterSecret([3; 32])),
            home_mib: None,
            arrived_by: None,
        }
    }

    /// Directories of the vnode's cgroups, in whatever hierarchies there are.
    pub fn cgroups(&self, id: VnodeId) -> Vec<PathBuf> {
        let below = format!("{}/v{id}", self.config.cgroup_prefix);
        let roots = hierarchies().into_iter();
        roots
            .map(|root| root.join(&below))
            .filter(|dir| dir.exists())
            .collect()
    }

    /// What the only cgroup file of this name below the vnode's cgroups says.
    pub fn cgroup_file(&self, id: VnodeId, names: &[&str]) -> String {
        let text = fs::read_to_string(self.cgroup_path(id, names)).expect("a file");
        text.trim().to_owned()
    }

    /// Where it is.
    pub fn cgroup_path(&self, id: VnodeId, names: &[&str]) -> PathBuf {
        let mut waiting = self.cgroups(id);
        while let Some(dir) = waiting.pop() {
            let entries = fs::read_dir(&dir).expect("a cgroup");
            let dirs = entries.flatten().map(|entry| entry.path());
            waiting.extend(dirs.filter(|path| path.is_dir()));
            if dir.to_string_lossy().contains("payload") || dir.ends_with(format!("v{id}")) {
                let files = names.iter().map(|name| dir.join(name));
                let mut there = files.filter(|path| path.exists() && has_processes(&dir));
                if let Some(path) = there.next() {
                    return path;
                }
            }
        }
        panic!("no cgroup of vnode {id} has one of {names:?}");
    }

    /// Process id of the vnode's init on this machine.
    pub fn init_pid(&self, id: VnodeId) -> Option<i32> {
        let container = Container::open(&self.state("lxc"), &format!("v{id}")).expect("a handle");
        container.init_pid()
    }

    /// Everything of vnodes that there is on this machine.
    pub fn traces(&self, ids: &[u64]) -> BTreeSet<String> {
        let mut traces = BTreeSet::new();
        let links = command("ip", &["-o", "link", "show"]);
        let ours = |line: &&str| line.split(": ").nth(1).is_some_and(|n| n.starts_with("dk"));
        traces.extend(
            links
                .lines()
                .filter(ours)
                .map(|line| format!("link {line}")),
        );
        let tables = command("nft", &["list", "tables"]);
        traces.extend(tables.lines().map(|line| format!("nft {line}")));
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the table of mounts");
        let dir = self.dir.path().display().to_string();
        let below = mounts.lines().filter(|line| line.contains(&dir));
        traces.extend(below.map(|line| format!("mount {line}")));
        for id in ids {
            let disk = self.state(&format!("vnodes/v{id}/disk.img"));
            let devices = attached_to(&disk).expect("devices");
            traces.extend(
                devices
                    .iter()
                    .map(|device| format!("device {}", device.display())),
            );
            let cgroups = self.cgroups(VnodeId(*id));
            traces.extend(
                cgroups
                    .iter()
                    .map(|dir| format!("cgroup {}", dir.display())),
            );
        }
        for below in ["vnodes", "lxc", "lower", "run", "gateways"] {
            let entries = fs::read_dir(self.state(below))
                .expect("a directory")
                .flatten();
            traces.extend(entries.map(|entry| format!("file {}", entry.path().display())));
        }
        traces
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.lose_power();
    }
}

impl Worker {
    /// Takes away what a machine loses with its power: processes, cgroups, mounts. Interfaces and rules go with the
    /// network namespace of the test.
    pub fn lose_power(&self) {
        let prefix = &self.config.cgroup_prefix;
        for dir in hierarchies().into_iter().map(|root| root.join(prefix)) {
            clear_cgroup(&dir);
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        let mut below: Vec<&str> = points
            .filter(|point| Path::new(point).starts_with(self.dir.path()))
            .collect();
        below.reverse();
        for point in below {
            // Cleaning up after a failure is best effort.
            let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
        }
    }
}

/// How the image is started and stopped.
pub fn spec() -> ImageSpec {
    ImageSpec {
        init: vec!["/sbin/init".to_owned()],
        stop_signal: "SIGUSR1".to_owned(),
        stop_timeout_ms: 0,
    }
}

/// Credentials that `ca` signed for this role and number.
pub fn signed(ca: &Authority, role: PeerRole, id: u64) -> Credentials {
    let dir = TempDir::new().expect("a directory");
    store_signed(ca, role, id, dir.path());
    Credentials::load(dir.path()).expect("loaded")
}

/// The same in a directory.
pub fn store_signed(ca: &Authority, role: PeerRole, id: u64, dir: &Path) {
    let identity = Identity {
        role,
        id,
        cluster: CLUSTER,
    };
    let signing = SigningRequest::new().expect("a key");
    let own = ca.sign(&signing.csr_pem, identity).expect("signed");
    let pem = ca.certificate_pem();
    fs::create_dir_all(dir).expect("made");
    Credentials::store(dir, pem, &own, &signing.key_pem, None).expect("stored");
}

/// Name of a terminal's session.
pub fn session(number: u8) -> String {
    format!("{number:032x}")
}

/// One round of the agent's loop; answers the names of the steps that it took.
pub async fn round(host: &Arc<LinuxHost>, wanted: &Assignment) -> Vec<&'static str> {
    let plan = plan(wanted, &observe(host).await, Some(wanted));
    let vnodes = plan.vnodes.into_values().flatten();
    let mut steps = Vec::new();
    let images = plan.images.into_values().chain(plan.saves.into_values());
    let snapshots = plan.snapshots.into_values().flatten();
    let snapshots = snapshots.chain(plan.resizes.into_values());
    for act in plan
        .networks
        .into_iter()
        .chain(vnodes)
        .chain(images)
        .chain(snapshots)
        .chain(plan.sweep)
    {
        steps.push(act.step());
        perform(host, act).await;
    }
    steps
}

pub async fn observe(host: &Arc<LinuxHost>) -> Observation {
    let host = host.clone();
    let seen = tokio::task::spawn_blocking(move || host.observe());
    seen.await.expect("no panic").expect("seen")
}

/// Performs an act that must succeed, on a thread on which it may block.
pub async fn perform(host: &Arc<LinuxHost>, act: Act) {
    if let Err(cause) = try_to(host, act.clone()).await {
        panic!("{}: {cause}", act.step());
    }
}

/// Performs an act; answers why it failed.
pub async fn try_to(host: &Arc<LinuxHost>, act: Act) -> Result<(), String> {
    let host = host.clone();
    let done = tokio::task::spawn_blocking(move || host.act(&act));
    done.await
        .expect("no panic")
        .map_err(|fault| fault.full_text())
}

/// What a command line of the shell prints in a running vnode; it must succeed.
pub fn run_in(worker: &Worker, id: u64, line: &str) -> String {
    let request = HelperRequest::Attach(AttachRequest {
        lxc_path: worker.state("lxc"),
        name: format!("v{id}"),
        argv: ["sh", "-c", line].map(str::to_owned).to_vec(),
        environment: vec![
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            "HOME=/root".to_owned(),
        ],
        directory: "/root".to_owned(),
        terminal: false,
    });
    let path = worker.state(&format!("run/attach-test-{id}"));
    fs::write(&path, serde_json::to_vec(&request).expect("JSON")).expect("written");
    let output = std::process::Command::new(worker.config.helpers.program())
        .args([helper::ARGUMENT, path.to_str().expect("text"), "/dev/null"])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("a helper");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{line}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Processes of this user of the machine.
pub fn processes_of(uid: u32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(|pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if status.contains("\nState:\tZ") {
            // It has ended; whether somebody has asked how is another matter.
            return false;
        }
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        line.and_then(|line| line.split_whitespace().next()) == Some(&uid.to_string())
    })
    .collect()
}

/// Waits until `look` answers something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} within 10 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Standard output of a program that must succeed.
pub fn command(program: &str, arguments: &[&str]) -> String {
    docklet_agent::command::run(program, arguments, "").expect("a program that succeeds")
}

fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let entries = fs::read_dir(root).expect("cgroups").flatten();
    let dirs = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir());
    dirs.chain([root.to_owned()]).collect()
}

fn has_processes(cgroup: &Path) -> bool {
    fs::read_to_string(cgroup.join("cgroup.procs")).is_ok_and(|text| !text.is_empty())
}

/// Kills what is in a cgroup and below, and removes it, as far as that goes.
fn clear_cgroup(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            clear_cgroup(&path);
        }
    }
    for _ in 0..100 {
        let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        for pid in procs.lines().filter_map(|line| line.parse().ok()) {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        if fs::remove_dir(dir).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
