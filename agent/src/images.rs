//! Images on this worker, named by the SHA-256 of the blob.
//!
//! ```text
//! STATE/images/DIGEST/{blob.tar.zst,rootfs/}   whole and verified
//!              DIGEST.partial/                 being fetched from another worker: goes on after a break or a restart
//!              DIGEST-RANDOM.staging/          being brought, or going away: deleted at the next start
//! ```
//!
//! A blob is written beside its place while its digest is computed, unpacked there, and only then renamed: whatever has
//! its final name is whole. The directory is root's alone: setuid files of an image are root's until they are seen
//! through a mount with shifted ids.

mod receiving;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use docklet_control::id::Digest;

use crate::archive::import::{self, Imported};
use crate::archive::pack::Packed;
use crate::archive::stop::Stop;
use crate::archive::{Limits, Unfit, unpack};
use crate::fault::AgentFault;
use crate::vnode_dir::{make_dir, remove_dir};

pub use receiving::Receiving;

pub(crate) const BLOB: &str = "blob.tar.zst";
const ROOTFS: &str = "rootfs";

/// The images of a worker. Clones are the same one.
#[derive(Clone, Debug)]
pub struct ImageStore {
    dir: PathBuf,
    limits: Limits,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held by whoever fetches an image, so that it is fetched once.
    fetching: Mutex<BTreeMap<Digest, Arc<Mutex<()>>>>,
    /// Bytes received so far, and in all, of images that are being fetched.
    progress: Mutex<BTreeMap<Digest, (u64, u64)>>,
    arrivals: Mutex<Arrivals>,
}

/// How often something was brought here, and which of those was the last of each image.
#[derive(Debug, Default)]
struct Arrivals {
    count: u64,
    last: BTreeMap<Digest, u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ImageStore {
    /// The images below `dir`. What an earlier process left unfinished is deleted, but what it was fetching.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open(dir: PathBuf) -> Result<Self, AgentFault> {
        Self::open_within(dir, Limits::default())
    }

