//! Bringing a file: its bytes go into a file of a name of its own, in the directory where it is to be, and get the name that
//! was asked for when they are all there. So nobody ever reads half a file, and what is there of one is on the vnode's own
//! disk: whoever goes on with it needs no memory of any master or agent. What nobody goes on with is deleted after a day, by
//! the agent, which remembers where uploads began (`door/uploads.rs`), or when the next file comes to that directory.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{CHUNK_BYTES_MAX, FileKind, FileSaid, FileWhy, Guard, UploadId};
use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, flock,
    fstat, fsync, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::change::belong_to_owner_of;
use super::held::{Held, step};
use super::look::{check_mark, facts, kind, names};
use super::unfit::{Unfit, failed, of};

/// How files begin that are not whole yet. They are not listed.
pub const PREFIX: &str = ".docklet-upload-";
/// What is left of one that nobody went on with for so long is deleted.
const KEPT_S: u64 = 24 * 3_600;
/// Of a file that was not there before.
const USUAL_MODE: u32 = 0o644;

const WRITING: OFlags = OFlags::RDWR;

fn partial(upload: &UploadId) -> String {
    format!("{PREFIX}{}", upload.as_str())
}

/// Where it is to be, and what there is of it.
struct Bringing<'p> {
    path: &'p FilePath,
    dir: OwnedFd,
    name: &'p str,
    partial: String,
    file: File,
}

impl<'p> Bringing<'p> {
    fn begin(held: &Held, path: &'p FilePath, upload: &UploadId) -> Result<Self, Unfit> {
        let (dir, name) = held.parent(path)?;
        sweep(&dir, KEPT_S);
        let partial = partial(upload);
        let flags = WRITING | OFlags::CREATE | OFlags::EXCL;
        let made = step(&dir, &partial, flags, Mode::from_raw_mode(0o600));
        let made = match made {
            // It was begun already, and the answer was lost.
            Err(Errno::EXIST) => return Self::go_on(held, path, upload),
            other => other.map_err(of(&path.to_string()))?,
        };
        Ok(Self {
            path,
            dir,
            name,
            partial,
            file: made.into(),
        })
    }

    fn go_on(held: &Held, path: &'p FilePath, upload: &UploadId) -> Result<Self, Unfit> {
        let (dir, name) = held.parent(path)?;
        let partial = partial(upload);
        let open = step(&dir, &partial, WRITING, Mode::empty());
        let gone = || {
            let cause = format!("{path}: there is nothing of this upload any more: begin it anew");
            Unfit::new(FileWhy::NotFound, cause)
        };
        let file = open.map_err(|errno| match errno {
            Errno::NOENT => gone(),
            other => Unfit::of(&path.to_string(), other),
        })?;
        let stat = fstat(&file).map_err(of(&path.to_string()))?;
        if kind(&stat) != FileKind::File {
            return Err(gone());
        }
        // Who brought it before, by a connection of which nobody has noticed yet that it broke, writes no more from here on.
        flock(&file, FlockOperation::LockExclusive).map_err(of(&path.to_string()))?;
        Ok(Self {
            path,
            dir,
            name,
            partial,
            file: file.into(),
        })
    }

    fn bytes(&self) -> Result<u64, Unfit> {
        let meta = self.file.metadata();
        Ok(meta.map_err(failed(&self.path.to_string()))?.len())
    }

    /// Writes what comes, from here on; answers how much there is then.
    fn take(&self, from: u64, most: u64, input: &mut impl Read) -> Result<u64, Unfit> {
        let mut chunk = vec![0; CHUNK_BYTES_MAX];
        let (mut at, end) = (from, from.saturating_add(most));
        while at < end {
            let room = usize::try_from(end - at)
                .unwrap_or(usize::MAX)
                .min(chunk.len());
            // Where it breaks off it can be gone on with.
            let Ok(length) = input.read(&mut chunk[..room]) else {
                break;
            };
            if length == 0 {
                break;
            }
            let written = self.file.write_all_at(&chunk[..length], at);
            written.map_err(|error| match failed(&self.path.to_string())(error) {
                Unfit::Refused(refused) => Unfit::sized(refused.why, refused.cause, at),
                unheard @ Unfit::Unheard(_) => unheard,
            })?;
            at += length as u64;
        }
        Ok(at)
    }

