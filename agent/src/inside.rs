//! What is at a place of a vnode's root file system. Its owner may put links anywhere: none is followed.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Directory,
    File,
    /// A link, there or on the way, or something else that nothing can be mounted over.
    Other,
}

/// Looks at `below`, relative to the root.
pub(crate) fn find(root: &Path, below: &str) -> Found {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_PATH;
    let step = |dir: OwnedFd, name: &str| openat(dir.as_fd(), name, flags, Mode::empty());
    let (above, name) = below.rsplit_once('/').unwrap_or((".", below));
    let root = nix::fcntl::open(root, flags, Mode::empty());
    let meta = root
        .and_then(|root| above.split('/').try_fold(root, step))
        .and_then(|dir| fstatat(dir.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW));
    match meta.map(|meta| meta.st_mode & SFlag::S_IFMT.bits()) {
        Ok(kind) if kind == SFlag::S_IFDIR.bits() => Found::Directory,
        Ok(kind) if kind == SFlag::S_IFREG.bits() => Found::File,
        Err(nix::errno::Errno::ENOENT) => Found::Nothing,
        Ok(_) | Err(_) => Found::Other,
    }
}
