//! A machine's disk: the store's own in-memory double, in simulated time. When it loses power in the middle of an
//! operation, so does the machine.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docklet_raft::disk::{Disk, DiskFile, Fault, MemoryDisk, Work};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::network::{Network, Place};

/// How long a disk takes for a write and its sync.
pub type LatencyMs = (u64, u64);

/// The disk; clones are the same one.
#[derive(Clone)]
pub struct SimDisk {
    memory: MemoryDisk,
    shared: Arc<Shared>,
}

struct Shared {
    network: Network,
    place: Place,
    dice: Mutex<SmallRng>,
    latency_ms: Mutex<LatencyMs>,
    /// Something is to go wrong.
    armed: AtomicBool,
    /// The first operation that fails takes the machine's power with it.
    blackout: AtomicBool,
    failed: AtomicBool,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "disk of machine {}", self.shared.place)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimDisk {
    pub fn new(
        memory: MemoryDisk,
        network: Network,
        place: Place,
        dice: SmallRng,
        latency_ms: LatencyMs,
    ) -> Self {
        Self {
            memory,
            shared: Arc::new(Shared {
                network,
                place,
                dice: Mutex::new(dice),
                latency_ms: Mutex::new(latency_ms),
                armed: AtomicBool::new(false),
                blackout: AtomicBool::new(false),
                failed: AtomicBool::new(false),
            }),
        }
    }

    /// The same disk in the same machine, with these bytes on it.
    pub fn holding(&self, memory: MemoryDisk) -> Self {
        let dice = SmallRng::seed_from_u64(lock(&self.shared.dice).random());
        let latency_ms = *lock(&self.shared.latency_ms);
        let network = self.shared.network.clone();
        Self::new(memory, network, self.shared.place, dice, latency_ms)
    }

    /// The bytes under it.
    pub fn memory(&self) -> &MemoryDisk {
        &self.memory
    }

    pub fn set_latency(&self, latency_ms: LatencyMs) {
        *lock(&self.shared.latency_ms) = latency_ms;
    }

    /// Power goes before the operation after so many.
    pub fn lose_power_after(&self, operations: u64) {
        self.shared.blackout.store(true, Ordering::Relaxed);
        self.arm(Fault::PowerLoss { at: operations });
    }

    /// Fails from the operation after so many on.
    pub fn fail_after(&self, operations: u64) {
        self.arm(Fault::Failure { at: operations });
    }

    /// Is full once so many more bytes are written.
    pub fn fill_after(&self, bytes: u64) {
        self.arm(Fault::Full { after_bytes: bytes });
    }

    fn arm(&self, fault: Fault) {
        self.shared.armed.store(true, Ordering::Relaxed);
        self.memory.set_fault(Some(fault));
    }

    /// Works again, with what is on it.
    pub fn repair(&self) {
        self.memory.set_fault(None);
        self.shared.armed.store(false, Ordering::Relaxed);
        self.shared.blackout.store(false, Ordering::Relaxed);
        self.shared.failed.store(false, Ordering::Relaxed);
    }

    /// Whether some operation has failed.
    pub fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    fn heed<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.is_err() && self.shared.armed.load(Ordering::Relaxed) {
            self.shared.failed.store(true, Ordering::Relaxed);
            if self.shared.blackout.load(Ordering::Relaxed) {
                self.shared.network.darken(self.shared.place);
            }
        }
        outcome
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.heed(self.memory.open(name))?;
        Ok(Arc::new(SimFile {
            file,
            disk: self.clone(),
        }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.heed(self.memory.list())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.heed(self.memory.remove(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.heed(self.memory.rename(from, to))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.heed(self.memory.sync_names())
    }

    fn work(&self) -> Work {
        let (least, most) = *lock(&self.shared.latency_ms);
        let ms = lock(&self.shared.dice).random_range(least..=most);
        Work::Tasks(Duration::from_millis(ms))
    }
}

#[derive(Debug)]
struct SimFile {
    file: Arc<dyn DiskFile>,
    disk: SimDisk,
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.heed(self.file.len())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.heed(self.file.read_at(offset, out))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.heed(self.file.write_at(offset, data))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.heed(self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.heed(self.file.sync_data())
    }
}
