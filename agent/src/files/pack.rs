//! A directory as a zip: directories and regular files in the order of their names. Links are left out, as are devices and
//! what is mounted within: a zip of something shows that, and nothing that it leads to.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileKind, FileSaid, FileWhy};
use rustix::fs::{AtFlags, Mode, OFlags, Stat, fstat, statat};
use rustix::io::Errno;

use super::frame::Frames;
use super::held::{Held, step};
use super::look::{kind, names};
use super::read::copy;
use super::unfit::{Unfit, of};
use super::upload::PREFIX;
use super::zip::{Item, Zip};

/// Files of one zip, at most: their names are kept until its end.
const FILES_MAX: usize = 100_000;

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Unheard(error)
    }
}

pub(super) fn pack<W: Write>(
    held: &Held,
    path: &FilePath,
    frames: &mut Frames<'_, W>,
) -> Result<(), Unfit> {
    let dir = held.directory(path)?;
    frames.tell(&FileSaid::Zipped)?;
    let mut packing = Packing {
        zip: Zip::new(frames),
        path,
        files: 0,
    };
    packing.directory(&dir, "", 0)?;
    packing.zip.finish().map_err(Unfit::Unheard)
}

struct Packing<'p, 'w, W: Write> {
    zip: Zip<'w, W>,
    path: &'p FilePath,
    files: usize,
}

impl<W: Write> Packing<'_, '_, W> {
    fn directory(&mut self, dir: &OwnedFd, at: &str, depth: usize) -> Result<(), Unfit> {
        let what = self.path.to_string();
        if depth > FilePath::DEPTH_MAX {
            let cause = format!("{what}: it is nested too deeply: pack it in a terminal");
            return Err(Unfit::new(FileWhy::TooMany, cause));
        }
        for name in names(dir).map_err(of(&what))? {
            if !name.starts_with(PREFIX.as_bytes()) {
                self.entry(dir, at, &name, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, dir: &OwnedFd, at: &str, name: &[u8], depth: usize) -> Result<(), Unfit> {
        let what = self.path.to_string();
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It went meanwhile.
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Unfit::of(&what, errno)),
        };
        let flags = match kind(&stat) {
            FileKind::Directory => OFlags::RDONLY | OFlags::DIRECTORY,
            FileKind::File => OFlags::RDONLY,
            FileKind::Link | FileKind::Other => return Ok(()),
        };
        self.files += 1;
        if self.files > FILES_MAX {
            let cause = format!("{what}: it has more than {FILES_MAX} files: fetch parts of it");
            return Err(Unfit::new(FileWhy::TooMany, cause));
        }
        let own = std::os::unix::ffi::OsStrExt::from_bytes(name);
        let own: &std::ffi::OsStr = own;
        let opened = match step(dir, own, flags, Mode::empty()) {
            Ok(opened) => opened,
            // It went or is another one by now, or something is mounted there.
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => return Ok(()),
            Err(errno) => return Err(Unfit::of(&what, errno)),
        };
        let stat = fstat(&opened).map_err(of(&what))?;
        let inside = format!("{at}{}", String::from_utf8_lossy(name));
        match kind(&stat) {
            FileKind::Directory => {
                let inside = format!("{inside}/");
                self.zip.directory(item(inside.clone(), &stat))?;
                self.directory(&opened, &inside, depth + 1)
            }
            FileKind::File => {
                let bytes = u64::try_from(stat.st_size).unwrap_or(0);
                let (file, path) = (File::from(opened), self.path);
                self.zip.file(item(inside, &stat), |mut to| {
                    copy(&file, 0, bytes, path, &mut to)
                })
            }
            FileKind::Link | FileKind::Other => Ok(()),
        }
    }
}

fn item(name: String, stat: &Stat) -> Item {
    Item {
        name,
        mode: stat.st_mode & 0o777,
        changed_s: u64::try_from(stat.st_mtime).unwrap_or(0),
    }
}
