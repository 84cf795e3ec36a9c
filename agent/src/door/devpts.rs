//! A vnode's own devpts. liblxc holds that of a container that it started, but not of one that came back from a
//! checkpoint: there it is found through the first process. The vnode's root may mount and link what it likes meanwhile:
//! no link is followed, and nothing but a devpts is taken.

use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, fstatfs};

use crate::fault::AgentFault;
use crate::lxc::Container;

/// DEVPTS_SUPER_MAGIC of linux/magic.h.
const DEVPTS: FsType = FsType(0x1cd1);

/// The devpts of a container that runs.
pub(super) fn of(container: &Container) -> Result<OwnedFd, AgentFault> {
    if let Some(devpts) = container.devpts() {
        return Ok(devpts);
    }
    let missing = || AgentFault::Lxc("the container has no devpts".to_owned());
    let init = container.init_pid().ok_or_else(missing)?;
    let devpts = within(init).map_err(std::io::Error::from)?;
    // The number may have been given to another process before its root was opened.
    let same = container.init_pid() == Some(init);
    devpts.filter(|_| same).ok_or_else(missing)
}

/// What the process has at /dev/pts, if that is a devpts.
fn within(process: i32) -> nix::Result<Option<OwnedFd>> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(
        format!("/proc/{process}/root").as_str(),
        flags,
        Mode::empty(),
    )?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let found = openat2(&root, "dev/pts", how)?;
    let kind = fstatfs(&found)?.filesystem_type();
    Ok((kind == DEVPTS).then_some(found))
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn what_is_no_devpts_is_not_taken() {
        let own = i32::try_from(std::process::id()).expect("a number");
        let found = within(own).expect("looked up");
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
        let mounted = mounts
            .lines()
            .any(|line| line.contains(" /dev/pts devpts "));
        assert_eq!(found.is_some(), mounted);
    }
}
