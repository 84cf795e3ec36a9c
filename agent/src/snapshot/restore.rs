//! A vnode gets back what a snapshot has. The disk that it had becomes a snapshot itself, whole and without a copy. The
//! limits, ids and size of the vnode are those of now, whatever they were.
//!
//! In order: the snapshot is copied beside the disk; the disk is moved to its snapshot; the copy is moved to the disk's
//! place; that is noted. Whatever of it a crash left out, what is there tells where to go on.

use std::fs;
use std::os::unix::fs::MetadataExt;

use docklet_control::amount::DiskMib;
use docklet_control::assignment::{AssignedRestore, AssignedVnode};
use docklet_control::report::SnapshotTold;

use super::notes::{Note, Places};
use super::{cause, copy, rename};
use crate::checkpoint;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::loop_device;
use crate::rootfs::unmount;
use crate::vnode_dir::{StateDir, make_dir, remove_file};

/// The vnode does not run. Notes why not, if the snapshot cannot be had: the vnode goes on with the disk that it has.
pub(crate) fn restore(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    restore: AssignedRestore,
) -> Result<(), AgentFault> {
    let places = Places::of(&host.state, vnode.id);
    make_dir(&places.dir(), 0o700)?;
    // It goes with the disk that was.
    checkpoint::forget(&host.state, vnode.id)?;
    release(&host.state, vnode)?;
    let (now, left) = (host.state.disk_file(vnode.id), places.disk(restore.number));
    let (told, why) = match fetch(&host.state, vnode, &places, restore) {
        Ok(()) => {
            if !left.exists() {
                rename(&now, &left)?;
            }
            if places.coming().exists() {
                rename(&places.coming(), &now)?;
            }
            let left = Note::new(
                restore.number,
                left_there(&places, restore)?,
                vnode.uid_base,
            );
            left.write(&places)?;
            (SnapshotTold::Restored, None)
        }
        Err(fault) => {
            remove_file(&places.coming())?;
            let cause = cause(&fault);
            (SnapshotTold::NotRestored { cause }, Some(fault))
        }
    };
    let noted = Note::new(restore.number, told, vnode.uid_base).write_as_restored(&places);
    noted.map_err(|fault| why.unwrap_or(fault))
}

/// Nothing has the disk open any more.
fn release(state: &StateDir, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    unmount(&state.rootfs(vnode.id))?;
    unmount(&state.disk(vnode.id))?;
    if loop_device::wait_detached(&state.disk_file(vnode.id))? {
        return Ok(());
    }
    Err(AgentFault::Snapshot(
        "something else on the worker still holds the vnode's disk".to_owned(),
    ))
}

/// Has the copy beside the disk, unless an earlier attempt came further.
fn fetch(
    state: &StateDir,
    vnode: &AssignedVnode,
    places: &Places,
    restore: AssignedRestore,
) -> Result<(), AgentFault> {
    if places.disk(restore.number).exists() {
        // The disk was moved only when the copy was whole.
        return Ok(());
    }
    super::open_disk(state, vnode.id)?;
    copy::bring(places, restore.snapshot, vnode, &places.coming())
}

fn left_there(places: &Places, restore: AssignedRestore) -> Result<SnapshotTold, AgentFault> {
    let path = places.disk(restore.number);
    let found = fs::metadata(&path).map_err(AgentFault::file("look at", path))?;
    Ok(SnapshotTold::Taken {
        disk_mib: DiskMib(found.len() >> 20),
        used_bytes: found.blocks() * 512,
        still_us: 0,
    })
}
