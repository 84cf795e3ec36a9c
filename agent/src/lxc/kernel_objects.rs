//! Sets what a container may hold of the kernel's own objects, from within its user namespace. For the single-threaded
//! helper only.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use crate::fault::AgentFault;

/// Writes each limit below `/proc/sys/user`, as the user namespace of process `init` sees it.
pub(super) fn limit(init: i32, limits: &[(String, u32)]) -> Result<(), AgentFault> {
    limit_from_beside(init, limits).map_err(named(init))
}

/// The same from within: the caller does not come back from there.
pub(super) fn limit_from_within(init: i32, limits: &[(String, u32)]) -> Result<(), AgentFault> {
    namespace_of(init)
        .and_then(|namespace| write_within(&namespace, limits))
        .map_err(named(init))
}

fn named(init: i32) -> impl FnOnce(io::Error) -> AgentFault {
    AgentFault::file("limit kernel objects of", format!("/proc/{init}"))
}

fn namespace_of(init: i32) -> io::Result<File> {
    File::open(format!("/proc/{init}/ns/user"))
}

fn limit_from_beside(init: i32, limits: &[(String, u32)]) -> io::Result<()> {
    let namespace = namespace_of(init)?;
    // SAFETY: the helper has one thread, so the child may call anything.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = write_within(&namespace, limits).map_or_else(errno, |()| 0);
            // SAFETY: ends the child without running the parent's destructors.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            let status = waitpid(child, None)?;
            match status {
                WaitStatus::Exited(_, 0) => Ok(()),
                WaitStatus::Exited(_, errno) => Err(io::Error::from_raw_os_error(errno)),
                WaitStatus::Signaled(..)
                | WaitStatus::Stopped(..)
                | WaitStatus::PtraceEvent(..)
                | WaitStatus::PtraceSyscall(_)
                | WaitStatus::Continued(_)
                | WaitStatus::StillAlive => Err(io::Error::other(format!("{status:?}"))),
            }
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where a closure over an error does"
)]
fn errno(error: io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

fn write_within(namespace: &File, limits: &[(String, u32)]) -> io::Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWUSER)?;
    for (file, most) in limits {
        match fs::write(Path::new("/proc/sys/user").join(file), most.to_string()) {
            // A kernel that does not know the object has none of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            written => written?,
        }
    }
    Ok(())
}
