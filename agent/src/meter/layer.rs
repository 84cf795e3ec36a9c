//! Bytes that vnodes' own layers take on the disk.
//!
//! A layer with a file system of its own tells at once. Any other must be walked, file by file; that is done by one
//! thread which rests two hundred times as long as a walk took, so that it never takes more than half a percent of a
//! core. What is walked belongs to the vnode and may change under our hands: no link is ever followed.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::id::VnodeId;
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::sys::statvfs::statvfs;

/// A walk is followed by a rest of so many times its length.
const REST: u32 = 200;
/// All layers are walked this often at most.
const EVERY: Duration = Duration::from_secs(60);
/// Directories below each other; what is deeper is not counted.
const DEPTH_MAX: usize = 128;

/// Sizes as of the last walk.
#[derive(Default)]
pub struct Layers {
    known: Mutex<BTreeMap<VnodeId, u64>>,
}

impl Layers {
    /// Bytes of a vnode's layer below its directory, as far as they are known.
    #[must_use]
    pub fn bytes(&self, id: VnodeId, dir: &Path) -> Option<u64> {
        own_file_system(dir).or_else(|| {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&id).copied()
        })
    }

    /// Walks all layers once; answers how long to rest.
    pub fn walk(&self, vnodes: &[(VnodeId, PathBuf)]) -> Duration {
        let begun = Instant::now();
        let mut known = BTreeMap::new();
        for (id, dir) in vnodes {
            if own_file_system(dir).is_none() {
                known.extend(walk(&dir.join("upper")).map(|bytes| (*id, bytes)));
            }
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        (begun.elapsed() * REST).max(EVERY)
    }
}

/// Bytes in use on the layer's own file system, if it has one.
fn own_file_system(dir: &Path) -> Option<u64> {
    // On the vnode's disk, or beside it where an agent of before disks put it.
    let upper = ["disk/upper", "upper"].map(|below| dir.join(below));
    let upper = upper.into_iter().find(|upper| upper.exists())?;
    let device = |path: &Path| std::fs::symlink_metadata(path).ok().map(|meta| meta.dev());
    if device(&upper)? == device(dir)? {
        return None;
    }
    let fs = statvfs(&upper).ok()?;
    Some((fs.blocks() - fs.blocks_free()) * fs.fragment_size())
}

/// Bytes on disk of a directory with all that is in it.
pub(crate) fn walk(dir: &Path) -> Option<u64> {
    let root = nix::fcntl::open(dir, DIRECTORY, Mode::empty()).ok()?;
    Some(below(root, 0))
}

/// Never through a link: what is renamed meanwhile leads nowhere else.
const DIRECTORY: OFlag = OFlag::O_DIRECTORY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// What is in an open directory. Each link of a file that has several counts as a share of it.
fn below(dir: OwnedFd, depth: usize) -> u64 {
    const BLOCK_BYTES: u64 = 512;
    let Ok(mut dir) = Dir::from_fd(dir) else {
        return 0;
    };
    let names: Vec<CString> = dir
        .iter()
        .flatten()
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| name.as_c_str() != c"." && name.as_c_str() != c"..")
        .collect();
    let mut bytes = 0;
    for name in names {
        let at = (dir.as_fd(), name.as_c_str());
        let Ok(stat) = fstatat(at.0, at.1, AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK_BYTES;
        if stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits() {
            bytes += blocks;
            if let (true, Ok(inner)) = (
                depth < DEPTH_MAX,
                openat(at.0, at.1, DIRECTORY, Mode::empty()),
            ) {
                bytes += below(inner, depth + 1);
            }
        } else {
            bytes += blocks / stat.st_nlink.max(1);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_layer_is_as_large_as_its_files_and_links_lead_nowhere() {
        let dir = tempfile::tempdir().expect("a directory");
        let vnode = dir.path().join("v7");
        let deep = vnode.join("upper/a/b/c");
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("file"), vec![1; 300_000]).expect("written");
        fs::hard_link(deep.join("file"), deep.join("twin")).expect("linked");
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("huge"), vec![1; 9_000_000]).expect("written");
        std::os::unix::fs::symlink(&outside, vnode.join("upper/escape")).expect("linked");

        let layers = Layers::default();
        let id = VnodeId(7);
        assert_eq!(layers.bytes(id, &vnode), None, "not walked yet");
        let rest = layers.walk(&[(id, vnode.clone())]);
        assert!(rest >= EVERY);
        let bytes = layers.bytes(id, &vnode).expect("walked");
        assert!((300_000..400_000).contains(&bytes), "{bytes}");
        layers.walk(&[]);
        assert_eq!(layers.bytes(id, &vnode), None, "what is gone is forgotten");
    }
}
