//! Makes files of an archive below a directory that is held open. Each path is resolved by the kernel from there, beneath
//! it and through no symbolic link (openat2); names are only ever made anew. So whatever an archive says, nothing outside
//! is opened, changed or even looked at.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, UtimensatFlags, fchmod, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, linkat, symlinkat};

use super::inside::Inside;
use super::read::{self, Item, Kind};
use super::{Limits, Unfit, source};

/// Unpacks a blob, compressed or not, below `root`, which must be there and empty.
///
/// # Errors
/// The archive is unfit; some of it may have been unpacked.
pub fn unpack(blob: impl Read + Send + 'static, root: &Path, limits: &Limits) -> Result<(), Unfit> {
    let root = File::open(root).map_err(Unfit::machine("open the image's root"))?;
    let mut unpacking = Unpacking {
        root: root.into(),
        dirs: BTreeMap::new(),
    };
    let plain = source::open(blob, limits)?;
    read::each(plain, limits, |item, content| unpacking.take(item, content))?;
    unpacking.finish()
}

struct Unpacking {
    root: OwnedFd,
    /// Directories' times: what is put into them changes those, so they are set last.
    dirs: BTreeMap<Inside, u64>,
}

impl Unpacking {
    fn take(&mut self, item: Item, content: &mut dyn Read) -> Result<(), Unfit> {
        let Some(path) = item.path.clone() else {
            return own(&self.root, &item);
        };
        let made = match &item.kind {
            Kind::Dir => self.dir(&path, &item),
            Kind::File { bytes } => self.file(&path, &item, *bytes, content),
            Kind::Symlink(target) => self.symlink(&path, &item, target),
            Kind::Hardlink(target) => self.hardlink(&path, target),
            Kind::LeftOut => Ok(()),
        };
        made.map_err(|unfit| explained(&path, unfit))
    }

    fn dir(&mut self, path: &Inside, item: &Item) -> Result<(), Unfit> {
        let parent = self.parent_of(path)?;
        mkdirat(&parent, path.name(), Mode::S_IRWXU).map_err(Unfit::system("make a directory"))?;
        let dir = open(&parent, path.name(), OFlag::O_DIRECTORY)?;
        own(&dir, item)?;
        self.dirs.insert(path.clone(), item.mtime);
        Ok(())
    }

    fn file(
        &self,
        path: &Inside,
        item: &Item,
        bytes: u64,
        content: &mut dyn Read,
    ) -> Result<(), Unfit> {
        let parent = self.parent_of(path)?;
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY;
        let mut file = File::from(open(&parent, path.name(), flags)?);
        copy_whole(content, &mut file, bytes)?;
        own(&file, item)?;
        let time = time(item.mtime);
        futimens(&file, &time, &time).map_err(Unfit::system("set the time of a file"))
    }

    fn symlink(&self, path: &Inside, item: &Item, target: &[u8]) -> Result<(), Unfit> {
        let parent = self.parent_of(path)?;
        symlinkat(target, &parent, path.name()).map_err(Unfit::system("make a symbolic link"))?;
        let (uid, gid) = (Uid::from_raw(item.uid), Gid::from_raw(item.gid));
        let itself = AtFlags::AT_SYMLINK_NOFOLLOW;
        fchownat(&parent, path.name(), Some(uid), Some(gid), itself)
            .map_err(Unfit::system("give a symbolic link to its owner"))?;
        set_time(&parent, path.name(), item.mtime)
    }

    fn hardlink(&self, path: &Inside, target: &Inside) -> Result<(), Unfit> {
        let (from, to) = (self.parent_of(target)?, self.parent_of(path)?);
        linkat(&from, target.name(), &to, path.name(), AtFlags::empty())
            .map_err(Unfit::system("make a hard link"))
    }

    /// The directory that `path` is in. Those that no entry has made yet are root's.
    fn parent_of(&self, path: &Inside) -> Result<OwnedFd, Unfit> {
        match path.parent() {
            None => self
                .root
                .try_clone()
                .map_err(Unfit::machine("hold the root")),
            Some(parent) => self.dir_at(&parent),
        }
    }

