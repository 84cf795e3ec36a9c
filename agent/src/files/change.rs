//! Making directories, moving and deleting.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileSaid, FileWhy};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid, fchown, fstat, mkdirat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::frame::Frames;
use super::held::{Held, step};
use super::look::names;
use super::unfit::{Unfit, of};

/// Whoever waits hears that it goes on after so many.
const TOLD_EVERY: u64 = 1_000;
/// One act deletes so many files at most.
const DELETED_MAX: u64 = 1_000_000;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

pub(super) fn make_directory(
    held: &Held,
    path: &FilePath,
    may_exist: bool,
) -> Result<FileSaid, Unfit> {
    let what = path.to_string();
    if path.is_root() && may_exist {
        return Ok(FileSaid::Done { count: 0 });
    }
    let (dir, name) = held.parent(path)?;
    match mkdirat(&dir, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => {}
        // A link to a directory is as good.
        Err(Errno::EXIST) if may_exist => {
            return held.directory(path).map(|_| FileSaid::Done { count: 0 });
        }
        Err(errno) => return Err(Unfit::of(&what, errno)),
    }
    // Whoever put something else there meanwhile has what they made.
    let made = step(&dir, name, DIRECTORY, Mode::empty()).map_err(of(&what))?;
    belong_to_owner_of(&dir, &made).map_err(of(&what))?;
    Ok(FileSaid::Done { count: 1 })
}

/// What is made in a directory belongs to its owner.
pub(super) fn belong_to_owner_of(dir: &OwnedFd, made: impl AsFd) -> Result<(), Errno> {
    let stat = fstat(dir)?;
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    match fchown(made, Some(owner), Some(group)) {
        // Whoever owns it has no id in the vnode: then it is its root's.
        Err(Errno::INVAL | Errno::PERM | Errno::OVERFLOW) => Ok(()),
        other => other,
    }
}

pub(super) fn rename(
    held: &Held,
    from: &FilePath,
    to: &FilePath,
    replace: bool,
) -> Result<FileSaid, Unfit> {
    let what = format!("{from} to {to}");
    let ((old_dir, old), (new_dir, new)) = (held.parent(from)?, held.parent(to)?);
    let renamed = if replace {
        renameat(&old_dir, old, &new_dir, new)
    } else {
        let flags = RenameFlags::NOREPLACE;
        match renameat_with(&old_dir, old, &new_dir, new, flags) {
            // Some shared file systems know no such flag.
            Err(Errno::INVAL) if statat(&new_dir, new, AtFlags::SYMLINK_NOFOLLOW).is_err() => {
                renameat(&old_dir, old, &new_dir, new)
            }
            other => other,
        }
    };
    match renamed {
        Ok(()) => Ok(FileSaid::Done { count: 1 }),
        Err(Errno::INVAL) => Err(Unfit::new(
            FileWhy::NotAllowed,
            format!("{what}: a directory cannot be moved into itself"),
        )),
        Err(errno) => Err(Unfit::of(&what, errno)),
    }
}

pub(super) fn delete<W: Write>(
    held: &Held,
    path: &FilePath,
    all: bool,
    frames: &mut Frames<'_, W>,
) -> Result<FileSaid, Unfit> {
    let what = path.to_string();
    let (dir, name) = held.parent(path)?;
    let stat = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(of(&what))?;
    let mut deleting = Deleting { count: 0, frames };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        unlinkat(&dir, name, AtFlags::empty()).map_err(of(&what))?;
        return Ok(FileSaid::Done { count: 1 });
    }
    match unlinkat(&dir, name, AtFlags::REMOVEDIR) {
        Ok(()) => return Ok(FileSaid::Done { count: 1 }),
        Err(Errno::NOTEMPTY | Errno::EXIST) if !all => {
            let cause = format!("{what}: the directory is not empty: say that all in it goes, too");
            return Err(Unfit::new(FileWhy::Exists, cause));
        }
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(errno) => return Err(Unfit::of(&what, errno)),
    }
    deleting.directory(&dir, name.as_bytes(), path, 0)?;
    Ok(FileSaid::Done {
        count: deleting.count,
    })
}

struct Deleting<'f, 'w, W: Write> {
    count: u64,
    frames: &'f mut Frames<'w, W>,
}

impl<W: Write> Deleting<'_, '_, W> {
    /// One directory with all in it. What is mounted in it stays, and so does it then.
    fn directory(
        &mut self,
        above: &OwnedFd,
        name: &[u8],
        path: &FilePath,
        depth: usize,
    ) -> Result<(), Unfit> {
        let what = path.to_string();
        if depth > FilePath::DEPTH_MAX {
            let cause = format!("{what}: it is nested too deeply: delete it in a terminal");
            return Err(Unfit::new(FileWhy::TooMany, cause));
        }
        let own = OsStr::from_bytes(name);
        let dir = step(above, own, DIRECTORY, Mode::empty()).map_err(of(&what))?;
        for name in names(&dir).map_err(of(&what))? {
            match unlinkat(&dir, &name[..], AtFlags::empty()) {
                Ok(()) => self.counted(&what)?,
                // Gone, whoever it was.
                Err(Errno::NOENT) => {}
                Err(Errno::ISDIR | Errno::PERM) => self.directory(&dir, &name, path, depth + 1)?,
                Err(errno) => return Err(Unfit::of(&what, errno)),
            }
        }
        match unlinkat(above, own, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => self.counted(&what),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Err(Unfit::new(
                FileWhy::Changed,
                format!("{what}: somebody puts files into it: what was there is gone; try again"),
            )),
            Err(errno) => Err(Unfit::of(&what, errno)),
        }
    }

    fn counted(&mut self, what: &str) -> Result<(), Unfit> {
        self.count += 1;
        if self.count >= DELETED_MAX {
            let cause =
                format!("{what}: {DELETED_MAX} files are gone, and there are more: repeat it");
            return Err(Unfit::new(FileWhy::TooMany, cause));
        }
        if self.count.is_multiple_of(TOLD_EVERY) {
            self.frames
                .tell(&FileSaid::Progress { count: self.count })?;
        }
        Ok(())
    }
}
