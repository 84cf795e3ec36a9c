//! What this machine can do as a worker, each tried out where that leaves nothing behind. Nothing of an agent need be here.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cgroup::{Cgroups, favour};
use crate::checkpoint::criu;
use crate::command::run;
use crate::disk::grow;
use crate::fault::AgentFault;
use crate::lxc::{HelperRequest, Helpers, MountRequest};
use crate::rootfs::unmount;
use crate::vnode_dir::make_dir;
use crate::{lxc, lxcfs};

/// First of the ids for which a mount is tried out: far from those of people.
const UID_BASE: u32 = 2_000_000_000;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// Whether no vnode runs without.
    pub required: bool,
    /// Whether it is there.
    pub there: bool,
    /// What was found; or why it is not there, and what to do.
    pub says: String,
}

/// What a look came to: what is there, or why it is not and what to do.
type Looked = Result<String, String>;

/// Looks at everything. `program` can be the agent's helper, as this one can.
#[must_use]
pub fn examine(program: &Path) -> Vec<Finding> {
    let required = [
        ("root", root()),
        ("liblxc", lxc::version().map_err(|fault| fault.to_string())),
        ("cgroups", cgroups()),
        ("seccomp", seccomp()),
        ("overlayfs", file_system("overlay")),
        ("id-mapped mounts", idmapped(program)),
        ("loop devices", loop_devices()),
        ("nftables", ran("nft", &["list", "tables"], "nftables")),
        ("bridges", device("bridge", &[])),
        ("VXLAN", device("vxlan", &["id", "1", "dstport", "4789"])),
        ("traffic control", ran("tc", &["-V"], "iproute2")),
    ];
    let optional = [
        ("disks that grow while mounted", growing()),
        ("quick moves between cgroups", quick_moves()),
        ("lxcfs", truths()),
        ("moves of vnodes that run", moves()),
        ("copying memory ahead of a move", ahead()),
    ];
    let required = required.into_iter().map(|found| finding(true, found));
    let optional = optional.into_iter().map(|found| finding(false, found));
    required.chain(optional).collect()
}

fn finding(required: bool, (what, looked): (&'static str, Looked)) -> Finding {
    let there = looked.is_ok();
    let (Ok(says) | Err(says)) = looked;
    Finding {
        what,
        required,
        there,
        says,
    }
}

fn root() -> Looked {
    if nix::unistd::geteuid().is_root() {
        return Ok("yes".to_owned());
    }
    Err("an agent makes containers, mounts and devices: run it as root".to_owned())
}

fn cgroups() -> Looked {
    let cgroups = Cgroups::of_machine("docklet");
    if cgroups.unified() {
        let path = "/sys/fs/cgroup/cgroup.controllers";
        let there = fs::read_to_string(path).unwrap_or_default();
        let lacks = |name: &&str| !there.split_whitespace().any(|there| there == *name);
        return with_controllers("version 2", &["cpu", "memory", "pids", "io"], lacks);
    }
    let lacks = |name: &&str| !Path::new("/sys/fs/cgroup").join(name).exists();
    with_controllers(
        "version 1",
        &["cpu", "memory", "pids", "blkio", "devices"],
        lacks,
    )
}

fn with_controllers(version: &str, wanted: &[&str], lacks: impl Fn(&&str) -> bool) -> Looked {
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| lacks(name)).collect();
    if missing.is_empty() {
        return Ok(version.to_owned());
    }
    let missing = missing.join(", ");
    Err(format!(
        "{version} without {missing}: mount them below /sys/fs/cgroup, or start the kernel with them"
    ))
}

fn seccomp() -> Looked {
    if Path::new("/proc/sys/kernel/seccomp/actions_avail").exists() {
        return Ok("rules for system calls".to_owned());
    }
    Err("the kernel was built without CONFIG_SECCOMP_FILTER: use another".to_owned())
}

fn file_system(name: &str) -> Looked {
    let knows = || {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let mut known = known.lines().map(|line| line.split_whitespace().last());
        known.any(|known| known == Some(name))
    };
    // A module is loaded when something of it is mounted, which may be later: what counts is whether it can be.
    if knows() || (run("modprobe", &[name], "").is_ok() && knows()) {
        return Ok("the kernel knows it".to_owned());
    }
    Err(format!(
        "the kernel does not know {name}: try `modprobe {name}`"
    ))
}