    /// What is there under the name by now, if it may be replaced.
    fn before(&self, guard: &Guard) -> Result<Option<Stat>, Unfit> {
        let what = self.path.to_string();
        let found = match statat(&self.dir, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) if matches!(guard, Guard::Unchanged(_)) => {
                let cause =
                    format!("{what}: it was deleted or renamed meanwhile: bring it as a new file");
                return Err(Unfit::new(FileWhy::Changed, cause));
            }
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Unfit::of(&what, errno)),
        };
        let (why, cause) = match kind(&found) {
            FileKind::File => {
                return match guard {
                    Guard::New => Err(Unfit::of(&what, Errno::EXIST)),
                    Guard::Replace => Ok(Some(found)),
                    Guard::Unchanged(mark) => {
                        check_mark(self.path, &found, mark).map(|()| Some(found))
                    }
                };
            }
            FileKind::Directory => (
                FileWhy::IsADirectory,
                "a directory is there: name a file in it",
            ),
            FileKind::Link => (
                FileWhy::NotAFile,
                "a link is there: write to what it leads to, or delete it first",
            ),
            FileKind::Other => (
                FileWhy::NotAFile,
                "a device, a pipe or a socket is there: choose another name",
            ),
        };
        Err(Unfit::new(why, format!("{what}: {cause}")))
    }

    /// Gives it its name: it is what was there before, or its directory's owner's.
    fn finish(&self, guard: &Guard) -> Result<FileSaid, Unfit> {
        let what = self.path.to_string();
        let mode = match self.before(guard)? {
            Some(before) => {
                let (owner, group) = (Uid::from_raw(before.st_uid), Gid::from_raw(before.st_gid));
                match fchown(&self.file, Some(owner), Some(group)) {
                    // Somebody without an id in the vnode: then it is its root's.
                    Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::OVERFLOW) => {}
                    Err(errno) => return Err(Unfit::of(&what, errno)),
                }
                before.st_mode & 0o7777
            }
            None => {
                belong_to_owner_of(&self.dir, &self.file).map_err(of(&what))?;
                USUAL_MODE
            }
        };
        fchmod(&self.file, Mode::from_raw_mode(mode)).map_err(of(&what))?;
        fsync(&self.file).map_err(of(&what))?;
        self.rename(guard).map_err(of(&what))?;
        // Some file systems sync no directories: then a crash of the worker may take the name back.
        let _ = fsync(&self.dir);
        let stat = fstat(&self.file).map_err(of(&what))?;
        Ok(FileSaid::Written {
            file: facts(self.name.as_bytes(), &stat),
        })
    }

    fn rename(&self, guard: &Guard) -> Result<(), Errno> {
        if *guard == Guard::New {
            let flags = RenameFlags::NOREPLACE;
            match renameat_with(&self.dir, &self.partial, &self.dir, self.name, flags) {
                // Some shared file systems know no such flag; that nothing is there was seen a moment ago.
                Err(Errno::INVAL) => {}
                other => return other,
            }
        }
        renameat(&self.dir, &self.partial, &self.dir, self.name)
    }

    fn forget(&self) {
        // It goes a day later otherwise.
        let _ = unlinkat(&self.dir, &self.partial, AtFlags::empty());
    }
}

pub(super) fn put(
    held: &Held,
    path: &FilePath,
    bytes: u64,
    guard: &Guard,
    input: &mut impl Read,
) -> Result<FileSaid, Unfit> {
    let upload = UploadId::of(rand::random());
    let bringing = Bringing::begin(held, path, &upload)?;
    let done = (|| {
        bringing.before(guard)?;
        let came = bringing.take(0, bytes, input)?;
        if came != bytes {
            let cause =
                format!("{path}: it broke off after {came} of {bytes} bytes: bring it again");
            return Err(Unfit::sized(FileWhy::Offset, cause, came));
        }
        bringing.finish(guard)
    })();
    if done.is_err() {
        bringing.forget();
    }
    done
}

