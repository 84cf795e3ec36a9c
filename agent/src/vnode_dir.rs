//! Where a vnode's files are on the worker, and what the worker remembers of it.
//!
//! ```text
//! STATE/vnodes/v7/placed.json   what it was prepared for
//!                 surroundings.json   variables and directory of what runs in it
//!                 disk.img      its disk: a sparse file with a file system, as large as its quota
//!                 disk/         that, while mounted; upper/ and work/ in it are the vnode's own layer
//!                 rootfs/       image and own layer together, while mounted
//!                 checkpoint/   what ran in it, by `checkpoint/places.rs`
//!                 meter         what it used, by `meter/history.rs`
//!                 uploads.json  directories in it where uploads began, by `door/uploads.rs`
//!                 etc/          hosts, hostname, resolv.conf: mounted into it read-only
//!                 network       while it starts: the pipe of `lxc/in_place.rs`
//!                 snapshots/    its snapshots, by `snapshot/notes.rs`
//!                 arrived.json  by which move its files came here, if they came from another worker
//! STATE/arriving/v7-41/         such files as long as they come, by `transfer/staging.rs`
//! STATE/lxc/v7/                 liblxc's own file and log
//! STATE/lower/DIGEST-UIDBASE/   an image with shifted ids, while mounted
//! STATE/homes/u1.img           a person's home, mounted at STATE/homes/u1; elsewhere by configuration
//! STATE/gateways/g5             holds the network namespace of a segment's gateway
//! STATE/vnode.seccomp           system calls that no vnode may make
//! STATE/empty/                  covers directories of /proc and /sys in vnodes
//! STATE/programs/               what CRIU finds: itself, what it runs, its settings
//! STATE/tallies/                what vnodes used since they were placed here, by `tally/file.rs`
//! STATE/templates/              empty disks to copy, one for each size
//! STATE/spares/                 copies of the one used last, by `disk/spare.rs`
//! ```
//!
//! Vnodes that an agent of before disks made have `upper/` and `work/` beside `rootfs/`, and keep them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::{Digest, LogIndex, NetworkId, VnodeId};

use crate::container_config::make_empty;
use crate::fault::AgentFault;

/// The state directory and the paths in it.
#[derive(Clone, Debug)]
pub struct StateDir(pub PathBuf);

