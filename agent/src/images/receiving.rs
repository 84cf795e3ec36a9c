//! A blob on its way here: written and verified as it comes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;

use docklet_control::id::Digest;
use sha2::{Digest as _, Sha256};

use super::{BLOB, ImageStore};
use crate::archive::stop::Stop;
use crate::fault::AgentFault;

/// A blob that is being received.
pub struct Receiving {
    store: ImageStore,
    wanted: Digest,
    bytes_max: u64,
    received: u64,
    hasher: Sha256,
    staging: PathBuf,
    /// None if the image is here already, and the bytes are only verified.
    file: Option<File>,
    /// Whether another attempt may go on with what came.
    kept: bool,
}

impl Receiving {
    pub(super) fn begin(
        store: ImageStore,
        wanted: Digest,
        bytes_max: u64,
        staging: PathBuf,
        written: bool,
    ) -> Result<Self, AgentFault> {
        let path = staging.join(BLOB);
        let make = || File::create_new(&path).map_err(AgentFault::file("make", &path));
        let file = written.then(make).transpose()?;
        Ok(Self {
            store,
            wanted,
            bytes_max,
            received: 0,
            hasher: Sha256::new(),
            staging,
            file,
            kept: false,
        })
    }

    /// Goes on with what is in `partial`.
    pub(super) fn resume(
        store: ImageStore,
        wanted: Digest,
        bytes_max: u64,
        partial: PathBuf,
    ) -> Result<Self, AgentFault> {
        let path = partial.join(BLOB);
        let named = |act| AgentFault::file(act, &path);
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(named("open"))?;
        if file.metadata().map_err(named("measure"))?.len() > bytes_max {
            file.set_len(0).map_err(named("cut"))?;
        }
        let (mut hasher, mut received, mut chunk) = (Sha256::new(), 0, vec![0; 256 << 10]);
        loop {
            let length = file.read(&mut chunk).map_err(named("read"))?;
            if length == 0 {
                break;
            }
            hasher.update(&chunk[..length]);
            received += length as u64;
        }
        Ok(Self {
            store,
            wanted,
            bytes_max,
            received,
            hasher,
            staging: partial,
            file: Some(file),
            kept: true,
        })
    }

    /// Bytes that are here: the sender may go on after them.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Forgets what came: the sender begins anew.
    ///
    /// # Errors
    /// The file cannot be cut.
    pub fn restart(&mut self) -> Result<(), AgentFault> {
        if let Some(file) = &self.file {
            file.set_len(0)
                .map_err(AgentFault::file("cut", &self.staging))?;
        }
        self.hasher = Sha256::new();
        self.received = 0;
        Ok(())
    }

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
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(bytes)
            .map_err(AgentFault::file("write", &self.staging))?;
        if self.kept {
            self.store
                .told_progress(self.wanted, self.received, self.bytes_max);
        }
        Ok(())
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
        let Some(file) = &self.file else {
            return Ok(());
        };
        file.sync_all()
            .map_err(AgentFault::file("sync", &self.staging))?;
        let settled = self
            .store
            .settle(self.wanted, &self.staging, &Stop::default());
        self.kept &= settled.is_ok();
        settled
    }

    /// With what it has been sent nothing can be done.
    fn unfit(&mut self, cause: &str) -> AgentFault {
        self.kept = false;
        AgentFault::Image {
            digest: self.wanted.to_string(),
            cause: cause.to_owned(),
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        // After success the directory is gone; what was only begun stays for the next attempt, or nothing may.
        if !self.kept
            && self.staging.exists()
            && let Err(error) = fs::remove_dir_all(&self.staging)
        {
            tracing::warn!(%error, path = %self.staging.display(), "staging not deleted");
        }
    }
}
