//! The writable layer of a vnode, laid upon its image: overlayfs' own marks become what they mean, ids are shifted back,
//! and what the platform put in is left out. The vnode must stand still meanwhile; its files are a stranger's all the
//! same, so that each is opened from its directory and no link is followed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fgetxattr, fstat, openat, statat};
use rustix::io::Errno;

use super::inside::Inside;
use super::tree::{Meta, Node, NodeKind, Tree};
use super::{Unfit, shown};

/// Ids of one vnode.
const IDS: u32 = 65_536;

/// Files that belong to the vnode and not to what is made of it: its keys and its name for itself.
const LEFT_OUT: [&[u8]; 4] = [
    b"etc/machine-id",
    b"etc/hostname",
    b"etc/hosts",
    b"etc/resolv.conf",
];
const HOST_KEYS: &[u8] = b"etc/ssh/ssh_host_";

/// A layer that is being laid.
struct Laying<'t> {
    tree: &'t mut Tree,
    uid_base: u32,
    /// The files below as they were: directories that were renamed still name them.
    below: BTreeMap<Inside, Node>,
    /// Numbers of files that have several names, by their identity.
    numbers: BTreeMap<(u64, u64), Inside>,
}

impl Tree {
    /// Lays the writable layer in `upper` upon the tree; its ids begin at `uid_base`.
    pub(super) fn lay_upper(&mut self, upper: &Path, uid_base: u32) -> Result<(), Unfit> {
        let below = self.snapshot();
        self.begin_layer();
        let dir = File::open(upper).map_err(Unfit::machine("open the writable layer"))?;
        let own = fstat(&dir).map_err(machine("look at the writable layer"))?;
        let mut laying = Laying {
            tree: self,
            uid_base,
            below,
            numbers: BTreeMap::new(),
        };
        let root = laying.meta(&own)?;
        laying.tree.set_root(root);
        laying.dir(&dir.into(), None)
    }
}

