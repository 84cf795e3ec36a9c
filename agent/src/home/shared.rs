//! The home that all vnodes of a user share, at `~/nfs`: a directory for each user in a place of the worker's
//! configuration. On a file system that all workers mount it is one home; on a worker's own disk each worker has one.
//!
//! Files in it belong to the user's range of ids, on the disk as well: `docs/adr/0017-homes.md` says why not mapped.

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use docklet_control::id::UserId;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown};

use crate::fault::AgentFault;

/// Says to which cluster the homes belong: two clusters number their users alike.
const CLUSTER: &str = ".docklet-cluster";
const DIRECTORY: OFlag = OFlag::O_DIRECTORY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Where a worker keeps homes.
#[derive(Clone, Debug)]
pub struct Homes {
    /// Absolute.
    pub dir: PathBuf,
    /// Whether a file system must be mounted right there: then nothing is ever written below it when it is not.
    pub mounted: bool,
}

impl Homes {
    /// Makes sure that the user's home is there, and answers where. `sized` makes it hold what it may, between making its
    /// directory and giving that over.
    ///
    /// # Errors
    /// The shared file system is not mounted, belongs to another cluster, or does not let the user own the home.
    pub fn ensure(
        &self,
        cluster: &[u8; 16],
        user: UserId,
        uid: u32,
        sized: impl FnOnce(UserId) -> Result<(), AgentFault>,
    ) -> Result<PathBuf, AgentFault> {
        let root = self.open()?;
        self.claim(&root, cluster)?;
        let name = format!("u{user}");
        let path = self.dir.join(&name);
        let named = |act| AgentFault::file(act, path.clone());
        let errno = |act| {
            let named = named(act);
            move |errno: nix::Error| named(errno.into())
        };
        match mkdirat(root.as_fd(), name.as_str(), Mode::S_IRWXU) {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(errno("make")(error)),
        }
        sized(user)?;
        let home = openat(root.as_fd(), name.as_str(), DIRECTORY, Mode::empty());
        let home = home.map_err(errno("open"))?;
        let owner = fstat(home.as_fd()).map_err(errno("look at"))?.st_uid;
        if owner == 0 {
            // Made just now, or by an attempt that was cut off here.
            fchown(
                home.as_fd(),
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(uid)),
            )
            .map_err(errno("give to the user's ids"))?;
            fchmodat(
                root.as_fd(),
                name.as_str(),
                Mode::S_IRWXU,
                FchmodatFlags::FollowSymlink,
            )
            .map_err(errno("set the mode of"))?;
        }
        let owner = fstat(home.as_fd()).map_err(errno("look at"))?.st_uid;
        if owner != uid {
            return Err(AgentFault::Home {
                path,
                cause: format!(
                    "it belongs to user id {owner}, and this user's begin at {uid}: its file system \
                     must keep owners, and what another cluster made must be given over with chown -R"
                ),
            });
        }
        Ok(path)
    }

    /// The directory itself. If it has to be a mounted file system, it is that one's root and nothing below it.
    fn open(&self) -> Result<OwnedFd, AgentFault> {
        if !self.mounted {
            crate::vnode_dir::make_dir(&self.dir, 0o711)?;
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = nix::fcntl::open(&self.dir, flags, Mode::empty());
        let root = opened.map_err(|errno| AgentFault::file("open", &self.dir)(errno.into()))?;
        if self.mounted && !is_root_of_mount(&root, &self.dir)? {
            return Err(AgentFault::Home {
                path: self.dir.clone(),
                cause: "nothing is mounted there, and the configuration says home_mounted: mount the shared \
                        file system, then vnodes start by themselves"
                    .to_owned(),
            });
        }
        Ok(root)
    }

    /// Writes whose homes these are, or refuses those of another cluster. A worker's own directory is no other's.
    fn claim(&self, root: &OwnedFd, cluster: &[u8; 16]) -> Result<(), AgentFault> {
        if !self.mounted {
            return Ok(());
        }
        let path = self.dir.join(CLUSTER);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(root.as_fd(), CLUSTER, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let opened =
            opened.map_err(|errno| AgentFault::file("open", path.clone())(errno.into()))?;
        let mut file = fs::File::from(opened);
        let mut found = String::new();
        file.read_to_string(&mut found)
            .map_err(AgentFault::file("read", path.clone()))?;
        let own: String = cluster.iter().map(|byte| format!("{byte:02x}")).collect();
        match found.trim() {
            found if found == own => Ok(()),
            // New, or another worker is about to write the same.
            "" => {
                let written = file.write_all_at(own.as_bytes(), 0);
                written.map_err(AgentFault::file("write", path))
            }
            other => Err(AgentFault::Home {
                path: self.dir.clone(),
                cause: format!(
                    "the homes there are those of cluster {}, and this is {own}: give each cluster a directory \
                     of its own, or, if this one takes the other's place, delete {CLUSTER} there",
                    other.escape_debug()
                ),
            }),
        }
    }
}

/// Whether the open directory is the root of what is mounted at `path`: asked of the descriptor, so that what happens
/// to the path meanwhile does not matter.
fn is_root_of_mount(dir: &OwnedFd, path: &Path) -> Result<bool, AgentFault> {
    let info = format!("/proc/self/fdinfo/{}", dir.as_raw_fd());
    let told = fs::read_to_string(&info).map_err(AgentFault::file("read", info))?;
    let table = "/proc/self/mountinfo";
    let mounts = fs::read_to_string(table).map_err(AgentFault::file("read", table))?;
    let id = told.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    Ok(id.is_some_and(|id| {
        mount_point(&mounts, id.trim()).as_deref() == Some(path.as_os_str().as_bytes())
    }))
}

/// Where the mount of this number is, of a `mountinfo`. Blanks and the like are written as octal there.
fn mount_point(mounts: &str, id: &str) -> Option<Vec<u8>> {
    let mut lines = mounts.lines().map(|line| line.split(' '));
    let mut fields = lines.find_map(|mut fields| (fields.next()? == id).then_some(fields))?;
    let written = fields.nth(3)?.as_bytes();
    let mut plain = Vec::with_capacity(written.len());
    let mut at = 0;
    while let Some(byte) = written.get(at) {
        let octal = written.get(at + 1..at + 4).filter(|_| *byte == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(meant) => {
                plain.push(meant);
                at += 4;
            }
            None => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_number_and_blanks_are_read_back() {
        let mounts = "21 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n\
            47 21 0:44 / /mnt/shared\\040home rw - fuse.glusterfs h1:homes rw\n";
        assert_eq!(mount_point(mounts, "21").as_deref(), Some(b"/".as_slice()));
        let point = mount_point(mounts, "47");
        assert_eq!(point.as_deref(), Some(b"/mnt/shared home".as_slice()));
        assert_eq!(mount_point(mounts, "4"), None);
    }
}
