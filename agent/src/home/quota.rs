//! What a home on a worker's own disk may hold: it is a file system of its own in a sparse file, as vnodes' disks are, so
//! the quota is hard in bytes and files, and `df` tells it.
//!
//! It grows as disks do. A smaller quota takes nothing away: the file system stays as large as it is, and what is beyond
//! the quota is kept back from everybody by ext4's reserve for its own use. So it holds at once, whatever is in the home,
//! and nothing that a crash could cut short ever moves a person's files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use docklet_control::amount::DiskMib;
use docklet_control::id::UserId;
use nix::sys::statvfs::statvfs;

use super::Homes;
use crate::disk::{self, BLOCK_BYTES, bytes, grow};
use crate::fault::AgentFault;
use crate::loop_device::wait_detached;
use crate::rootfs::{is_mounted, mounted_device, unmount};
use crate::vnode_dir::StateDir;

/// Held while a home is mounted or sized: two vnodes of one person may need it at the same moment.
static SIZING: Mutex<()> = Mutex::new(());

/// Where ext4 tells of file systems, by the names of their devices.
const EXT4: &str = "/sys/fs/ext4";
/// What the kernel keeps back of a file system by itself: a fiftieth, and no more than this (fs/ext4/super.c).
const KEPT_SHARE: u64 = 50;
const KEPT_BLOCKS_MAX: u64 = 4_096;

/// The file that is a home, and where it is mounted.
struct Home {
    file: PathBuf,
    point: PathBuf,
}

impl Home {
    fn of(homes: &Homes, user: UserId) -> Self {
        Self {
            file: homes.dir.join(format!("u{user}{IMAGE}")),
            point: homes.dir.join(format!("u{user}")),
        }
    }
}

/// Ends the names of files that are homes.
const IMAGE: &str = ".img";

/// Makes and mounts a person's home, whose directory is there already, and lets it hold so much.
pub(super) fn mount(
    state: &StateDir,
    homes: &Homes,
    user: UserId,
    quota: DiskMib,
) -> Result<(), AgentFault> {
    let _alone = SIZING.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Home::of(homes, user);
    if !home.file.exists() {
        if has_files(&home.point)? {
            tracing::warn!(%user, "the home has no quota: an older agent made it, and its files are on the worker's own disk");
            return Ok(());
        }
        disk::create(state, &home.file, quota)?;
    }
    grow_still(&home, quota)?;
    if !is_mounted(&home.point)? {
        mounted_from_file(&home)?;
    }
    fit(&home, quota)
}

/// Lets a home that is mounted hold so much.
///
/// # Errors
/// The kernel does not take it.
pub(crate) fn resize(homes: &Homes, user: UserId, quota: DiskMib) -> Result<(), AgentFault> {
    let _alone = SIZING.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Home::of(homes, user);
    if homes.mounted || !is_mounted(&home.point)? {
        // The next start mounts it with what it may hold then.
        return Ok(());
    }
    fit(&home, quota)
}