/// Mounts a directory with shifted ids, as images are: user namespaces are tried out by it, too. It is one of a file system on
/// disk, as an agent's are; /run would not do before Linux 6.3.
fn idmapped(program: &Path) -> Looked {
    let dir = PathBuf::from(format!("/var/lib/docklet-doctor-{}", std::process::id()));
    let tried = try_idmapped(program, &dir);
    // What is left behind is said, if nothing else is.
    let gone =
        unmount(&dir.join("target")).and_then(|()| fs::remove_dir_all(&dir).map_err(Into::into));
    tried.and_then(|()| gone.map_err(|fault| fault.full_text()))?;
    Ok("a directory was mounted with shifted ids".to_owned())
}

fn try_idmapped(program: &Path, dir: &Path) -> Result<(), String> {
    let told = |fault: AgentFault| {
        let why = fault.full_text();
        format!(
            "{why}: Linux 5.19 or newer is needed, with user namespaces, and a file system at /var/lib that can be mounted so"
        )
    };
    let (source, target) = (dir.join("source"), dir.join("target"));
    for path in [&source, &target] {
        make_dir(path, 0o700).map_err(told)?;
    }
    let request = HelperRequest::Mount(MountRequest {
        source,
        target,
        uid_base: UID_BASE,
    });
    let helpers = Helpers::executed(program);
    helpers.ask(&request, dir.join("answer")).map_err(told)
}

fn loop_devices() -> Looked {
    if !Path::new("/dev/loop-control").exists() {
        return Err("there is no /dev/loop-control: try `modprobe loop`".to_owned());
    }
    file_system("ext4")?;
    ran("/sbin/mkfs.ext4", &["-V"], "e2fsprogs").map(|_| "with ext4 on them".to_owned())
}

/// A program that must run and succeed, and the Debian package that it is in.
fn ran(program: &str, arguments: &[&str], package: &str) -> Looked {
    match run(program, arguments, "") {
        Ok(_) => Ok(format!("{program} works")),
        Err(fault) => {
            let why = fault.full_text();
            Err(format!("{why}: Debian has it in {package}"))
        }
    }
}

/// Makes a device of this kind in a network of its own, which is gone with it.
fn device(kind: &str, more: &[&str]) -> Looked {
    let first = ["--net", "ip", "link", "add", "dkdoctor", "type", kind];
    let arguments: Vec<&str> = first.iter().chain(more).copied().collect();
    match run("unshare", &arguments, "") {
        Ok(_) => Ok("a device was made".to_owned()),
        Err(fault @ AgentFault::Spawn { .. }) => {
            let why = fault.full_text();
            Err(format!("{why}: Debian has it in util-linux"))
        }
        Err(fault) => {
            let why = fault.full_text();
            Err(format!("{why}: try `modprobe {kind}`"))
        }
    }
}

fn growing() -> Looked {
    if grow::works_mounted() {
        return Ok("yes".to_owned());
    }
    Err(
        "without CAP_SYS_RESOURCE they grow when their vnodes start: give it to the agent"
            .to_owned(),
    )
}

fn quick_moves() -> Looked {
    if favour::is_favoured() {
        return Ok("favordynmods is set".to_owned());
    }
    Err(
        "without favordynmods starting a vnode and exec wait some milliseconds more: an agent sets it when it starts, on Linux 6.0 or newer with a hierarchy of version 2"
            .to_owned(),
    )
}

fn truths() -> Looked {
    let files = lxcfs::files().map_err(|fault| fault.full_text())?;
    if files.is_empty() {
        return Err(
            "it does not run: vnodes see the worker's memory and processors; start the service lxcfs"
                .to_owned(),
        );
    }
    if !lxcfs::shows_own_cores() {
        return Err(
            "vnodes see all of the worker's processors: start lxcfs with `--enable-cfs` (docs/limits.md says how)"
                .to_owned(),
        );
    }
    Ok(format!("{} files of /proc and /sys", files.len()))
}

fn moves() -> Looked {
    criu::ability().map(|ability| format!("CRIU {}", ability.version))
}

fn ahead() -> Looked {
    if criu::ability()?.tracks_memory {
        return Ok("the kernel tracks what is written to".to_owned());
    }
    Err(
        "the kernel was built without CONFIG_MEM_SOFT_DIRTY: vnodes stand still while all their memory is copied"
            .to_owned(),
    )
}
