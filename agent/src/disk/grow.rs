//! Disks that grow: first the file, then the device that is the file, then the file system on it.
//!
//! Linux enlarges a mounted ext4 for whoever has CAP_SYS_RESOURCE, and nothing that runs on it notices. An agent from
//! which that was kept, as within some containers, enlarges what stands still: when the vnode starts next. What a disk
//! has grown to is remembered last, so whatever a crash left undone is done again, and each step may be.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::OnceLock;

use docklet_control::amount::DiskMib;
use docklet_control::id::VnodeId;
use nix::libc;

use super::{BLOCK_BYTES, bytes};
use crate::command::run;
use crate::fault::AgentFault;
use crate::loop_device;
use crate::rootfs::{mounted_device, unmount};
use crate::vnode_dir::StateDir;

/// From fs/ext4/ext4.h: `_IOW('f', 16, __u64)`.
const EXT4_IOC_RESIZE_FS: libc::Ioctl = 0x4008_6610;
/// From linux/capability.h.
const CAP_SYS_RESOURCE: u32 = 24;
/// Not in the system's path for people, so they are named in full.
const CHECK: &str = "/sbin/e2fsck";
const RESIZE: &str = "/sbin/resize2fs";

/// Whether mounted disks can grow here.
pub(crate) fn works_mounted() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let own = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let own = own.and_then(|own| u64::from_str_radix(own.trim(), 16).ok());
        own.is_some_and(|own| own >> CAP_SYS_RESOURCE & 1 == 1)
    })
}

/// Lets a disk grow that is mounted, whatever runs on it; where that cannot be it stays as it is.
pub(crate) fn mounted(state: &StateDir, id: VnodeId, size: DiskMib) -> Result<(), AgentFault> {
    let (file, point) = (state.disk_file(id), state.disk(id));
    if !works_mounted() || !is_smaller(state, id, size)? {
        return Ok(());
    }
    enlarge_mounted(&file, &point, size)
}

/// Enlarges the file system that is mounted there, and is this file.
pub(crate) fn enlarge_mounted(file: &Path, point: &Path, size: DiskMib) -> Result<(), AgentFault> {
    let Some(device) = mounted_device(point)? else {
        return Ok(());
    };
    let length = enlarge(file, size)?;
    loop_device::extend(&device, length)?;
    let blocks = length / u64::from(BLOCK_BYTES);
    resize_mounted(point, blocks).map_err(AgentFault::file("enlarge what is on", point))
}

/// Lets a disk grow on which nothing runs, where it could not while mounted. It is not mounted afterwards.
pub(crate) fn still(state: &StateDir, id: VnodeId, size: DiskMib) -> Result<(), AgentFault> {
    let file = state.disk_file(id);
    if works_mounted() || !is_smaller(state, id, size)? {
        return Ok(());
    }
    unmount(&state.rootfs(id))?;
    unmount(&state.disk(id))?;
    if !loop_device::wait_detached(&file)? {
        return Err(AgentFault::file("take out of use", file)(
            io::ErrorKind::ResourceBusy.into(),
        ));
    }
    enlarge_still(&file, size)
}

/// Enlarges a file system that is attached nowhere.
pub(crate) fn enlarge_still(file: &Path, size: DiskMib) -> Result<(), AgentFault> {
    enlarge(file, size)?;
    let path = file.display().to_string();
    // What it mends it tells as a failure, and finds in order the second time.
    let check = || run(CHECK, &["-f", "-y", &path], "");
    check().or_else(|_| check())?;
    run(RESIZE, &[&path], "").map(|_| ())
}

/// Whether a disk that is there is not known to have this size.
fn is_smaller(state: &StateDir, id: VnodeId, size: DiskMib) -> Result<bool, AgentFault> {
    let file = state.disk_file(id);
    let length = match fs::metadata(&file) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(AgentFault::file("look at", file)(error)),
    };
    let known = state
        .placed(id)
        .is_some_and(|placed| placed.disk_mib >= size);
    Ok(length < bytes(size) || !known)
}

/// Answers how long the file is now.
fn enlarge(file: &Path, size: DiskMib) -> Result<u64, AgentFault> {
    let named = || AgentFault::file("enlarge", file);
    let open = File::options().write(true).open(file).map_err(named())?;
    let length = open.metadata().map_err(named())?.len();
    if length < bytes(size) {
        open.set_len(bytes(size)).map_err(named())?;
    }
    Ok(length.max(bytes(size)))
}

fn resize_mounted(point: &Path, blocks: u64) -> io::Result<()> {
    let open = File::open(point)?;
    // SAFETY: the descriptor is open, and the kernel only reads the number, which outlives the call.
    let done = unsafe { libc::ioctl(open.as_raw_fd(), EXT4_IOC_RESIZE_FS, &raw const blocks) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
