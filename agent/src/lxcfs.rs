//! lxcfs, where it runs: files of /proc and /sys that tell what the vnode has, not what the worker has.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::AgentFault;
use crate::rootfs::is_mounted;

/// Where Debian's service mounts it.
const ROOT: &str = "/var/lib/lxcfs";

/// Its files, by the names that they have below `/`.
const FILES: [&str; 8] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/loadavg",
    "proc/meminfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "sys/devices/system/cpu/online",
];

/// Its files that are there, and where they belong in a vnode; none if it does not run.
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn files() -> Result<Vec<(PathBuf, &'static str)>, AgentFault> {
    let root = Path::new(ROOT);
    // A file system in user space that died is still mounted, and answers nothing.
    let answers = || root.join("proc/meminfo").metadata().is_ok();
    if !is_mounted(root)? || !answers() {
        return Ok(Vec::new());
    }
    let all = FILES.iter().map(|name| (root.join(name), *name));
    Ok(all.filter(|(path, _)| path.exists()).collect())
}

/// Looks its files up beside other work: for a second the kernel does not ask again, and each question takes lxcfs a while.
pub(crate) fn look_up_ahead() {
    std::thread::spawn(files);
}

/// Whether what runs shows vnodes as many cores as their quota of CPU is worth: it does only if it is told to.
pub(crate) fn shows_own_cores() -> bool {
    let Ok(processes) = fs::read_dir("/proc") else {
        return false;
    };
    let named = |path: &Path, file: &str| fs::read(path.join(file)).unwrap_or_default();
    let mut processes = processes.flatten().map(|entry| entry.path());
    processes.any(|path| {
        named(&path, "comm") == b"lxcfs\n"
            && named(&path, "cmdline")
                .split(|byte| *byte == 0)
                .any(|argument| argument == b"--enable-cfs")
    })
}