pub(super) fn begin(held: &Held, path: &FilePath, upload: &UploadId) -> Result<FileSaid, Unfit> {
    let bytes = Bringing::begin(held, path, upload)?.bytes()?;
    Ok(FileSaid::Held { bytes })
}

pub(super) fn resume(held: &Held, path: &FilePath, upload: &UploadId) -> Result<FileSaid, Unfit> {
    let (dir, _) = held.parent(path)?;
    // Without waiting for who may still write.
    match statat(&dir, partial(upload), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if kind(&stat) == FileKind::File => Ok(FileSaid::Held {
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
        }),
        Ok(_) | Err(Errno::NOENT) => Err(Unfit::new(
            FileWhy::NotFound,
            format!("{path}: there is nothing of this upload any more: begin it anew"),
        )),
        Err(errno) => Err(Unfit::of(&path.to_string(), errno)),
    }
}

pub(super) fn append(
    held: &Held,
    path: &FilePath,
    upload: &UploadId,
    offset: u64,
    input: &mut impl Read,
) -> Result<FileSaid, Unfit> {
    let bringing = Bringing::go_on(held, path, upload)?;
    expect_bytes(&bringing, offset)?;
    let bytes = bringing.take(offset, u64::MAX, input)?;
    // What is said to be there is there after a crash of the worker, and what is left to sync at the end is little.
    bringing
        .file
        .sync_data()
        .map_err(failed(&path.to_string()))?;
    Ok(FileSaid::Held { bytes })
}

pub(super) fn finish(
    held: &Held,
    path: &FilePath,
    upload: &UploadId,
    bytes: u64,
    guard: &Guard,
) -> Result<FileSaid, Unfit> {
    let bringing = Bringing::go_on(held, path, upload)?;
    expect_bytes(&bringing, bytes)?;
    bringing.finish(guard)
}

fn expect_bytes(bringing: &Bringing<'_>, wanted: u64) -> Result<(), Unfit> {
    let there = bringing.bytes()?;
    if there == wanted {
        return Ok(());
    }
    let path = bringing.path;
    let cause = format!("{path}: {there} bytes of it are there and not {wanted}: go on from there");
    Err(Unfit::sized(FileWhy::Offset, cause, there))
}

pub(super) fn abandon(held: &Held, path: &FilePath, upload: &UploadId) -> Result<FileSaid, Unfit> {
    let (dir, _) = held.parent(path)?;
    match unlinkat(&dir, partial(upload), AtFlags::empty()) {
        Ok(()) => Ok(FileSaid::Done { count: 1 }),
        Err(Errno::NOENT) => Ok(FileSaid::Done { count: 0 }),
        Err(errno) => Err(Unfit::of(&path.to_string(), errno)),
    }
}

/// The same in several directories; in which of them there is some left.
pub(super) fn sweep_all(held: &Held, directories: Vec<FilePath>, older_s: u64) -> FileSaid {
    let still = |path: &FilePath| {
        let dir = held.directory(path);
        dir.is_ok_and(|dir| sweep(&dir, older_s))
    };
    FileSaid::Swept {
        left: directories.into_iter().filter(still).collect(),
    }
}

/// Deletes what is left in a directory of uploads that nobody went on with. Whether there are others.
fn sweep(dir: &OwnedFd, older_s: u64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let found = names(dir).unwrap_or_default();
    let mut left = false;
    for name in found
        .iter()
        .filter(|name| name.starts_with(PREFIX.as_bytes()))
    {
        let stat = statat(dir, &name[..], AtFlags::SYMLINK_NOFOLLOW);
        let touched = stat.map_or(now, |stat| u64::try_from(stat.st_mtime).unwrap_or(0));
        let gone = touched.saturating_add(older_s) < now
            && unlinkat(dir, &name[..], AtFlags::empty()).is_ok();
        left |= !gone;
    }
    left
}