impl StateDir {
    /// Makes the directories. Containers' users must be able to pass through some, and to see nothing. Nobody else of
    /// the machine comes to an image's or a vnode's files: programs in them may have the setuid bit.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn create(&self) -> Result<(), AgentFault> {
        for dir in ["", "vnodes", "lxc"] {
            make_dir(&self.0.join(dir), 0o711)?;
        }
        for dir in [
            "lower",
            "images",
            "run",
            "templates",
            "spares",
            "gateways",
            "arriving",
        ] {
            make_dir(&self.0.join(dir), 0o700)?;
        }
        make_empty(&self.empty())
    }

    /// Makes a vnode's directory: only root of the machine and of the vnode may pass through it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create_vnode(&self, id: VnodeId, owner: u32) -> Result<(), AgentFault> {
        let dir = self.vnode(id);
        make_dir(&dir, 0o710)?;
        std::os::unix::fs::chown(&dir, None, Some(owner))
            .map_err(AgentFault::file("give to the vnode's root", dir))
    }

    #[must_use]
    pub fn lxc_path(&self) -> PathBuf {
        self.0.join("lxc")
    }

    #[must_use]
    pub fn vnode(&self, id: VnodeId) -> PathBuf {
        self.0.join("vnodes").join(container_name(id))
    }

    #[must_use]
    pub fn rootfs(&self, id: VnodeId) -> PathBuf {
        self.vnode(id).join("rootfs")
    }

    /// The file that is a vnode's disk.
    #[must_use]
    pub fn disk_file(&self, id: VnodeId) -> PathBuf {
        self.vnode(id).join("disk.img")
    }

    /// What ran in a vnode, whole and not used yet: a directory with one file beside the other.
    #[must_use]
    pub fn checkpoint(&self, id: VnodeId) -> PathBuf {
        self.vnode(id).join("checkpoint")
    }

    /// Where a vnode's disk is mounted.
    #[must_use]
    pub fn disk(&self, id: VnodeId) -> PathBuf {
        self.vnode(id).join("disk")
    }

    /// Where files of vnodes are that come from other workers.
    #[must_use]
    pub fn arriving(&self) -> PathBuf {
        self.0.join("arriving")
    }

    /// Where those of one vnode are, by this move.
    #[must_use]
    pub fn arrival(&self, id: VnodeId, number: LogIndex) -> PathBuf {
        self.arriving()
            .join(format!("{}-{number}", container_name(id)))
    }

    #[must_use]
    pub fn templates(&self) -> PathBuf {
        self.0.join("templates")
    }

    #[must_use]
    pub fn spares(&self) -> PathBuf {
        self.0.join("spares")
    }

    #[must_use]
    pub fn lower(&self, image: Digest, uid_base: u32) -> PathBuf {
        self.0.join("lower").join(format!("{image}-{uid_base}"))
    }

    /// Holds the network namespace of a segment's gateway.
    #[must_use]
    pub fn gateway(&self, network: NetworkId) -> PathBuf {
        self.0.join("gateways").join(format!("g{network}"))
    }

    /// Segments of whose gateways there is anything here.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn gateways(&self) -> Result<BTreeSet<NetworkId>, AgentFault> {
        let dir = self.0.join("gateways");
        let named = |source| AgentFault::file("list", dir.clone())(source);
        let mut ids = BTreeSet::new();
        for entry in fs::read_dir(&dir).map_err(named)? {
            let name = entry.map_err(named)?.file_name();
            let name = name.to_string_lossy();
            let id = name.strip_prefix('g').and_then(|id| id.parse().ok());
            ids.extend(id.map(NetworkId));
        }
        Ok(ids)
    }

    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    /// File in which a helper leaves its answer.
    #[must_use]
    pub fn answer(&self, name: &str) -> PathBuf {
        self.0.join("run").join(name)
    }

    /// Directories in which there is nothing.
    #[must_use]
    pub fn empty(&self) -> PathBuf {
        self.0.join("empty")
    }

    /// The rules for system calls of all vnodes.
    #[must_use]
    pub fn seccomp(&self) -> PathBuf {
        self.0.join("vnode.seccomp")
    }

    #[must_use]
    pub fn assignment(&self) -> PathBuf {
        self.0.join("assignment.json")
    }

    /// Vnodes of which there is anything here.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn vnodes(&self) -> Result<Vec<VnodeId>, AgentFault> {
        let dir = self.0.join("vnodes");
        let named = |source| AgentFault::file("list", dir.clone())(source);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&dir).map_err(named)? {
            let name = entry.map_err(named)?.file_name();
            ids.extend(vnode_of(&name.to_string_lossy()));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// What a vnode was prepared for; none if preparing never ended.
    #[must_use]
    pub fn placed(&self, id: VnodeId) -> Option<AssignedVnode> {
        let bytes = fs::read(self.vnode(id).join("placed.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Remembers what a vnode was prepared for.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remember(&self, vnode: &AssignedVnode) -> Result<(), AgentFault> {
        let path = self.vnode(vnode.id).join("placed.json");
        docklet_link::credentials::write_private(&path, &serde_json::to_vec(vnode)?)?;
        Ok(())
    }
}

/// Name of a vnode's container, and of its directory.
#[must_use]
pub fn container_name(id: VnodeId) -> String {
    format!("v{id}")
}

pub(crate) fn vnode_of(name: &str) -> Option<VnodeId> {
    name.strip_prefix('v')?.parse().ok()
}

/// The vnode and the move of such a directory.
pub(crate) fn arrival_of(name: &str) -> Option<(VnodeId, LogIndex)> {
    let (vnode, number) = name.split_once('-')?;
    Some((vnode_of(vnode)?, number.parse().ok()?))
}

/// Makes a directory with this mode, whatever was there.
///
/// # Errors
/// It cannot be made.
pub fn make_dir(path: &Path, mode: u32) -> Result<(), AgentFault> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path).map_err(AgentFault::file("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(AgentFault::file("set the mode of", path))
}

/// Deletes a directory with all that is in it, if it is there.
///
/// # Errors
/// Something of it stays.
pub fn remove_dir(path: &Path) -> Result<(), AgentFault> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(AgentFault::file("delete", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Brings to the disk what a directory has by which names.
///
/// # Errors
/// The disk fails.
pub fn sync_dir(dir: &Path) -> Result<(), AgentFault> {
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(AgentFault::file("sync", dir))
}

/// Deletes a file, if it is there.
///
/// # Errors
/// It cannot be deleted.
pub fn remove_file(path: &Path) -> Result<(), AgentFault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(AgentFault::file("delete", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
