//! Where a master keeps its files: a directory, as few operations on it as the store needs. The log and redb both
//! stand on it, so that one double can fail, tear and forget for both.

mod host;
mod memory;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use host::HostDisk;
pub use memory::{Fault, MemoryDisk};

/// A directory of one master.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file, or makes an empty one.
    ///
    /// # Errors
    /// The disk failed.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Names of all files, in order.
    ///
    /// # Errors
    /// The disk failed.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes a file. Whoever has it open may go on to read it.
    ///
    /// # Errors
    /// There is none, or the disk failed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, instead of whatever had it.
    ///
    /// # Errors
    /// There is no such file, or the disk failed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes new, changed and removed names survive a loss of power.
    ///
    /// # Errors
    /// The disk failed.
    fn sync_names(&self) -> io::Result<()>;

    /// Who waits while the disk works. A simulation must not wait for the scheduler of a real machine.
    fn work(&self) -> Work {
        Work::Threads
    }
}

/// Who waits while a disk works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Threads of the store's own.
    Threads,
    /// Whoever asks: the disk answers at once.
    Caller,
    /// Tasks, which wait so long before what they do next: a disk in simulated time.
    Tasks(Duration),
}

/// One file. Writes last only once [`DiskFile::sync_data`] has come back.
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// Length in bytes.
    ///
    /// # Errors
    /// The disk failed.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// The disk failed.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `out` from `offset` on.
    ///
    /// # Errors
    /// The file ends before, or the disk failed.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// The disk failed or is full.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    ///
    /// # Errors
    /// The disk failed or is full.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes all that was written survive a loss of power.
    ///
    /// # Errors
    /// The disk failed: nothing that was written since the last sync can be relied on.
    fn sync_data(&self) -> io::Result<()>;
}

/// A file as redb wants it.
#[derive(Debug)]
pub struct RedbFile(pub Arc<dyn DiskFile>);

impl redb::StorageBackend for RedbFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}
