//! Id-mapped mounts: an image's files, owned by root on the host, seen as owned by a user's range of ids.
//! For the single-threaded helper only.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pause};
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use crate::fault::AgentFault;

const MOUNT_ATTR_RDONLY: u64 = 1;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Mounts `source` read-only at `target`, its ids shifted by `uid_base`.
pub(super) fn mount_idmapped(
    source: &Path,
    target: &Path,
    uid_base: u32,
) -> Result<(), AgentFault> {
    let named = |act| AgentFault::file(act, target);
    let user_namespace = user_namespace(uid_base).map_err(named("make a user namespace for"))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, source, clone)
        .map_err(|errno| AgentFault::file("clone the mount of", source)(errno.into()))?;
    set_idmap(&tree, &user_namespace).map_err(named("shift ids of"))?;
    let whole = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&tree, "", CWD, target, whole).map_err(|errno| named("mount")(errno.into()))
}

/// A user namespace that maps 65,536 ids from `uid_base` on. Its only process is gone when this returns; the
/// descriptor keeps it.
fn user_namespace(uid_base: u32) -> io::Result<OwnedFd> {
    // SAFETY: the helper has one thread, so the child may call anything.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let entered = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER);
            // Tells the parent by stopping itself; without a namespace it ends at once, with the reason as its code.
            if entered.is_ok() && kill(Pid::this(), Signal::SIGSTOP).is_ok() {
                pause();
            }
            let code = entered.err().map_or(0, |errno| errno as i32);
            // SAFETY: ends the child without running the parent's destructors.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            wait_until_stopped(child)?;
            let opened = open_namespace(child, uid_base);
            kill(child, Signal::SIGKILL)?;
            waitpid(child, None)?;
            opened
        }
    }
}

/// Waits until the child is in its namespace; if it is not, its exit code is the reason.
fn wait_until_stopped(child: Pid) -> io::Result<()> {
    use nix::sys::wait::{WaitPidFlag, WaitStatus};
    let status = waitpid(child, Some(WaitPidFlag::WUNTRACED))?;
    if let WaitStatus::Exited(_, errno) = status {
        return Err(io::Error::from_raw_os_error(errno));
    }
    Ok(())
}

fn open_namespace(child: Pid, uid_base: u32) -> io::Result<OwnedFd> {
    let map = format!("0 {uid_base} 65536\n");
    fs::write(format!("/proc/{child}/uid_map"), &map)?;
    fs::write(format!("/proc/{child}/gid_map"), &map)?;
    Ok(fs::File::open(format!("/proc/{child}/ns/user"))?.into())
}

fn set_idmap(tree: &OwnedFd, user_namespace: &OwnedFd) -> io::Result<()> {
    let attributes = MountAttr {
        attr_set: MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(user_namespace.as_raw_fd()).map_err(io::Error::other)?,
    };
    // SAFETY: the structure is the kernel's first version of it, and outlives the call.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    })
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
