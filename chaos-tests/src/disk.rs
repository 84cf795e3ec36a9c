//! Disks that fail: a small one that fills up, and one whose writes fail though it seems to have room.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use nix::mount::{MntFlags, umount2};

use crate::process;

/// What a master's disk is like.
#[derive(Clone, Copy, Debug)]
pub enum DiskKind {
    /// An ext4 of so many MiB.
    Small(u64),
    /// An ext4 that seems to have 512 MiB, of which only so many can be written: what is more is taken and fails
    /// later, when it is synced.
    Rotten(u64),
}

/// A mounted disk; dropping it unmounts it.
pub struct Disk {
    point: PathBuf,
}

impl Disk {
    /// Makes a disk and mounts it at `point`; its image is kept beside that.
    pub fn mount(kind: DiskKind, point: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(point)?;
        let below = point.with_extension("image");
        fs::create_dir_all(&below)?;
        let mib = match kind {
            DiskKind::Small(mib) => mib,
            DiskKind::Rotten(real) => {
                let mut mount = Command::new("mount");
                mount.args(["-t", "tmpfs", "-o", &format!("size={real}m"), "tmpfs"]);
                process::run(mount.arg(&below))?;
                512
            }
        };
        let image = below.join("ext4");
        File::create(&image)?.set_len(mib << 20)?;
        process::run(
            Command::new("mkfs.ext4")
                .args(["-q", "-m", "0", "-E", "lazy_itable_init=1,nodiscard"])
                .arg(&image),
        )?;
        process::run(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(&image)
                .arg(point),
        )?;
        Ok(Self {
            point: point.to_owned(),
        })
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> anyhow::Result<()> {
        let path = self.point.join("ballast");
        let mut ballast = File::create(&path).context("make the ballast")?;
        let block = vec![0; 64 << 10];
        while std::io::Write::write_all(&mut ballast, &block).is_ok() {}
        // Whether this is full as well does not matter.
        let _ = ballast.sync_all();
        Ok(())
    }

    /// Gives the room back.
    pub fn relieve(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.point.join("ballast"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.point, MntFlags::MNT_DETACH);
        let _ = umount2(&self.point.with_extension("image"), MntFlags::MNT_DETACH);
    }
}

/// Unmounts everything below a directory, the newest first: a killed test leaves its disks.
pub fn unmount_below(dir: &Path) -> anyhow::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read the table of mounts")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let mut below: Vec<&Path> = points
        .map(Path::new)
        .filter(|point| point.starts_with(dir))
        .collect();
    below.reverse();
    for point in below {
        umount2(point, MntFlags::MNT_DETACH)
            .with_context(|| format!("unmount {}", point.display()))?;
    }
    Ok(())
}
