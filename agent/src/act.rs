//! Acts on a vnode's files and container, on real Linux. Each may be repeated.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use docklet_control::assignment::{AssignedImage, AssignedVnode};
use docklet_control::id::VnodeId;
use docklet_control::model::ImageSpec;

use crate::door::images;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::lxc::{HelperRequest, StartRequest, StopRequest, helper};
use crate::network::names;
use crate::network::plug::plug;
use crate::vnode_dir::{container_name, make_dir};
use crate::{home, rootfs};

/// CPU quotas are shares of this period.
const CPU_PERIOD_US: u64 = 100_000;

/// Fetches an image from whichever worker holds it.
pub(crate) fn fetch_image(host: &LinuxHost, image: &AssignedImage) -> Result<(), AgentFault> {
    if host.images.holds(image.digest) {
        return Ok(());
    }
    let fetch = images::fetch(&host.config.credentials, &host.images, image);
    host.runtime.block_on(fetch)
}

/// Makes a vnode's files.
pub(crate) fn prepare(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    let dir = host.state.vnode(vnode.id);
    make_dir(&dir, 0o711)?;
    make_dir(&dir.join("etc"), 0o755)?;
    let files = [
        ("hosts", hosts_text(&vnode.hosts)),
        ("hostname", format!("{}\n", vnode.hostname)),
        ("resolv.conf", resolv_text(vnode)),
    ];
    for (name, text) in files {
        let path = dir.join("etc").join(name);
        fs::write(&path, text).map_err(AgentFault::file("write", path))?;
    }
    home::prepare(&host.config, vnode)?;
    let image_root = host.images.rootfs(vnode.image);
    rootfs::mount_rootfs(&host.state, vnode, &image_root, &host.config.helper)?;
    host.state.remember(vnode)
}

/// Names are asked of the segment's gateway; short ones are meant within the vcluster.
fn resolv_text(vnode: &AssignedVnode) -> String {
    let (gateway, vcluster) = (vnode.gateway(), &vnode.vcluster_name);
    format!("nameserver {gateway}\nsearch {vcluster}\n")
}

/// The hosts file of a vcluster's vnodes.
pub(crate) fn hosts_text(hosts: &[(String, Ipv4Addr)]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    for (name, address) in hosts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

/// Plugs the vnode in and starts its container.
pub(crate) fn start(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    spec: &ImageSpec,
) -> Result<(), AgentFault> {
    kill_leftover(host, vnode.id)?;
    plug(vnode)?;
    let request = HelperRequest::Start(StartRequest {
        lxc_path: host.state.lxc_path(),
        name: container_name(vnode.id),
        config: container_config(host, vnode, spec),
        address: vnode.address.to_string(),
        limits: limits_to_check(vnode),
    });
    let answer = host.state.answer(&format!("start-{}", vnode.id));
    helper::ask(&host.config.helper, &request, &answer)
        .map_err(|fault| with_log(host, vnode.id, fault))
}

/// liblxc says why in its log only.
fn with_log(host: &LinuxHost, id: VnodeId, fault: AgentFault) -> AgentFault {
    let log = fs::read_to_string(log_file(host, id)).unwrap_or_default();
    let errors: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" ERROR "))
        .collect();
    match errors.first() {
        Some(first) => AgentFault::Lxc(format!("{fault}: {}", first.trim())),
        None => fault,
    }
}

fn log_file(host: &LinuxHost, id: VnodeId) -> PathBuf {
    host.state.vnode(id).join("lxc.log")
}

/// Everything that liblxc is told of a container. Users have no say in keys.
fn container_config(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    spec: &ImageSpec,
) -> Vec<(String, String)> {
    let mut config = Vec::new();
    let mut set = |key: &str, value: String| config.push((key.to_owned(), value));
    set("lxc.uts.name", vnode.hostname.clone());
    set(
        "lxc.rootfs.path",
        format!("dir:{}", host.state.rootfs(vnode.id).display()),
    );
    set("lxc.idmap", format!("u 0 {} 65536", vnode.uid_base));
    set("lxc.idmap", format!("g 0 {} 65536", vnode.uid_base));
    set("lxc.net.0.type", "phys".to_owned());
    set("lxc.net.0.link", names::container_device(vnode.id));
    set("lxc.net.0.name", "eth0".to_owned());
    set("lxc.net.0.flags", "up".to_owned());
    set(
        "lxc.net.0.ipv4.address",
        format!("{}/{}", vnode.address, vnode.prefix),
    );
    set("lxc.net.0.ipv4.gateway", vnode.gateway().to_string());
    set("lxc.tty.max", "0".to_owned());
    set("lxc.pty.max", "256".to_owned());
    set("lxc.console.path", "none".to_owned());
    set("lxc.mount.auto", "proc:mixed sys:ro".to_owned());
    for name in ["hosts", "hostname", "resolv.conf"] {
        let source = host.state.vnode(vnode.id).join("etc").join(name);
        let entry = format!(
            "{} etc/{name} none bind,ro,create=file 0 0",
            source.display()
        );
        set("lxc.mount.entry", entry);
    }
    for entry in home::mounts(&host.config, vnode) {
        set("lxc.mount.entry", entry);
    }
    set("lxc.init.cmd", spec.init.join(" "));
    set("lxc.signal.halt", spec.stop_signal.clone());
    for variable in environment() {
        set("lxc.environment", variable);
    }
    let seccomp = "/usr/share/lxc/config/common.seccomp";
    if Path::new(seccomp).exists() {
        set("lxc.seccomp.profile", seccomp.to_owned());
    }
    set(
        "lxc.cap.drop",
        "mac_admin mac_override sys_time sys_module sys_rawio".to_owned(),
    );
    set(
        "lxc.cgroup.dir",
        format!("{}/{}", host.config.cgroup_prefix, container_name(vnode.id)),
    );
    set(
        "lxc.log.file",
        log_file(host, vnode.id).display().to_string(),
    );
    set("lxc.log.level", "INFO".to_owned());
    config.extend(limits(vnode));
    config
}

