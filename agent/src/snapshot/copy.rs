//! A snapshot's way to where a disk is: of its own vnode, which gets it back, or of a new one that begins with it.
//!
//! A new vnode's disk has its name only when it is whole and on the worker's disk, so whatever a crash left is made anew.
//! Until the vnode was prepared once, it counts as another's: what made that one itself is taken out of it first.

use std::fs::File;
use std::path::Path;

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::LogIndex;

use super::notes::{Note, Places};
use super::{Way, rename};
use crate::disk;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::rootfs::unmount;
use crate::vnode_dir::remove_file;

/// Copies a snapshot into a file for a vnode that may have it, durably.
pub(super) fn bring(
    places: &Places,
    number: LogIndex,
    vnode: &AssignedVnode,
    to: &Path,
) -> Result<(), AgentFault> {
    let path = places.disk(number);
    let note = Note::read(places.note(number));
    let note = note.filter(|_| path.exists()).ok_or_else(|| {
        AgentFault::Snapshot("the snapshot is not on this worker any more".to_owned())
    })?;
    let source = File::open(&path).map_err(AgentFault::file("open", &path))?;
    check(vnode, &note, &source)?;
    let target = disk::new_file(to)?;
    let way = Way::between(&source, &target, to)?;
    way.copy(&source, &target)
        .map_err(AgentFault::file("copy the snapshot to", to))?;
    target.sync_all().map_err(AgentFault::file("sync", to))
}

/// What was taken under other rules is not brought past those of now. A smaller disk grows as soon as it is mounted.
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

/// Whether a vnode is to begin with a snapshot and was never prepared with it.
pub(crate) fn is_to_begin(host: &LinuxHost, vnode: &AssignedVnode) -> bool {
    vnode.copy_of.is_some() && host.state.placed(vnode.id).is_none()
}

/// Makes its disk, unless an earlier attempt did.
pub(crate) fn begin(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    let file = host.state.disk_file(vnode.id);
    let Some(copy) = vnode.copy_of.filter(|_| !file.exists()) else {
        return Ok(());
    };
    let places = Places::of(&host.state, copy.vnode);
    let unfinished = file.with_extension("new");
    if let Err(fault) = bring(&places, copy.number, vnode, &unfinished) {
        remove_file(&unfinished)?;
        return Err(fault);
    }
    rename(&unfinished, &file)
}

/// Mounts its disk with nothing in it by which the other vnode is known.
pub(crate) fn forget_the_other(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    // An earlier attempt may have come further. What lies below an overlay must not change while that is mounted.
    unmount(&host.state.rootfs(vnode.id))?;
    let layer = disk::mount_disk(&host.state, &host.spares, vnode)?;
    super::identity::forget(&layer.upper)
}

/// Gives its mounted root what it is known by.
pub(crate) fn be_oneself(host: &LinuxHost, vnode: &AssignedVnode) -> Result<(), AgentFault> {
    let cluster = host.config.credentials.identity.cluster;
    let id = super::identity::machine_id(&cluster, vnode.id);
    super::identity::renew(&host.state.rootfs(vnode.id), &id)
}
