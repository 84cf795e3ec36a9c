//! A vnode's root file system: the image, ids shifted, below; its own layer, on its own disk, above; joined by overlayfs.
//! Every step may be repeated, and whatever a crash left half done is finished or undone by the next call.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{Digest, VnodeId};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{AtFlags, CWD, Statx, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;

use crate::disk::Spares;
use crate::fault::AgentFault;
use crate::lxc::{HelperRequest, Helpers, MountRequest};
use crate::vnode_dir::{StateDir, make_dir, remove_dir};
use crate::{disk, snapshot};

/// Held while an image is mounted.
static MOUNTING: Mutex<()> = Mutex::new(());

/// Mounts the vnode's root file system unless it is mounted.
///
/// # Errors
/// A mount or a directory fails.
pub fn mount_rootfs(
    state: &StateDir,
    vnode: &AssignedVnode,
    image_root: &Path,
    helpers: &Helpers,
    spares: &Spares,
) -> Result<(), AgentFault> {
    let layer = disk::mount_disk(state, spares, vnode)?;
    let rootfs = state.rootfs(vnode.id);
    if is_mounted(&rootfs)? {
        return Ok(());
    }
    let lower = mount_lower(state, vnode, image_root, helpers)?;
    make_dir(&rootfs, 0o755)?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        layer.upper.display(),
        layer.work.display()
    );
    mount(
        Some("overlay"),
        &rootfs,
        Some("overlay"),
        MsFlags::MS_NODEV,
        Some(options.as_str()),
    )
    .map_err(|errno| AgentFault::file("mount", rootfs.clone())(errno.into()))
}

/// The image with shifted ids, mounted once for all vnodes of a user.
fn mount_lower(
    state: &StateDir,
    vnode: &AssignedVnode,
    image_root: &Path,
    helpers: &Helpers,
) -> Result<PathBuf, AgentFault> {
    let target = state.lower(vnode.image, vnode.uid_base);
    // Two vnodes of one user may need it at the same moment, and it must not be mounted twice.
    let _alone = MOUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    if !is_mounted(&target)? {
        make_dir(&target, 0o711)?;
        let request = HelperRequest::Mount(MountRequest {
            source: image_root.to_owned(),
            target: target.clone(),
            uid_base: vnode.uid_base,
        });
        let answer = state.answer(&format!("mount-{}", vnode.id));
        helpers.ask(&request, answer)?;
    }
    Ok(target)
}

/// Unmounts and deletes everything of a vnode.
///
/// # Errors
/// Something of it is still in use.
pub fn remove(state: &StateDir, id: VnodeId) -> Result<(), AgentFault> {
    unmount(&state.rootfs(id))?;
    snapshot::end_look(state, id)?;
    disk::remove_disk(state, id)?;
    remove_dir(&state.lxc_path().join(crate::vnode_dir::container_name(id)))?;
    // What says that there is a vnode goes last, so that a crash in between is seen and finished.
    let dir = state.vnode(id);
    for part in ["rootfs", "disk", "upper", "work", "etc"] {
        remove_dir(&dir.join(part))?;
    }
    remove_dir(&dir)
}

/// Unmounts images that no vnode on this worker uses.
///
/// # Errors
/// One of them is still in use.
pub fn sweep_lower(state: &StateDir, used: &[(Digest, u32)]) -> Result<(), AgentFault> {
    let dir = state.0.join("lower");
    let kept: Vec<PathBuf> = used
        .iter()
        .map(|(image, base)| state.lower(*image, *base))
        .collect();
    for entry in fs::read_dir(&dir).map_err(AgentFault::file("list", dir.clone()))? {
        let path = entry.map_err(AgentFault::file("list", dir.clone()))?.path();
        if !kept.contains(&path) {
            unmount(&path)?;
            fs::remove_dir(&path).map_err(AgentFault::file("delete", path))?;
        }
    }
    Ok(())
}

/// Unmounts an image wherever it is mounted with shifted ids.
///
/// # Errors
/// It is still in use.
pub fn unmount_lowers(state: &StateDir, image: Digest) -> Result<(), AgentFault> {
    let dir = state.0.join("lower");
    let prefix = format!("{image}-");
    for entry in fs::read_dir(&dir).map_err(AgentFault::file("list", dir.clone()))? {
        let entry = entry.map_err(AgentFault::file("list", dir.clone()))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let path = entry.path();
            unmount(&path)?;
            fs::remove_dir(&path).map_err(AgentFault::file("delete", path))?;
        }
    }
    Ok(())
}

/// Unmounts all that is mounted there, if anything is.
///
/// # Errors
/// It is in use.
pub fn unmount(path: &Path) -> Result<(), AgentFault> {
    while is_mounted(path)? {
        umount2(path, MntFlags::UMOUNT_NOFOLLOW)
            .map_err(|errno| AgentFault::file("unmount", path)(errno.into()))?;
    }
    Ok(())
}

/// Whether something is mounted right there. The table of mounts says so too, but it has thousands of lines on a worker
/// with a thousand vnodes, and the kernel writes them all whoever asks.
///
/// # Errors
/// The path cannot be looked at.
pub fn is_mounted(path: &Path) -> Result<bool, AgentFault> {
    look(path).map(|found| found.is_some())
}

/// The block device that is mounted right there; none if nothing is.
///
/// # Errors
/// The path cannot be looked at; what is mounted is on no device.
pub(crate) fn mounted_device(path: &Path) -> Result<Option<PathBuf>, AgentFault> {
    let Some(found) = look(path)? else {
        return Ok(None);
    };
    let (major, minor) = (found.stx_dev_major, found.stx_dev_minor);
    let link = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    let target = fs::read_link(&link).map_err(AgentFault::file("read", link))?;
    Ok(target.file_name().map(|name| Path::new("/dev").join(name)))
}

/// What statx(2) says of a mount's root; none of anything else, and of what is not there.
fn look(path: &Path) -> Result<Option<Statx>, AgentFault> {
    // A file server that died shall not be asked.
    let still = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    let found = match statx(CWD, path, still, StatxFlags::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        found => found.map_err(|errno| AgentFault::file("look at", path)(errno.into()))?,
    };
    let root = found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    Ok(root.then_some(found))
}