/// Variables of everything that starts in a vnode.
pub(crate) fn environment() -> Vec<String> {
    [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "LANG=C.UTF-8",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The limits in the words of both cgroup versions: the kernel has one of them, liblxc ignores the other.
fn limits(vnode: &AssignedVnode) -> Vec<(String, String)> {
    let (memory, quota, pids) = amounts(vnode);
    [
        ("lxc.cgroup.memory.limit_in_bytes", memory.to_string()),
        ("lxc.cgroup2.memory.max", memory.to_string()),
        ("lxc.cgroup2.memory.swap.max", "0".to_owned()),
        ("lxc.cgroup.cpu.cfs_period_us", CPU_PERIOD_US.to_string()),
        ("lxc.cgroup.cpu.cfs_quota_us", quota.to_string()),
        ("lxc.cgroup2.cpu.max", format!("{quota} {CPU_PERIOD_US}")),
        ("lxc.cgroup.pids.max", pids.to_string()),
        ("lxc.cgroup2.pids.max", pids.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}

/// What must be read back after the start, whichever version the kernel has.
fn limits_to_check(vnode: &AssignedVnode) -> Vec<(Vec<String>, String)> {
    let (memory, _, pids) = amounts(vnode);
    let keys = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    vec![
        (
            keys(&["memory.limit_in_bytes", "memory.max"]),
            memory.to_string(),
        ),
        (keys(&["pids.max"]), pids.to_string()),
    ]
}

/// Bytes of memory, microseconds of CPU per period, processes.
fn amounts(vnode: &AssignedVnode) -> (u64, u64, u32) {
    (
        u64::from(vnode.size.memory_mib.0) << 20,
        u64::from(vnode.size.cpu_milli.0) * CPU_PERIOD_US / 1_000,
        vnode.size.pids_max,
    )
}

/// Stops the container, and makes sure that no process of it is left.
pub(crate) fn stop(host: &LinuxHost, id: VnodeId, timeout_ms: u32) -> Result<(), AgentFault> {
    let request = HelperRequest::Stop(StopRequest {
        lxc_path: host.state.lxc_path(),
        name: container_name(id),
        timeout_ms,
    });
    let answer = host.state.answer(&format!("stop-{id}"));
    helper::ask(&host.config.helper, &request, &answer)?;
    kill_leftover(host, id)
}

/// Kills what a container without a monitor left running, and removes its cgroups. Such a container looks stopped
/// to liblxc, and starting it would make a second copy on the same files.
fn kill_leftover(host: &LinuxHost, id: VnodeId) -> Result<(), AgentFault> {
    let relative = Path::new(&host.config.cgroup_prefix).join(container_name(id));
    for hierarchy in hierarchies()? {
        let dir = hierarchy.join(&relative);
        if dir.exists() {
            empty_cgroup(&dir)?;
        }
    }
    Ok(())
}

/// Roots of all cgroup hierarchies: one on version 2, several on version 1.
fn hierarchies() -> Result<Vec<PathBuf>, AgentFault> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let entries = fs::read_dir(root).map_err(AgentFault::file("list", root))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: Result<Vec<PathBuf>, _> = paths.collect();
    paths.map_err(AgentFault::file("list", root))
}

/// Kills all in a cgroup and below, deepest first, and removes it.
fn empty_cgroup(dir: &Path) -> Result<(), AgentFault> {
    let named = |act| AgentFault::file(act, dir);
    for entry in fs::read_dir(dir).map_err(named("list"))? {
        let path = entry.map_err(named("list"))?.path();
        if path.is_dir() {
            empty_cgroup(&path)?;
        }
    }
    for _ in 0..200 {
        let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        for pid in procs.lines().filter_map(|line| line.parse().ok()) {
            let pid = nix::unistd::Pid::from_raw(pid);
            // A process that ended meanwhile is what was wanted.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                // Dying processes leave their cgroup a moment after the signal.
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(error) => return Err(AgentFault::file("remove", dir)(error)),
        }
    }
    Err(AgentFault::Lxc(format!(
        "processes in {} do not die",
        dir.display()
    )))
}
