//! One directory that is held open, and the only way to anything beneath it. Whoever is root beneath may rename directories
//! and put links anywhere while this looks: what counts is what the kernel resolved in one call, and from then on the
//! descriptor, never the path a second time.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::FileWhy;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, openat2};
use rustix::io::Errno;

use super::unfit::{Unfit, of};

/// Links are followed as the vnode follows them, from its root and never out of it; those of `/proc`, which lead anywhere, are not.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
/// One step down, on the same file system, to the thing of that name itself.
const STEP: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
/// The kernel asks to be asked again when something on the way was renamed meanwhile.
const TRIES: usize = 128;

/// File systems whose files are the kernel speaking: they have no end, or act when they are read.
const OF_THE_KERNEL: [u32; 12] = [
    0x0000_9fa0, // proc
    0x6265_6572, // sysfs
    0x6367_7270, // cgroup2
    0x0027_e0eb, // cgroup
    0x0000_1cd1, // devpts
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0x1980_0202, // mqueue
    0x6165_676c, // pstore
    0x4249_4e4d, // binfmt_misc
];

/// The directory.
pub(super) struct Held {
    root: OwnedFd,
}

impl Held {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root }
    }

    fn resolve(&self, path: &FilePath, flags: OFlags) -> Result<OwnedFd, Unfit> {
        let opened = persistently(|| {
            let flags = flags | OFlags::CLOEXEC;
            openat2(&self.root, path.below_root(), flags, Mode::empty(), INSIDE)
        });
        opened.map_err(of(&path.to_string()))
    }

    /// Whatever is there, links followed, and not opened: nothing comes to pass by it.
    pub(super) fn find(&self, path: &FilePath) -> Result<(OwnedFd, Stat), Unfit> {
        let found = self.resolve(path, OFlags::PATH)?;
        let stat = fstat(&found).map_err(of(&path.to_string()))?;
        Ok((found, stat))
    }

    /// A directory, links followed.
    pub(super) fn directory(&self, path: &FilePath) -> Result<OwnedFd, Unfit> {
        self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK)
    }

    /// The directory that something is in, and its name there. That name is never followed.
    pub(super) fn parent<'p>(&self, path: &'p FilePath) -> Result<(OwnedFd, &'p str), Unfit> {
        let root = || Unfit::new(FileWhy::NotAllowed, "/: the root itself stays as it is");
        let (above, _) = path.split().ok_or_else(root)?;
        Ok((self.directory(&above)?, path.name()))
    }

    /// A regular file, links followed, to be read.
    pub(super) fn file(&self, path: &FilePath) -> Result<(OwnedFd, Stat), Unfit> {
        // What is no file must not even be opened: a device may act, and a pipe wakes who waits at its other end.
        let (_, stat) = self.find(path)?;
        check_file(path, &stat)?;
        let file = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = fstat(&file).map_err(of(&path.to_string()))?;
        check_file(path, &stat)?;
        let system = fstatfs(&file).map_err(of(&path.to_string()))?;
        let kind = u32::try_from(system.f_type).unwrap_or(u32::MAX);
        if OF_THE_KERNEL.contains(&kind) {
            let cause =
                format!("{path}: it is the kernel's own word and no file: read it in a terminal");
            return Err(Unfit::new(FileWhy::NotAFile, cause));
        }
        Ok((file, stat))
    }
}

/// Opens what is called `name` in a directory, itself, on the same file system.
pub(super) fn step(
    dir: impl AsFd,
    name: impl AsRef<OsStr>,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let name = name.as_ref();
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    persistently(|| openat2(dir.as_fd(), name, flags, mode, STEP))
}

fn persistently(mut open: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    let mut last = Errno::AGAIN;
    for _ in 0..TRIES {
        match open() {
            Err(errno @ (Errno::AGAIN | Errno::INTR)) => last = errno,
            other => return other,
        }
    }
    Err(last)
}

fn check_file(path: &FilePath, stat: &Stat) -> Result<(), Unfit> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(Unfit::new(
            FileWhy::IsADirectory,
            format!("{path}: it is a directory: name a file, or fetch it as a zip"),
        )),
        FileType::Symlink
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Fifo
        | FileType::Socket
        | FileType::Unknown => Err(Unfit::new(
            FileWhy::NotAFile,
            format!(
                "{path}: it is a device, a pipe or a socket: only files are read and written here"
            ),
        )),
    }
}