    /// The same, with other limits for what is unpacked.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open_within(dir: PathBuf, limits: Limits) -> Result<Self, AgentFault> {
        make_dir(&dir, 0o700)?;
        for path in entries(&dir)? {
            if path.extension().is_some_and(|e| e == "staging") {
                fs::remove_dir_all(&path).map_err(AgentFault::file("delete", path))?;
            }
        }
        Ok(Self {
            dir,
            limits,
            shared: Arc::default(),
        })
    }

    /// Images that are here, whole and verified.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>, AgentFault> {
        let names = entries(&self.dir)?.into_iter();
        let names = names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let mut digests: Vec<Digest> = names.filter_map(|name| name.parse().ok()).collect();
        digests.sort_unstable();
        Ok(digests)
    }

    /// Whether the image is here.
    #[must_use]
    pub fn holds(&self, digest: Digest) -> bool {
        self.place(digest).exists()
    }

    fn place(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    /// Its root directory.
    #[must_use]
    pub fn rootfs(&self, digest: Digest) -> PathBuf {
        self.place(digest).join(ROOTFS)
    }

    /// Its blob, to give to another worker.
    #[must_use]
    pub fn blob(&self, digest: Digest) -> PathBuf {
        self.place(digest).join(BLOB)
    }

    /// Begins to receive a blob of at most `bytes_max` bytes from whoever brings it. If it is here already it is
    /// verified all the same: whoever names a digest must have what it names.
    ///
    /// # Errors
    /// The staging directory cannot be made.
    pub fn receive(&self, wanted: Digest, bytes_max: u64) -> Result<Receiving, AgentFault> {
        let staging = self.staging(&wanted.to_string())?;
        Receiving::begin(
            self.clone(),
            wanted,
            bytes_max,
            staging,
            !self.holds(wanted),
        )
    }

    /// Goes on to receive a blob from another worker where it was left.
    ///
    /// # Errors
    /// The partial directory cannot be made or read.
    pub fn resume(&self, wanted: Digest, bytes_max: u64) -> Result<Receiving, AgentFault> {
        let partial = self.partial(wanted);
        make_dir(&partial, 0o700)?;
        Receiving::resume(self.clone(), wanted, bytes_max, partial)
    }

    /// A directory that goes at the next start if nobody took it away.
    fn staging(&self, name: &str) -> Result<PathBuf, AgentFault> {
        let unique: u64 = rand::random();
        let staging = self.dir.join(format!("{name}-{unique:016x}.staging"));
        make_dir(&staging, 0o700)?;
        Ok(staging)
    }

    fn partial(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{digest}.partial"))
    }

    /// Runs `fetch` unless the image is here, for one caller at a time.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub fn once(
        &self,
        digest: Digest,
        fetch: impl FnOnce() -> Result<(), AgentFault>,
    ) -> Result<(), AgentFault> {
        let turn = lock(&self.shared.fetching)
            .entry(digest)
            .or_default()
            .clone();
        let _alone = lock(&turn);
        if self.holds(digest) {
            return Ok(());
        }
        let fetched = fetch();
        lock(&self.shared.progress).remove(&digest);
        fetched
    }

    /// Images that are being fetched: bytes received so far, and in all.
    #[must_use]
    pub fn progress(&self) -> BTreeMap<Digest, (u64, u64)> {
        lock(&self.shared.progress).clone()
    }

    pub(crate) fn told_progress(&self, digest: Digest, received: u64, bytes: u64) {
        lock(&self.shared.progress).insert(digest, (received, bytes));
    }

    /// Counts that an image was brought, also one that was here already, and makes it news again; answers the number.
    ///
    /// # Errors
    /// It is not here any more.
    pub fn arrived(&self, digest: Digest) -> Result<u64, AgentFault> {
        let mut arrivals = lock(&self.shared.arrivals);
        self.set_age(digest, SystemTime::now())?;
        arrivals.count += 1;
        let number = arrivals.count;
        arrivals.last.insert(digest, number);
        Ok(number)
    }

    /// What came by that arrival is no news any more, unless it has been brought again since. The masters may have it
    /// from somebody else all the same: whether it goes is not decided here.
    ///
    /// # Errors
    /// Its age cannot be changed.
    pub fn is_unwanted(&self, digest: Digest, arrival: u64) -> Result<(), AgentFault> {
        let arrivals = lock(&self.shared.arrivals);
        if arrivals.last.get(&digest) != Some(&arrival) || !self.holds(digest) {
            return Ok(());
        }
        self.set_age(digest, SystemTime::UNIX_EPOCH)
    }

    fn set_age(&self, digest: Digest, came: SystemTime) -> Result<(), AgentFault> {
        let path = self.blob(digest);
        let blob = File::options().append(true).open(&path);
        let set = blob.and_then(|blob| blob.set_modified(came));
        set.map_err(AgentFault::file("set the age of", path))
    }

    /// Images that came within this time: who brought them may not have told the masters yet.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn younger_than(&self, age: Duration) -> Result<Vec<Digest>, AgentFault> {
        let digests = self.list()?.into_iter();
        let young = digests.filter(|digest| {
            let came = fs::metadata(self.blob(*digest)).and_then(|metadata| metadata.modified());
            let came = came.unwrap_or(SystemTime::UNIX_EPOCH);
            came.elapsed().map_or(true, |since| since < age)
        });
        Ok(young.collect())
    }

    /// The same as [`Self::remove`], unless it has been brought within this time.
    ///
    /// # Errors
    /// Those of `remove`.
    pub fn remove_old(&self, digest: Digest, age: Duration) -> Result<(), AgentFault> {
        let arrivals = lock(&self.shared.arrivals);
        if self.younger_than(age)?.contains(&digest) {
            return Ok(());
        }
        self.remove_with(digest, arrivals)
    }

    /// Deletes an image, its blob and its unpacked root. In place it is there whole or not at all.
    ///
    /// # Errors
    /// It cannot be moved aside or deleted.
    pub fn remove(&self, digest: Digest) -> Result<(), AgentFault> {
        self.remove_with(digest, lock(&self.shared.arrivals))
    }

    /// Nothing is counted as having arrived meanwhile.
    fn remove_with(
        &self,
        digest: Digest,
        mut arrivals: MutexGuard<'_, Arrivals>,
    ) -> Result<(), AgentFault> {
        let aside = self.staging(&digest.to_string())?;
        for path in [self.place(digest), self.partial(digest)] {
            let to = aside.join(path.file_name().unwrap_or_default());
            match fs::rename(&path, to) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(AgentFault::file("move aside", path)(error)),
            }
        }
        arrivals.last.remove(&digest);
        drop(arrivals);
        fs::remove_dir_all(&aside).map_err(AgentFault::file("delete", aside))
    }

    /// Images that an earlier process, or this one, began to fetch.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn begun(&self) -> Result<Vec<Digest>, AgentFault> {
        let names = entries(&self.dir)?.into_iter();
        let names = names.filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            name.strip_suffix(".partial")?.parse().ok()
        });
        Ok(names.collect())
    }

    /// Takes an upload of any kind, and makes an image of it, which may have so many bytes.
    ///
    /// # Errors
    /// The directory for it cannot be made.
    pub fn import(
        &self,
        bytes_max: u64,
        blob_bytes_max: Option<u64>,
    ) -> Result<Importing, AgentFault> {
        let staging = self.staging("import")?;
        let path = staging.join("upload");
        let file = File::create_new(&path).map_err(AgentFault::file("make", path))?;
        Ok(Importing {
            limits: Limits {
                blob_bytes_max: blob_bytes_max.unwrap_or(self.limits.blob_bytes_max),
                ..self.limits
            },
            store: self.clone(),
            staging: Staging(staging),
            file,
            bytes_max,
            received: 0,
        })
    }

    /// Makes an image here: `write` packs it into the file [`BLOB`] of the directory that it is given.
    ///
    /// # Errors
    /// Those of `write`, or it cannot be put into place. Nothing of it stays.
    pub(crate) fn make(
        &self,
        name: &str,
        stop: &Stop,
        write: impl FnOnce(&Path, &Limits) -> Result<Packed, AgentFault>,
    ) -> Result<Packed, AgentFault> {
        let staging = Staging(self.staging(name)?);
        let packed = write(&staging.0, &self.limits)?;
        self.settle(packed.digest, &staging.0, stop)?;
        Ok(packed)
    }

    /// Unpacks the blob in `staging` and puts the whole into place, unless it shall stop before.
    fn settle(&self, digest: Digest, staging: &Path, stop: &Stop) -> Result<(), AgentFault> {
        let root = staging.join(ROOTFS);
        remove_dir(&root)?;
        make_dir(&root, 0o755)?;
        let path = staging.join(BLOB);
        let blob = File::open(&path).map_err(AgentFault::file("read", path))?;
        let blob = stop.until(blob);
        unpack::unpack(blob, &root, &self.limits).map_err(|unfit| unfit_image(digest, &unfit))?;
        sync_all(&root)?;
        if stop.is_said() {
            return Err(unfit_image(digest, &Unfit::Stopped));
        }
        let place = self.place(digest);
        if place.exists() {
            return Ok(());
        }
        fs::rename(staging, &place).map_err(AgentFault::file("put into place", place))
    }
}