    fn dir_at(&self, path: &Inside) -> Result<OwnedFd, Unfit> {
        match open(&self.root, path.as_bytes(), OFlag::O_DIRECTORY) {
            Err(Unfit::Machine { source, .. })
                if source.raw_os_error() == Some(Errno::ENOENT as i32) =>
            {
                let parent = self.parent_of(path)?;
                mkdirat(&parent, path.name(), Mode::from_bits_truncate(0o755))
                    .map_err(Unfit::system("make a directory"))?;
                open(&parent, path.name(), OFlag::O_DIRECTORY)
            }
            opened => opened,
        }
    }

    fn finish(self) -> Result<(), Unfit> {
        for (path, mtime) in &self.dirs {
            set_time(&self.parent_of(path)?, path.name(), *mtime)?;
        }
        Ok(())
    }
}

/// Opens beneath `dir`, through nothing but directories.
fn open(dir: &OwnedFd, path: &[u8], flags: OFlag) -> Result<OwnedFd, Unfit> {
    let beneath = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(beneath);
    let how = if flags.contains(OFlag::O_CREAT) {
        how.mode(Mode::S_IRUSR | Mode::S_IWUSR)
    } else {
        how
    };
    openat2(dir, path, how).map_err(Unfit::system("open"))
}

/// Owner first: changing it would take the setuid bit away again.
fn own(file: &impl std::os::fd::AsFd, item: &Item) -> Result<(), Unfit> {
    let (uid, gid) = (Uid::from_raw(item.uid), Gid::from_raw(item.gid));
    fchown(file, Some(uid), Some(gid)).map_err(Unfit::system("give a file to its owner"))?;
    fchmod(file, Mode::from_bits_truncate(item.mode)).map_err(Unfit::system("set a file's mode"))
}

fn time(seconds: u64) -> TimeSpec {
    TimeSpec::new(i64::try_from(seconds).unwrap_or(i64::MAX), 0)
}

fn set_time(dir: &OwnedFd, name: &[u8], mtime: u64) -> Result<(), Unfit> {
    let time = time(mtime);
    utimensat(dir, name, &time, &time, UtimensatFlags::NoFollowSymlink)
        .map_err(Unfit::system("set the time of a file"))
}

/// Copies exactly so many bytes.
pub(super) fn copy_whole(
    content: &mut dyn Read,
    into: &mut impl std::io::Write,
    bytes: u64,
) -> Result<(), Unfit> {
    let mut chunk = vec![0; usize::try_from(bytes.clamp(1, 256 << 10)).unwrap_or(1)];
    let mut left = bytes;
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        let length = content
            .read(&mut chunk[..room])
            .map_err(|error| Unfit::damaged(&error))?;
        if length == 0 {
            return Err(Unfit::content("it ends within a file"));
        }
        into.write_all(&chunk[..length])
            .map_err(Unfit::machine("write a file"))?;
        left -= length as u64;
    }
    Ok(())
}

/// What the kernel's refusals say of an archive; all others are this machine's own.
const CAUSES: [(Errno, &str); 8] = [
    (Errno::EEXIST, "comes twice"),
    (Errno::ELOOP, "goes through a symbolic link"),
    (Errno::EXDEV, "goes through a symbolic link"),
    (Errno::ENOTDIR, "goes through what is no directory"),
    (Errno::ENOENT, "is another name of what is not there"),
    (Errno::EPERM, "is a hard link to a directory"),
    (Errno::EISDIR, "is a hard link to a directory"),
    (Errno::EMLINK, "has too many names"),
];

/// What the kernel refused because of what the archive says is the archive's fault.
fn explained(path: &Inside, unfit: Unfit) -> Unfit {
    let Unfit::Machine { act, source } = unfit else {
        return unfit;
    };
    let shown = path.shown();
    let errno = source.raw_os_error().map(Errno::from_raw);
    let cause = CAUSES.iter().find(|(of, _)| Some(*of) == errno);
    let Some((_, cause)) = cause else {
        return Unfit::Machine { act, source };
    };
    Unfit::content(format!("{shown} {cause}"))
}
