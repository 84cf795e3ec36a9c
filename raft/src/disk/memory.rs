//! A disk in memory that behaves as badly as disks may: it forgets what was not synced when the power goes, in any
//! part and in any order, tears writes at every sector, and fails on demand at any operation.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{Disk, DiskFile, Work};

/// What a disk writes in one piece.
const SECTOR_BYTES: usize = 512;

/// What goes wrong, and when. Operations are counted from 0: writes, changes of length, syncs, new and removed names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Power is lost before this operation: from it on everything fails.
    PowerLoss { at: u64 },
    /// This operation and all later ones that change something fail.
    Failure { at: u64 },
    /// Writes fail for want of space once so many bytes were written.
    Full { after_bytes: u64 },
}

/// The disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<String, Arc<Mutex<Content>>>,
    /// Names as they were at the last sync of names, with what they stood for.
    synced_names: BTreeMap<String, Arc<Mutex<Content>>>,
    operations: u64,
    bytes: u64,
    fault: Option<Fault>,
}

/// Bytes of one file.
#[derive(Debug, Default)]
struct Content {
    /// As readers see it.
    now: Vec<u8>,
    /// As it was at the last sync.
    synced: Vec<u8>,
    /// What changed since then, in order.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

impl Change {
    /// Makes the change, or of a write only the sectors that `reached` says.
    fn apply(&self, bytes: &mut Vec<u8>, mut reached: impl FnMut() -> bool) {
        match self {
            Self::Length(len) => bytes.resize(*len, 0),
            Self::Write { offset, data } => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                let mut at = *offset;
                while at < end {
                    let sector_end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
                    if reached() {
                        bytes[at..sector_end]
                            .copy_from_slice(&data[at - offset..sector_end - offset]);
                    }
                    at = sector_end;
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// Sets what goes wrong from now on; operations and bytes count from zero again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut inner = lock(&self.inner);
        inner.fault = fault;
        inner.operations = 0;
        inner.bytes = 0;
    }

    /// Operations so far that could go wrong.
    #[must_use]
    pub fn operations(&self) -> u64 {
        lock(&self.inner).operations
    }

    /// The disk as it is found when the power is back: everything that was synced, and of the rest whatever
    /// `seed` says, sector by sector, later writes perhaps without earlier ones.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let inner = lock(&self.inner);
        let mut names = inner.synced_names.clone();
        // Each name is as it was synced or as it was meant to be.
        for name in inner.files.keys().chain(inner.synced_names.keys()) {
            if random.random() {
                match inner.files.get(name) {
                    Some(content) => names.insert(name.clone(), content.clone()),
                    None => names.remove(name),
                };
            }
        }
        let files: BTreeMap<_, _> = names
            .into_iter()
            .map(|(name, content)| {
                (
                    name,
                    Arc::new(Mutex::new(survivor(&lock(&content), &mut random))),
                )
            })
            .collect();
        Self {
            inner: Arc::new(Mutex::new(Inner {
                synced_names: files.clone(),
                files,
                ..Inner::default()
            })),
        }
    }

    /// Flips one bit of a file, as a failing disk does.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) {
        if let Some(content) = lock(&self.inner).files.get(name) {
            let mut content = lock(content);
            content.now[offset] ^= 1 << bit;
            content.synced[offset] ^= 1 << bit;
        }
    }

    /// A file's bytes.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let inner = lock(&self.inner);
        inner
            .files
            .get(name)
            .map_or_else(Vec::new, |content| lock(content).now.clone())
    }

    fn check(&self, bytes: usize) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        let number = inner.operations;
        inner.operations += 1;
        inner.bytes += bytes as u64;
        match inner.fault {
            Some(Fault::PowerLoss { at } | Fault::Failure { at }) if number >= at => {
                Err(io::Error::other("the simulated disk failed"))
            }
            Some(Fault::Full { after_bytes }) if inner.bytes > after_bytes => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the simulated disk is full",
            )),
            Some(_) | None => Ok(()),
        }
    }
}

fn survivor(content: &Content, random: &mut SmallRng) -> Content {
    let mut bytes = content.synced.clone();
    for change in &content.pending {
        // Whole, not at all, or in part.
        match random.random_range(0..3) {
            0 => {}
            1 => change.apply(&mut bytes, || true),
            _ => change.apply(&mut bytes, || random.random()),
        }
    }
    Content {
        now: bytes.clone(),
        synced: bytes,
        pending: Vec::new(),
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let known = lock(&self.inner).files.get(name).cloned();
        let content = match known {
            Some(content) => content,
            None => {
                self.check(0)?;
                let content = Arc::default();
                lock(&self.inner)
                    .files
                    .insert(name.to_owned(), Arc::clone(&content));
                content
            }
        };
        Ok(Arc::new(MemoryFile {
            disk: self.clone(),
            content,
        }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.inner).files.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check(0)?;
        let removed = lock(&self.inner).files.remove(name);
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.check(0)?;
        let files = &mut lock(&self.inner).files;
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.check(0)?;
        let mut inner = lock(&self.inner);
        inner.synced_names = inner.files.clone();
        Ok(())
    }

    fn work(&self) -> Work {
        Work::Caller
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    content: Arc<Mutex<Content>>,
}

impl MemoryFile {
    fn change(&self, change: Change) {
        let mut content = lock(&self.content);
        change.apply(&mut content.now, || true);
        content.pending.push(change);
    }
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).now.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = lock(&self.content);
        let from = position(offset)?;
        let found = content.now.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.check(data.len())?;
        self.change(Change::Write {
            offset: position(offset)?,
            data: data.to_vec(),
        });
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.check(0)?;
        self.change(Change::Length(position(len)?));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.check(0)?;
        let mut content = lock(&self.content);
        let Content {
            now,
            synced,
            pending,
        } = &mut *content;
        if pending.len() == 1 && now.len() == synced.len() {
            // The usual case is one write: no copy of the whole file for it.
            pending[0].apply(synced, || true);
        } else if !pending.is_empty() {
            synced.clone_from(now);
        }
        pending.clear();
        Ok(())
    }
}