fn unfit_image(digest: Digest, unfit: &Unfit) -> AgentFault {
    AgentFault::Image {
        digest: digest.to_string(),
        cause: unfit.full_text(),
    }
}

/// What was unpacked is on disk before it gets its final name: after a power cut that name must not stand for less.
fn sync_all(root: &Path) -> Result<(), AgentFault> {
    let dir = File::open(root).map_err(AgentFault::file("open", root))?;
    nix::unistd::syncfs(dir).map_err(|errno| AgentFault::file("sync", root)(errno.into()))
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, AgentFault> {
    let named = |source| AgentFault::file("list", dir)(source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(named)? {
        paths.push(entry.map_err(named)?.path());
    }
    Ok(paths)
}

/// A directory of which nothing stays unless it was moved.
#[derive(Debug)]
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = remove_dir(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "staging not deleted");
        }
    }
}

/// An upload that is being received.
pub struct Importing {
    store: ImageStore,
    staging: Staging,
    file: File,
    limits: Limits,
    bytes_max: u64,
    received: u64,
}

impl Importing {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// There are too many, or the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), AgentFault> {
        use std::io::Write;
        self.received += bytes.len() as u64;
        if self.received > self.bytes_max {
            let cause = format!("it is longer than {} bytes", self.bytes_max);
            return Err(AgentFault::Upload(cause));
        }
        let written = self.file.write_all(bytes);
        written.map_err(AgentFault::file("write", &self.staging.0))
    }

    /// Makes the image.
    ///
    /// # Errors
    /// The upload is unfit. Nothing of it stays.
    pub fn finish(self) -> Result<Imported, AgentFault> {
        let (dir, blob) = (&self.staging.0, self.staging.0.join(BLOB));
        let upload = dir.join("upload");
        let file = File::open(&upload).map_err(AgentFault::file("read", &upload))?;
        let imported = import::import(file, dir, &blob, &self.limits);
        let imported = imported.map_err(|unfit| match unfit {
            Unfit::TooLarge { most } => AgentFault::TooLarge { most },
            unfit @ (Unfit::Content(_) | Unfit::Stopped | Unfit::Machine { .. }) => {
                AgentFault::Upload(unfit.full_text())
            }
        })?;
        fs::remove_file(&upload).map_err(AgentFault::file("delete", upload))?;
        self.store
            .settle(imported.packed.digest, dir, &Stop::default())?;
        Ok(imported)
    }
}
