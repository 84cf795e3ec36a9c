//! A vnode's disk: what it writes is in a file system of its own, in a sparse file as large as its quota.
//!
//! So the quota is hard on any file system and kernel, in bytes and in inodes, and nothing that a vnode writes can fill
//! the worker's own file system beyond it. The file is copied from a template, formatted once for each size: only what
//! is not a hole, some 80 KiB, most often before it is asked for ([`spare`]). A disk may grow ([`grow`]) and never shrinks. Every
//! step may be repeated.

pub(crate) mod grow;
mod spare;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use docklet_control::amount::DiskMib;
use docklet_control::assignment::AssignedVnode;
use docklet_control::id::VnodeId;
use nix::fcntl::copy_file_range;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::unistd::{Whence, lseek64};

pub use spare::Spares;

use crate::command::run;
use crate::fault::AgentFault;
use crate::rootfs::{is_mounted, unmount};
use crate::vnode_dir::{StateDir, make_dir};
use crate::{loop_device, vnode_dir};

/// Blocks of the file system, and of the device below it.
pub(crate) const BLOCK_BYTES: u32 = 4_096;
/// What is deleted inside becomes a hole again. Tables are holes from the beginning: nothing needs to be zeroed.
const OPTIONS: [&str; 2] = ["discard", "noinit_itable"];
/// Room for the journal. Vnodes write little at once, and it counts towards their quota.
const JOURNAL_MIB: u32 = 16;
/// Not in the system's path for people, so it is named in full.
const MKFS: &str = "/sbin/mkfs.ext4";
/// Raised when templates are formatted otherwise: older ones are not copied any more.
const TEMPLATE_FORMAT: u32 = 1;

/// Templates kept, the ones used last: people choose sizes of their own.
const TEMPLATES_MAX: usize = 16;

/// Held while a template is made.
static FORMATTING: Mutex<()> = Mutex::new(());

/// Where a vnode's own layer of its root file system is.
pub(crate) struct Layer {
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
}

impl Layer {
    pub(crate) fn within(dir: &Path) -> Self {
        Self {
            upper: dir.join("upper"),
            work: dir.join("work"),
        }
    }
}

/// Makes and mounts a vnode's disk, and lets one that is there and smaller grow as far as that goes. Answers its layer, which belongs to the
/// vnode's root.
pub(crate) fn mount_disk(
    state: &StateDir,
    spares: &Spares,
    vnode: &AssignedVnode,
) -> Result<Layer, AgentFault> {
    let (id, size, owner) = (vnode.id, vnode.disk_mib, vnode.uid_base);
    let old = Layer::within(&state.vnode(id));
    if old.upper.exists() && !state.disk_file(id).exists() {
        tracing::warn!(%id, "its files are on the worker's own disk, without a quota: an older agent made it");
        return given_to(old, owner);
    }
    let (file, point) = (state.disk_file(id), state.disk(id));
    let new = !file.exists();
    if !is_mounted(&point)? {
        make_dir(&point, 0o700)?;
    }
    if new {
        let template = template(state, size)?;
        if !spares.take(&template_name(size), &file, &point) {
            copy_template(&template, &file)?;
        }
    }
    if !is_mounted(&point)? {
        mount_file(&file, &point)?;
    }
    if !new {
        grow::mounted(state, id, size)?;
    }
    given_to(Layer::within(&point), owner)
}

/// Lets the vnode's root own the directories of its layer.
fn given_to(layer: Layer, owner: u32) -> Result<Layer, AgentFault> {
    for dir in [&layer.upper, &layer.work] {
        make_dir(dir, 0o755)?;
        std::os::unix::fs::chown(dir, Some(owner), Some(owner))
            .map_err(AgentFault::file("give to the vnode's root", dir))?;
    }
    Ok(layer)
}

/// Makes the file: whole or not at all.
pub(crate) fn create(state: &StateDir, file: &Path, size: DiskMib) -> Result<(), AgentFault> {
    copy_template(&template(state, size)?, file)
}

fn copy_template(template: &File, file: &Path) -> Result<(), AgentFault> {
    let unfinished = file.with_extension("new");
    let target = new_file(&unfinished)?;
    copy_sparse(template, &target).map_err(AgentFault::file("make", &unfinished))?;
    // Mounting writes to it durably, so it needs no sync of its own.
    fs::rename(&unfinished, file).map_err(AgentFault::file("rename", unfinished))
}

