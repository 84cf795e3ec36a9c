//! Snapshots of vnodes' disks: a sparse copy beside the disk, as it is at one moment. The vnode stands still while the
//! copy is made and no longer; where the worker's file system lets files share their blocks, that is for milliseconds,
//! however much there is.
//!
//! A copy has a name of its own until it is whole and on the disk, and what came of it is noted beside it: so that no
//! restart takes one twice, and whatever a crash left half done is known for what it is.

pub(crate) mod copy;
mod identity;
mod look;
pub mod notes;
mod restore;
pub(crate) mod still;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use docklet_control::amount::DiskMib;
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::report::SnapshotTold;
use nix::libc;
use nix::sys::statvfs::statvfs;

use crate::disk;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::vnode_dir::{StateDir, make_dir, remove_file, sync_dir};
pub(crate) use look::Look;
use notes::{Note, Places};
pub(crate) use restore::restore;
use still::Still;

/// From linux/fs.h: `_IOW(0x94, 9, int)`.
const FICLONE: libc::Ioctl = 0x4004_9409;
/// Of the worker's file system so much stays free, in twentieths, but no more than this: other vnodes' disks are sparse
/// and grow on it.
const RESERVE_PART: u64 = 20;
const RESERVE_BYTES_MAX: u64 = 4 << 30;
/// Longest text of a cause that is told, in characters.
const CAUSE_LEN_MAX: usize = 300;

/// Takes a snapshot, or notes why there is none: trying again by itself would let the vnode stand still again and again.
pub(crate) fn take(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    number: LogIndex,
) -> Result<(), AgentFault> {
    let places = Places::of(&host.state, vnode.id);
    make_dir(&places.dir(), 0o700)?;
    let (told, why) = match copy(host, vnode, &places, number) {
        Ok(told) => (told, None),
        Err(fault) => {
            remove_file(&places.part(number))?;
            (failed(&fault), Some(fault))
        }
    };
    let noted = Note::new(number, told, vnode.uid_base).write(&places);
    // On a full disk not even that may be possible: then the first reason is what is told.
    noted.map_err(|fault| why.unwrap_or(fault))
}

fn failed(fault: &AgentFault) -> SnapshotTold {
    let cause = cause(fault);
    SnapshotTold::Failed { cause }
}

fn cause(fault: &AgentFault) -> String {
    fault.full_text().chars().take(CAUSE_LEN_MAX).collect()
}

fn copy(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    places: &Places,
    number: LogIndex,
) -> Result<SnapshotTold, AgentFault> {
    let source = open_disk(&host.state, vnode.id)?;
    let part = places.part(number);
    let target = disk::new_file(&part)?;
    let way = Way::between(&source, &target, &part)?;
    let still = Still::begin(&host.state, vnode.id)?;
    let copied = way.copy(&source, &target);
    let still_us = still.end()?;
    copied.map_err(AgentFault::file("copy the disk to", &part))?;
    target.sync_all().map_err(AgentFault::file("sync", &part))?;
    let whole = places.disk(number);
    rename(&part, &whole)?;
    let found = target
        .metadata()
        .map_err(AgentFault::file("look at", &whole))?;
    Ok(SnapshotTold::Taken {
        disk_mib: DiskMib(found.len() >> 20),
        used_bytes: found.blocks() * 512,
        still_us,
    })
}

fn open_disk(state: &StateDir, id: VnodeId) -> Result<File, AgentFault> {
    let path = state.disk_file(id);
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(AgentFault::Snapshot(
            "the vnode has no disk of its own here".to_owned(),
        )),
        opened => opened.map_err(AgentFault::file("open", path)),
    }
}

/// Moves a file for good.
fn rename(from: &Path, to: &Path) -> Result<(), AgentFault> {
    fs::rename(from, to).map_err(AgentFault::file("rename", from))?;
    for dir in [from.parent(), to.parent()].into_iter().flatten() {
        sync_dir(dir)?;
    }
    Ok(())
}

/// How a disk comes into another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The two share their blocks until one of them is written to.
    Shared,
    /// What is not a hole is read and written.
    Copied,
}

impl Way {
    /// Finds out which it is, and whether there is room, before anything stands still for it.
    fn between(source: &File, target: &File, path: &Path) -> Result<Self, AgentFault> {
        if share(source, target).is_ok() {
            return Ok(Self::Shared);
        }
        let found = source
            .metadata()
            .map_err(AgentFault::file("look at", path))?;
        let free = spare_bytes(path)?;
        let needed = found.blocks() * 512;
        if needed > free {
            return Err(AgentFault::Snapshot(format!(
                "it takes {} MiB and the worker has {} MiB to spare: delete snapshots or vnodes there",
                needed.div_ceil(1 << 20),
                free >> 20
            )));
        }
        Ok(Self::Copied)
    }

    fn copy(self, source: &File, target: &File) -> io::Result<()> {
        match self {
            Self::Shared => share(source, target),
            Self::Copied => disk::copy_sparse(source, target),
        }
    }
}

/// What may be written where this path is.
pub(crate) fn spare_bytes(path: &Path) -> Result<u64, AgentFault> {
    let fs = statvfs(path).map_err(|errno| AgentFault::file("look at", path)(errno.into()))?;
    let block = fs.fragment_size();
    let reserve = (fs.blocks() * block / RESERVE_PART).min(RESERVE_BYTES_MAX);
    Ok((fs.blocks_available() * block).saturating_sub(reserve))
}

fn share(source: &File, target: &File) -> io::Result<()> {
    // SAFETY: both descriptors are open, and the call takes no memory.
    let done = unsafe { libc::ioctl(target.as_raw_fd(), FICLONE, source.as_raw_fd()) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Deletes a snapshot and whatever there is of one, the note last.
pub(crate) fn delete(state: &StateDir, id: VnodeId, number: LogIndex) -> Result<(), AgentFault> {
    let places = Places::of(state, id);
    for path in [
        places.part(number),
        places.disk(number),
        places.note(number),
    ] {
        remove_file(&path)?;
    }
    Ok(())
}

/// Lets go on what an earlier process let stand still and did not live to let go on.
///
/// # Errors
/// A disk stays frozen or mounted.
pub(crate) fn thaw_all(state: &StateDir) -> Result<(), AgentFault> {
    for id in state.vnodes()? {
        still::thaw_if_mounted(&state.disk(id))?;
        end_look(state, id)?;
    }
    Ok(())
}

/// Reads a vnode's snapshots no more.
pub(crate) fn end_look(state: &StateDir, id: VnodeId) -> Result<(), AgentFault> {
    look::end(&Places::of(state, id).looked_at())
}