/// People whose homes are mounted here.
///
/// # Errors
/// A directory cannot be read.
pub(crate) fn mounted(homes: &Homes) -> Result<Vec<UserId>, AgentFault> {
    if homes.mounted {
        return Ok(Vec::new());
    }
    let entries = match fs::read_dir(&homes.dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(AgentFault::file("list", &homes.dir))?,
    };
    let mut users = Vec::new();
    for entry in entries {
        let entry = entry.map_err(AgentFault::file("list", &homes.dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix('u').and_then(|n| n.strip_suffix(IMAGE));
        users.extend(number.and_then(|n| n.parse().ok()).map(UserId));
    }
    let mut found = Vec::new();
    for user in users {
        if is_mounted(&Home::of(homes, user).point)? {
            found.push(user);
        }
    }
    Ok(found)
}

/// Unmounts homes of people who have no vnode here. What is in them stays.
///
/// # Errors
/// One is in use.
pub(crate) fn sweep(homes: &Homes, used: &[UserId]) -> Result<(), AgentFault> {
    let _alone = SIZING.lock().unwrap_or_else(PoisonError::into_inner);
    for user in mounted(homes)?.iter().filter(|user| !used.contains(user)) {
        unmount(&Home::of(homes, *user).point)?;
    }
    Ok(())
}

fn has_files(dir: &Path) -> Result<bool, AgentFault> {
    let mut entries = fs::read_dir(dir).map_err(AgentFault::file("list", dir))?;
    Ok(entries.next().is_some())
}

fn mounted_from_file(home: &Home) -> Result<(), AgentFault> {
    disk::mount_file(&home.file, &home.point)?;
    disk::empty_of_template(&home.point)
}

/// Where a file system that is in use cannot be enlarged, it grows before it is mounted; if others have it mounted, then
/// the next time.
fn grow_still(home: &Home, quota: DiskMib) -> Result<(), AgentFault> {
    let fits = grow::works_mounted() || length(home)? >= bytes(quota);
    if fits || is_mounted(&home.point)? || !wait_detached(&home.file)? {
        return Ok(());
    }
    grow::enlarge_still(&home.file, quota)
}

fn length(home: &Home) -> Result<u64, AgentFault> {
    let found = fs::metadata(&home.file);
    Ok(found
        .map_err(AgentFault::file("look at", &home.file))?
        .len())
}

fn fit(home: &Home, quota: DiskMib) -> Result<(), AgentFault> {
    if length(home)? < bytes(quota) && grow::works_mounted() {
        grow::enlarge_mounted(&home.file, &home.point, quota)?;
    }
    keep_back(home, quota)
}

/// Takes what is beyond the quota from everybody, and gives back what is not.
fn keep_back(home: &Home, quota: DiskMib) -> Result<(), AgentFault> {
    let Some(device) = mounted_device(&home.point)? else {
        return Ok(());
    };
    let named = AgentFault::file("look at", &home.point);
    let data_blocks = statvfs(&home.point)
        .map_err(|errno| named(errno.into()))?
        .blocks();
    let block = u64::from(BLOCK_BYTES);
    let kept = kept_back(length(home)? / block, data_blocks, bytes(quota) / block);
    let name = device.file_name().unwrap_or_default();
    let path = Path::new(EXT4).join(name).join("reserved_clusters");
    let text = kept.to_string();
    fs::write(&path, &text).map_err(AgentFault::file("write", &path))?;
    let found = fs::read_to_string(&path).map_err(AgentFault::file("read", &path))?;
    if found.trim() == text {
        return Ok(());
    }
    Err(AgentFault::Limit {
        key: path.display().to_string(),
        wanted: text,
        found: found.trim().to_owned(),
    })
}

/// Blocks that nobody gets: what the kernel keeps anyhow, and of those for data the share that is beyond the quota.
fn kept_back(all: u64, data: u64, quota: u64) -> u64 {
    let usual = (all / KEPT_SHARE).min(KEPT_BLOCKS_MAX);
    let beyond = u128::from(all.saturating_sub(quota)) * u128::from(data) / u128::from(all.max(1));
    // Less than there are in any case.
    usual
        + u64::try_from(beyond)
            .unwrap_or(u64::MAX)
            .min(data.saturating_sub(usual + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_quota_is_kept_back_and_never_more_than_there_is() {
        let (gib, data) = (262_144, 250_000);
        assert_eq!(kept_back(gib, data, gib), 4_096, "what the kernel keeps");
        assert_eq!(kept_back(gib, data, gib * 2), 4_096);
        assert_eq!(kept_back(gib, data, gib / 2), 4_096 + 125_000);
        assert!(kept_back(gib, data, 0) < data);
        assert_eq!(
            kept_back(16_384, 14_000, 16_384),
            327,
            "as Linux tells of 64 MiB"
        );
        assert_eq!(kept_back(0, 0, 0), 0);
    }
}