impl Laying<'_> {
    fn dir(&mut self, dir: &OwnedFd, at: Option<&Inside>) -> Result<(), Unfit> {
        for name in names(dir)? {
            let path = Inside::parse(Inside::join(at, &name).as_bytes())?;
            let path = path.ok_or_else(|| Unfit::content("a file has no name"))?;
            self.entry(dir, &name, &path)?;
        }
        Ok(())
    }

    fn entry(&mut self, dir: &OwnedFd, name: &[u8], path: &Inside) -> Result<(), Unfit> {
        self.tree.check_stop()?;
        let stat =
            statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(machine("look at a file"))?;
        let meta = self.meta(&stat)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.subdir(dir, name, path, meta),
            FileType::RegularFile => self.file(dir, name, path, meta, &stat),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new());
                let target = target
                    .map_err(machine("read a symbolic link"))?
                    .into_bytes();
                self.tree.put(path.clone(), meta, NodeKind::Symlink(target))
            }
            // A file that was deleted.
            FileType::CharacterDevice if stat.st_rdev == 0 => {
                self.tree.remove(path, usize::MAX);
                Ok(())
            }
            FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Fifo
            | FileType::Socket
            | FileType::Unknown => {
                self.tree.remove(path, usize::MAX);
                Ok(())
            }
        }
    }

    fn subdir(
        &mut self,
        dir: &OwnedFd,
        name: &[u8],
        path: &Inside,
        meta: Meta,
    ) -> Result<(), Unfit> {
        let within = open(dir, name, OFlags::DIRECTORY)?;
        let redirect = mark(&within, c"trusted.overlay.redirect")?;
        if redirect.is_some() || mark(&within, c"trusted.overlay.opaque")?.is_some() {
            self.tree.remove(path, usize::MAX);
        }
        if let Some(origin) = redirect {
            self.copy_from_below(&origin, path)?;
        }
        self.tree.put(path.clone(), meta, NodeKind::Dir)?;
        self.dir(&within, Some(path))
    }

    /// A directory that was renamed: what it had below it had under another name.
    fn copy_from_below(&mut self, origin: &[u8], path: &Inside) -> Result<(), Unfit> {
        let origin = match origin.strip_prefix(b"/") {
            Some(absolute) => Inside::parse(absolute)?,
            None => Some(Inside::join(path.parent().as_ref(), origin)),
        };
        let origin = origin.ok_or_else(|| Unfit::content("a renamed directory was the root"))?;
        let prefix = [origin.as_bytes(), b"/"].concat();
        let inner = self.below.iter();
        let inner = inner.filter(|(path, _)| path.as_bytes().starts_with(&prefix));
        for (inner, node) in inner {
            let rest = &inner.as_bytes()[prefix.len()..];
            let place = Inside::join(Some(path), rest);
            self.tree.put(place, node.meta.clone(), node.kind.clone())?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        dir: &OwnedFd,
        name: &[u8],
        path: &Inside,
        meta: Meta,
        stat: &Stat,
    ) -> Result<(), Unfit> {
        if LEFT_OUT.contains(&path.as_bytes()) || path.as_bytes().starts_with(HOST_KEYS) {
            return Ok(());
        }
        let identity = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.numbers.get(&identity) {
            return self.tree.link(&first.clone(), path.clone());
        }
        let file = open(dir, name, OFlags::NONBLOCK)?;
        let opened = fstat(&file).map_err(machine("look at a file"))?;
        if (opened.st_dev, opened.st_ino) != identity {
            return Err(Unfit::content(format!(
                "{} changed meanwhile",
                path.shown()
            )));
        }
        if mark(&file, c"trusted.overlay.metacopy")?.is_some() {
            return Err(Unfit::content(format!(
                "{} is here in part only",
                path.shown()
            )));
        }
        let bytes = u64::try_from(opened.st_size).unwrap_or(0);
        let kind = self.tree.file(&mut File::from(file), bytes)?;
        if stat.st_nlink > 1 {
            self.numbers.insert(identity, path.clone());
        }
        self.tree.put(path.clone(), meta, kind)
    }

    /// What the vnode itself sees.
    fn meta(&self, stat: &Stat) -> Result<Meta, Unfit> {
        let own = |id: u32| {
            let within = id.checked_sub(self.uid_base).filter(|id| *id < IDS);
            // What the platform made is this machine's root's.
            within.or((id == 0).then_some(0))
        };
        let ids = own(stat.st_uid).zip(own(stat.st_gid));
        let (uid, gid) =
            ids.ok_or_else(|| Unfit::content("a file belongs to nobody in the vnode"))?;
        Ok(Meta {
            mode: stat.st_mode & 0o7777,
            uid,
            gid,
            mtime: u64::try_from(stat.st_mtime).unwrap_or(0),
        })
    }
}

fn machine(act: &'static str) -> impl FnOnce(Errno) -> Unfit {
    move |errno| Unfit::Machine {
        act,
        source: errno.into(),
    }
}

/// Names in a directory, in order.
fn names(dir: &OwnedFd) -> Result<Vec<Vec<u8>>, Unfit> {
    let entries = Dir::read_from(dir).map_err(machine("list a directory"))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(machine("list a directory"))?
            .file_name()
            .to_bytes()
            .to_vec();
        if !matches!(&name[..], b"." | b"..") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn open(dir: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Unfit> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty()).map_err(|errno| {
        let text = format!("open {}", shown(name));
        Unfit::content(format!("{text}: {errno}"))
    })
}

/// What overlayfs noted on a file; none if nothing.
fn mark(file: &OwnedFd, name: &std::ffi::CStr) -> Result<Option<Vec<u8>>, Unfit> {
    let mut value = vec![0_u8; 4_096];
    match fgetxattr(file, name, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(machine("read a mark of overlayfs")(errno)),
    }
}