pub(crate) fn new_file(path: &Path) -> Result<File, AgentFault> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map_err(AgentFault::file("make", path))
}

/// Copies what is not a hole, within the kernel; file systems that share extents share them.
pub(crate) fn copy_sparse(source: &File, target: &File) -> io::Result<()> {
    let length = source.metadata()?.len();
    target.set_len(length)?;
    let mut at = 0;
    while let Some(data) = seek(source, at, Whence::SeekData)? {
        let end = seek(source, data, Whence::SeekHole)?.unwrap_or(length);
        copy_range(source, target, data, end)?;
        at = end;
    }
    Ok(())
}

/// The next data or hole; none if there is no more of it.
pub(crate) fn seek(file: &File, from: u64, whence: Whence) -> io::Result<Option<u64>> {
    let from = i64::try_from(from).map_err(io::Error::other)?;
    match lseek64(file.as_fd(), from, whence) {
        Ok(at) => u64::try_from(at).map(Some).map_err(io::Error::other),
        Err(nix::errno::Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn copy_range(source: &File, target: &File, from: u64, end: u64) -> io::Result<()> {
    let start = i64::try_from(from).map_err(io::Error::other)?;
    let (mut read, mut write) = (start, start);
    let mut left = usize::try_from(end - from).map_err(io::Error::other)?;
    while left > 0 {
        let copied = copy_file_range(source, Some(&mut read), target, Some(&mut write), left)?;
        if copied == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= copied;
    }
    Ok(())
}

fn template_name(size: DiskMib) -> String {
    format!("ext4-{TEMPLATE_FORMAT}-{}", size.0)
}

/// A formatted, empty disk of this size, to be copied.
fn template(state: &StateDir, size: DiskMib) -> Result<File, AgentFault> {
    let path = state.templates().join(template_name(size));
    let _alone = FORMATTING.lock().unwrap_or_else(PoisonError::into_inner);
    if !path.exists() {
        make_template(state, &path, size)?;
        forget_templates(state)?;
    }
    let file = File::options().read(true).write(true).open(&path);
    let file = file.map_err(AgentFault::file("open", &path))?;
    // So that those used last are known.
    let used = file.set_modified(SystemTime::now());
    used.map_err(AgentFault::file("mark as used", path))?;
    Ok(file)
}

fn make_template(state: &StateDir, path: &Path, size: DiskMib) -> Result<(), AgentFault> {
    let unfinished = path.with_extension("new");
    let file = new_file(&unfinished)?;
    file.set_len(bytes(size))
        .map_err(AgentFault::file("size", &unfinished))?;
    format(state, &unfinished)?;
    file.sync_all()
        .map_err(AgentFault::file("sync", &unfinished))?;
    fs::rename(&unfinished, path).map_err(AgentFault::file("rename", unfinished))
}

/// Deletes those that were not used for longest.
fn forget_templates(state: &StateDir) -> Result<(), AgentFault> {
    let known = templates(state)?;
    let many = known.len().saturating_sub(TEMPLATES_MAX);
    known
        .iter()
        .take(many)
        .try_for_each(|(_, path)| vnode_dir::remove_file(path))
}

/// Templates, and when each was used; the one used last is last.
fn templates(state: &StateDir) -> Result<Vec<(SystemTime, PathBuf)>, AgentFault> {
    let dir = state.templates();
    let named = |source| AgentFault::file("list", dir.clone())(source);
    let mut known = Vec::new();
    for entry in fs::read_dir(&dir).map_err(named)? {
        let entry = entry.map_err(named)?;
        let found = entry.metadata().map_err(named)?;
        if found.is_file() {
            known.push((found.modified().map_err(named)?, entry.path()));
        }
    }
    known.sort();
    Ok(known)
}

/// Formats with little to copy: all metadata together, nothing written that a hole says as well, the layer's
/// directories in it already. Room is kept to grow while mounted.
fn format(state: &StateDir, file: &Path) -> Result<(), AgentFault> {
    let seed = state.templates().join("seed");
    given_to(Layer::within(&seed), 0)?;
    let (seed, file) = (seed.display().to_string(), file.display().to_string());
    let (block, journal) = (BLOCK_BYTES.to_string(), format!("size={JOURNAL_MIB}"));
    let extended = "root_owner=0:0,packed_meta_blocks=1,lazy_itable_init=0,lazy_journal_init=1,nodiscard,assume_storage_prezeroed=1";
    let features = "has_journal,extent,64bit,metadata_csum,meta_bg,^resize_inode";
    let arguments = [
        "-q",
        "-F",
        "-m",
        "0",
        "-e",
        "remount-ro",
        "-b",
        &block,
        "-J",
        &journal,
        "-G",
        "4096",
        "-O",
        features,
        "-E",
        extended,
        "-d",
        &seed,
        &file,
    ];
    run(MKFS, &arguments, "").map(|_| ())
}

/// Mounts a disk's file. Programs are run through the root file system above it only, so nothing here is honoured
/// that could give rights on the worker. One that is a device already, as another mount namespace has its mount yet, becomes no
/// second one: two with one content ruin it.
pub(crate) fn mount_file(file: &Path, point: &Path) -> Result<(), AgentFault> {
    if loop_device::is_open_to_write(file)?
        && let Some(device) = loop_device::attached_to(file)?.first()
    {
        return mount_device(device, point);
    }
    let device = loop_device::attach(file, BLOCK_BYTES)?;
    mount_device(&device.path, point)
}

/// Mounts a disk that is attached.
pub(crate) fn mount_device(device: &Path, point: &Path) -> Result<(), AgentFault> {
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOATIME;
    let options = OPTIONS.join(",");
    mount(
        Some(device),
        point,
        Some("ext4"),
        flags,
        Some(options.as_str()),
    )
    .map_err(|errno| AgentFault::file("mount the disk", point)(errno.into()))
}

/// Removes from a file system that nobody owns yet what the template has for vnodes.
pub(crate) fn empty_of_template(point: &Path) -> Result<(), AgentFault> {
    let root = fs::metadata(point).map_err(AgentFault::file("look at", point))?;
    if root.uid() != 0 {
        return Ok(());
    }
    for name in ["upper", "work", "lost+found"] {
        let path = point.join(name);
        match fs::remove_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AgentFault::file("delete", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Mounts a disk that nobody uses, for reading only.
pub(crate) fn mount_to_read(file: &Path, point: &Path) -> Result<(), AgentFault> {
    let device = loop_device::attach(file, BLOCK_BYTES)?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some(&device.path), point, Some("ext4"), flags, None::<&str>)
        .map_err(|errno| AgentFault::file("mount the disk", point)(errno.into()))
}

pub(crate) fn bytes(size: DiskMib) -> u64 {
    size.0.saturating_mul(1 << 20)
}

/// Unmounts a vnode's disk; answers whether nobody holds it any more.
fn detach(state: &StateDir, id: VnodeId) -> Result<bool, AgentFault> {
    let file = state.disk_file(id);
    unmount(&state.disk(id))?;
    Ok(!file.exists() || loop_device::wait_detached(&file)?)
}

/// Unmounts a vnode's disk, so that nothing is written to it any more.
pub(crate) fn let_go(state: &StateDir, id: VnodeId) -> Result<(), AgentFault> {
    if detach(state, id)? {
        return Ok(());
    }
    Err(AgentFault::Moving(
        "another mount namespace holds its disk".to_owned(),
    ))
}

/// Unmounts a vnode's disk and deletes it.
pub(crate) fn remove_disk(state: &StateDir, id: VnodeId) -> Result<(), AgentFault> {
    let file = state.disk_file(id);
    if !detach(state, id)? {
        tracing::warn!(%id, "another mount namespace holds its disk: the space is free when that ends");
    }
    for path in [file.with_extension("new"), file] {
        vnode_dir::remove_file(&path)?;
    }
    Ok(())
}

/// The whole disk of the machine on which a path is, as `major:minor`; none if the kernel has no single disk for it.
pub(crate) fn whole_disk_of(path: &Path) -> Option<(u64, u64)> {
    let device = fs::metadata(path).ok()?.dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let shown = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let whole = if shown.join("partition").exists() {
        shown.parent()?.to_owned()
    } else {
        shown
    };
    let text = fs::read_to_string(whole.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
