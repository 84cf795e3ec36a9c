//! Network namespaces that live on without a process in them: a file in the state directory holds each.
//!
//! The file is an ordinary one until the namespace is mounted on it. So what a crash or a reboot left is told apart
//! from a namespace, and made anew.

use std::fs::File;
use std::path::Path;
use std::{fs, io};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{FsType, statfs};

use crate::fault::AgentFault;

/// Of the file system that namespaces are on; `linux/magic.h`.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// Whether a namespace is held there.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    statfs(path).is_ok_and(|of| of.filesystem_type() == FsType(NSFS_MAGIC))
}

/// Makes a namespace and holds it, unless it is there already.
///
/// # Errors
/// The kernel refuses, or the file cannot be made.
pub fn hold(path: &Path) -> Result<(), AgentFault> {
    if is_held(path) {
        return Ok(());
    }
    File::create(path).map_err(AgentFault::file("make", path))?;
    in_thread(|| {
        let mounted = unshare(CloneFlags::CLONE_NEWNET).and_then(|()| {
            let own = Some("/proc/thread-self/ns/net");
            mount(own, path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        });
        mounted.map_err(|errno| AgentFault::file("hold a namespace at", path)(errno.into()))
    })
}

/// Lets a namespace go. It ends with the last socket that is left in it.
///
/// # Errors
/// It cannot be unmounted, or the file cannot be removed.
pub fn release(path: &Path) -> Result<(), AgentFault> {
    while is_held(path) {
        umount2(path, MntFlags::MNT_DETACH)
            .map_err(|errno| AgentFault::file("unmount", path)(errno.into()))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(AgentFault::file("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Does something in a namespace: on a thread of its own, which ends with it. Programs that it starts are in there too.
///
/// # Errors
/// The namespace is not there, or what is done fails.
pub fn within<T: Send>(
    path: &Path,
    act: impl FnOnce() -> Result<T, AgentFault> + Send,
) -> Result<T, AgentFault> {
    in_thread(|| {
        let space = File::open(path).map_err(AgentFault::file("open", path))?;
        setns(space, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| AgentFault::file("enter", path)(errno.into()))?;
        act()
    })
}

/// A thread's namespace is its own, and nobody else comes to run on this one.
fn in_thread<T: Send>(act: impl FnOnce() -> Result<T, AgentFault> + Send) -> Result<T, AgentFault> {
    std::thread::scope(|scope| match scope.spawn(act).join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Sets a kernel parameter of the network namespace of the calling thread, if this kernel has it.
///
/// # Errors
/// It is there and cannot be written.
pub fn set_parameter(name: &str, value: &str) -> Result<(), AgentFault> {
    let path = Path::new("/proc/sys/net").join(name);
    match fs::read_to_string(&path) {
        Err(_) => Ok(()),
        Ok(now) if now.trim() == value => Ok(()),
        Ok(_) => fs::write(&path, value).map_err(AgentFault::file("write", path)),
    }
}

/// What tells a namespace from any other that is or was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// The identity of a namespace that is held.
///
/// # Errors
/// It is not there.
pub fn identity(path: &Path) -> Result<Identity, AgentFault> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(path).map_err(AgentFault::file("look at", path))?;
    Ok(Identity {
        device: found.dev(),
        inode: found.ino(),
    })
}
