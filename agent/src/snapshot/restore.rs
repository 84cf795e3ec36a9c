//! A vnode gets back what a snapshot has. The disk that it had becomes a snapshot itself, whole and without a copy. The
//! limits, ids and size of the vnode are those of now, whatever they were.
//!
//! In order: the snapshot is copied beside the disk; the disk is moved to its snapshot; the copy is moved to the disk's
//! place; that is noted. Whatever of it a crash left out, what is there tells where to go on.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use docklet_control::amount::DiskMib;
use docklet_control::assignment::{AssignedRestore, AssignedVnode};
use docklet_control::report::SnapshotTold;

use super::notes::{Note, Places};
use super::{Way, cause, rename};
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::rootfs::unmount;
use crate::vnode_dir::{StateDir, make_dir, remove_file};
use crate::{disk, loop_device};

/// The vnode does not run. Notes why not, if the snapshot cannot be had: the vnode goes on with the disk that it has.
pub(crate) fn restore(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    restore: AssignedRestore,
) -> Result<(), AgentFault> {
    let places = Places::of(&host.state, vnode.id);
    make_dir(&places.dir(), 0o700)?;
    release(&host.state, vnode)?;
    let (now, left) = (host.state.disk_file(vnode.id), places.disk(restore.number));
    let told = match fetch(&host.state, vnode, &places, restore) {
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
            SnapshotTold::Restored
        }
        Err(fault) => {
            remove_file(&places.coming())?;
            let cause = cause(&fault);
            SnapshotTold::NotRestored { cause }
        }
    };
    Note::new(restore.number, told, vnode.uid_base).write_as_restored(&places)
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
    let path = places.disk(restore.snapshot);
    let note = Note::read(places.note(restore.snapshot));
    let note = note.filter(|_| path.exists()).ok_or_else(|| {
        AgentFault::Snapshot("the snapshot is not on this worker any more".to_owned())
    })?;
    let source = File::open(&path).map_err(AgentFault::file("open", &path))?;
    check(vnode, &note, &source)?;
    let coming = places.coming();
    let target = disk::new_file(&coming)?;
    let way = Way::between(&source, &target, &coming)?;
    way.copy(&source, &target)
        .map_err(AgentFault::file("copy the snapshot to", &coming))?;
    target.sync_all().map_err(AgentFault::file("sync", coming))
}

/// What was taken under other rules is not brought back past those of now. A smaller disk grows as soon as it is mounted.
fn check(vnode: &AssignedVnode, note: &Note, source: &File) -> Result<(), AgentFault> {
    if note.uid_base != vnode.uid_base {
        return Err(AgentFault::Snapshot(
            "its files are of another range of user ids than the vnode's".to_owned(),
        ));
    }
    let length = source.metadata()?.len();
    if length > vnode.disk_mib.0 << 20 {
        return Err(AgentFault::Snapshot(format!(
            "its disk of {} MiB is larger than the {} MiB that the vnode may have",
            length >> 20,
            vnode.disk_mib.0
        )));
    }
    Ok(())
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
