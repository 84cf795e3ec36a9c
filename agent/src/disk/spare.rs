//! Empty disks that stand ready: copies of the template used last, mounted, and held by a descriptor instead of a place. A new vnode
//! gets one by two changes of names. Otherwise it waits until a copy is on the worker's disk, is attached, and has been read.
//!
//! They go with the agent: the kernel unmounts and detaches what nobody holds. What is left then are files, which the next
//! agent deletes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

use super::{BLOCK_BYTES, OPTIONS, copy_sparse, new_file, templates};
use crate::fault::AgentFault;
use crate::loop_device;
use crate::vnode_dir::{StateDir, make_dir, remove_dir, remove_file};

/// So many vnodes begin at once.
const SPARES: usize = 8;
/// Those of two sizes stay.
const SPARES_MAX: usize = 2 * SPARES;
/// What could not be made is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What stands ready.
#[derive(Debug, Default)]
pub struct Spares {
    /// Those made last are last.
    ready: Mutex<VecDeque<Spare>>,
    /// Held while some are made.
    making: Mutex<Making>,
}

#[derive(Debug, Default)]
struct Making {
    /// Files made so far: each has a name of its own.
    files: u64,
    /// When one could not be made.
    failed_at: Option<Instant>,
}

#[derive(Debug)]
struct Spare {
    /// Name of what it is a copy of.
    template: String,
    file: PathBuf,
    mounted: OwnedFd,
}

impl Spares {
    /// None, whatever an earlier agent left.
    pub(crate) fn open(state: &StateDir) -> Result<Self, AgentFault> {
        remove_dir(&state.spares())?;
        make_dir(&state.spares(), 0o700)?;
        Ok(Self::default())
    }

    /// Makes a copy of this template the disk `file`, mounted at `point`. Answers whether there was one; if it could not be mounted
    /// there it may be at `file` all the same.
    pub(super) fn take(&self, template: &str, file: &Path, point: &Path) -> bool {
        let Some(spare) = self.pop(template) else {
            return false;
        };
        let placed = fs::rename(&spare.file, file).and_then(|()| {
            let whole = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            move_mount(&spare.mounted, "", CWD, point, whole).map_err(io::Error::from)
        });
        if let Err(error) = &placed {
            tracing::warn!(%error, disk = %file.display(), "a spare disk is of no use");
            // If that is where it still is.
            drop(remove_file(&spare.file));
        }
        placed.is_ok()
    }

    fn pop(&self, template: &str) -> Option<Spare> {
        let mut ready = self.lock();
        let at = ready.iter().position(|spare| spare.template == template)?;
        ready.remove(at)
    }

    /// Makes the copies of the template used last that are missing, unless somebody does, or could not a moment ago.
    ///
    /// # Errors
    /// One cannot be written, attached or mounted.
    pub(crate) fn make(&self, state: &StateDir) -> Result<(), AgentFault> {
        let Ok(mut making) = self.making.try_lock() else {
            return Ok(());
        };
        if making
            .failed_at
            .is_some_and(|at| at.elapsed() < RETRY_AFTER)
        {
            return Ok(());
        }
        let made = self.make_missing(state, &mut making.files);
        making.failed_at = made.is_err().then(Instant::now);
        made
    }

    fn make_missing(&self, state: &StateDir, files: &mut u64) -> Result<(), AgentFault> {
        let known = templates(state)?.into_iter().map(|(_, path)| path);
        // A template that is being made has an extension.
        let Some(path) = known.rev().find(|path| path.extension().is_none()) else {
            return Ok(());
        };
        let template = path.file_name().unwrap_or_default().to_string_lossy();
        let missing = |ready: &VecDeque<Spare>| {
            let there = ready.iter().filter(|spare| spare.template == template);
            there.count() < SPARES
        };
        while missing(&self.lock()) {
            *files += 1;
            let file = state.spares().join(files.to_string());
            let mounted = copy(&path, &file).and_then(|()| mount_apart(&file));
            if mounted.is_err() {
                remove_file(&file)?;
            }
            let mut ready = self.lock();
            ready.push_back(Spare {
                template: template.to_string(),
                mounted: mounted?,
                file,
            });
            let many = ready.len().saturating_sub(SPARES_MAX);
            for spare in ready.drain(..many) {
                remove_file(&spare.file)?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Spare>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a copy that is on the worker's disk.
fn copy(template: &Path, file: &Path) -> Result<(), AgentFault> {
    let source = File::open(template).map_err(AgentFault::file("open", template))?;
    let target = new_file(file)?;
    copy_sparse(&source, &target)
        .and_then(|()| target.sync_all())
        .map_err(AgentFault::file("make", file))
}

/// Mounts a disk's file nowhere, as `mount_file` does it somewhere.
fn mount_apart(file: &Path) -> Result<OwnedFd, AgentFault> {
    let device = loop_device::attach(file, BLOCK_BYTES)?;
    let mount = || {
        let system = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&system, "source", &device.path)?;
        for option in OPTIONS {
            fsconfig_set_flag(&system, option)?;
        }
        fsconfig_create(&system)?;
        let flags = MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NOATIME;
        fsmount(&system, FsMountFlags::FSMOUNT_CLOEXEC, flags)
    };
    mount().map_err(|errno| AgentFault::file("mount the disk", file)(errno.into()))
}
