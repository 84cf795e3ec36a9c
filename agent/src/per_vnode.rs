//! Kernel objects of which each user of the machine may have so many: all vnodes are root's on the worker, so that one
//! could take what all others need. Each gets a share of its own, and the whole is made large enough.

use std::fs;
use std::path::Path;

use crate::fault::AgentFault;

/// What is limited, in a vnode and on the whole worker; the latter is never lowered.
struct Share {
    /// Below `/proc/sys/user`, by user namespace.
    in_vnode: &'static str,
    each: u32,
    /// Below `/proc/sys`.
    on_worker: &'static str,
    all: u32,
}

const SHARES: [Share; 2] = [
    Share {
        in_vnode: "max_inotify_instances",
        each: 512,
        on_worker: "fs/inotify/max_user_instances",
        all: 1 << 20,
    },
    Share {
        in_vnode: "max_inotify_watches",
        each: 131_072,
        on_worker: "fs/inotify/max_user_watches",
        all: 1 << 26,
    },
];

/// Namespaces that one vnode may make of each kind, and what else is counted so.
const IN_VNODE: [(&str, u32); 10] = [
    ("max_cgroup_namespaces", 64),
    ("max_fanotify_groups", 64),
    ("max_fanotify_marks", 8_192),
    ("max_ipc_namespaces", 64),
    ("max_mnt_namespaces", 256),
    ("max_net_namespaces", 64),
    ("max_pid_namespaces", 64),
    ("max_time_namespaces", 64),
    // In one of its own it would have the capabilities that were dropped.
    ("max_user_namespaces", 0),
    ("max_uts_namespaces", 64),
];

/// Terminals of all vnodes: each has 256 at most.
const PTY_MAX: (&str, u32) = ("kernel/pty/max", 1 << 20);

/// What is written below `/proc/sys/user` in a vnode's user namespace.
pub(crate) fn limits() -> Vec<(String, u32)> {
    let shares = SHARES.iter().map(|share| (share.in_vnode, share.each));
    let all = shares.chain(IN_VNODE);
    all.map(|(file, most)| (file.to_owned(), most)).collect()
}

/// Makes room for the shares of all vnodes on this worker.
///
/// # Errors
/// A setting cannot be read or written.
pub(crate) fn make_room() -> Result<(), AgentFault> {
    let shares = SHARES.iter().map(|share| (share.on_worker, share.all));
    for (file, wanted) in shares.chain([PTY_MAX]) {
        raise(&Path::new("/proc/sys").join(file), wanted)?;
    }
    Ok(())
}

fn raise(path: &Path, wanted: u32) -> Result<(), AgentFault> {
    let text = match fs::read_to_string(path) {
        // A kernel without it has nothing to share.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        text => text.map_err(AgentFault::file("read", path))?,
    };
    if text
        .trim()
        .parse::<u64>()
        .is_ok_and(|has| has >= u64::from(wanted))
    {
        return Ok(());
    }
    fs::write(path, wanted.to_string()).map_err(AgentFault::file("raise", path))
}
