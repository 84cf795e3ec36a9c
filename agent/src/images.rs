//! Images on this worker: `images/DIGEST/{blob.tar.zst,rootfs/}`, named by the SHA-256 of the blob.
//!
//! A blob is written to a staging file while its digest is computed, unpacked beside it, and only then renamed into
//! place: whatever has its final name is whole and verified.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use docklet_control::id::Digest;
use sha2::{Digest as _, Sha256};
use tar::{Archive, EntryType};

use crate::fault::AgentFault;
use crate::vnode_dir::make_dir;

/// Files of one image at most.
const ENTRIES_MAX: u64 = 2_000_000;
/// Unpacked size of one image at most: 64 GiB.
const UNPACKED_BYTES_MAX: u64 = 64 << 30;

/// The images of a worker.
#[derive(Clone, Debug)]
pub struct ImageStore {
    dir: PathBuf,
}

/// A blob that is being received.
pub struct Receiving {
    store: ImageStore,
    wanted: Digest,
    bytes_max: u64,
    received: u64,
    hasher: Sha256,
    staging: PathBuf,
    file: fs::File,
}

impl ImageStore {
    /// The images below `dir`. What an earlier process left unfinished is deleted.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open(dir: PathBuf) -> Result<Self, AgentFault> {
        make_dir(&dir, 0o711)?;
        for entry in fs::read_dir(&dir).map_err(AgentFault::file("list", dir.clone()))? {
            let path = entry.map_err(AgentFault::file("list", dir.clone()))?.path();
            if path.extension().is_some_and(|e| e == "staging") {
                fs::remove_dir_all(&path).map_err(AgentFault::file("delete", path))?;
            }
        }
        Ok(Self { dir })
    }

    /// Images that are here, whole and verified.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>, AgentFault> {
        let named = |source| AgentFault::file("list", self.dir.clone())(source);
        let mut digests = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(named)? {
            let name = entry.map_err(named)?.file_name();
            digests.extend(name.to_string_lossy().parse::<Digest>());
        }
        Ok(digests)
    }

    /// Whether the image is here.
    #[must_use]
    pub fn holds(&self, digest: Digest) -> bool {
        self.dir.join(digest.to_string()).exists()
    }

    /// Its root directory.
    #[must_use]
    pub fn rootfs(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string()).join("rootfs")
    }

    /// Its blob, to give to another worker.
    #[must_use]
    pub fn blob(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string()).join("blob.tar.zst")
    }

    /// Begins to receive a blob of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// The staging directory cannot be made.
    pub fn receive(&self, wanted: Digest, bytes_max: u64) -> Result<Receiving, AgentFault> {
        let unique: u64 = rand::random();
        let staging = self.dir.join(format!("{wanted}-{unique:016x}.staging"));
        make_dir(&staging, 0o711)?;
        let path = staging.join("blob.tar.zst");
        let file = fs::File::create(&path).map_err(AgentFault::file("make", path))?;
        Ok(Receiving {
            store: self.clone(),
            wanted,
            bytes_max,
            received: 0,
            hasher: Sha256::new(),
            staging,
            file,
        })
    }
}

impl Receiving {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// There are too many, or the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), AgentFault> {
        self.received += bytes.len() as u64;
        if self.received > self.bytes_max {
            return Err(self.unfit("it is longer than was said"));
        }
        self.hasher.update(bytes);
        let path = self.staging.clone();
        self.file
            .write_all(bytes)
            .map_err(AgentFault::file("write", path))
    }

    /// Checks the digest, unpacks, and puts the image into place.
    ///
    /// # Errors
    /// The digest is another, or the archive is hostile or damaged. Nothing of it stays.
    pub fn finish(mut self) -> Result<(), AgentFault> {
        let found: [u8; 32] = self.hasher.finalize_reset().into();
        if found != self.wanted.0 {
            return Err(self.unfit("its bytes have another digest"));
        }
        self.file
            .sync_all()
            .map_err(AgentFault::file("sync", self.staging.clone()))?;
        let root = self.staging.join("rootfs");
        make_dir(&root, 0o755)?;
        let blob = fs::File::open(self.staging.join("blob.tar.zst"))
            .map_err(AgentFault::file("read", self.staging.clone()))?;
        unpack(blob, &root).map_err(|cause| self.unfit(&cause))?;
        let place = self.store.dir.join(self.wanted.to_string());
        if place.exists() {
            return Ok(());
        }
        fs::rename(&self.staging, &place).map_err(AgentFault::file("put into place", place))
    }

    fn unfit(&self, cause: &str) -> AgentFault {
        AgentFault::Image {
            digest: self.wanted.to_string(),
            cause: cause.to_owned(),
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        // After success the staging directory is gone; otherwise nothing of it may stay.
        if self.staging.exists()
            && let Err(error) = fs::remove_dir_all(&self.staging)
        {
            tracing::warn!(%error, path = %self.staging.display(), "staging not deleted");
        }
    }
}

/// Unpacks an archive below `root`, which must be new. One parser both checks and unpacks.
fn unpack(blob: impl Read, root: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let decoder = zstd::stream::read::Decoder::new(blob).map_err(text)?;
    let mut archive = Archive::new(decoder.take(UNPACKED_BYTES_MAX));
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(false);
    archive.set_overwrite(true);
    let mut entries = 0;
    for entry in archive.entries().map_err(text)? {
        let mut entry = entry.map_err(text)?;
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(format!("it has more than {ENTRIES_MAX} entries"));
        }
        if is_device(entry.header().entry_type()) {
            continue;
        }
        let unpacked = entry.unpack_in(root).map_err(text)?;
        if !unpacked {
            let path = entry
                .path()
                .map(|p| p.display().to_string())
                .unwrap_or_default();
            return Err(format!("entry {path:?} points outside of the image"));
        }
    }
    Ok(())
}

/// Containers get a device directory of their own; an image brings none.
fn is_device(kind: EntryType) -> bool {
    matches!(kind, EntryType::Block | EntryType::Char | EntryType::Fifo)
}
