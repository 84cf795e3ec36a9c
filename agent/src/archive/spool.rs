//! Contents of files on their way, in one file without a name: it goes with the process, whatever happens.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::Unfit;
use super::unpack::copy_whole;

/// The file; new content goes to its end.
pub(super) struct Spool {
    file: Arc<File>,
    end: u64,
}

/// A part of a file.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    file: Arc<File>,
    start: u64,
    pub(super) bytes: u64,
}

impl Spool {
    /// A new one in the file system of `dir`.
    pub(super) fn new(dir: &Path) -> Result<Self, Unfit> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = open(dir, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let file = file.map_err(Unfit::system("make a file for contents"))?;
        Ok(Self {
            file: Arc::new(file.into()),
            end: 0,
        })
    }

    /// Keeps exactly so many bytes.
    pub(super) fn keep(&mut self, content: &mut dyn Read, bytes: u64) -> Result<Extent, Unfit> {
        let start = self.end;
        copy_whole(content, &mut &*self.file, bytes)?;
        self.end += bytes;
        Ok(Extent {
            file: self.file.clone(),
            start,
            bytes,
        })
    }
}

impl Extent {
    /// The whole of a file.
    pub(super) fn whole(file: File) -> Result<Self, Unfit> {
        let bytes = file
            .metadata()
            .map_err(Unfit::machine("measure a file"))?
            .len();
        Ok(Self {
            file: Arc::new(file),
            start: 0,
            bytes,
        })
    }

    pub(super) fn reader(&self) -> impl Read + Send + use<> {
        ExtentReader {
            extent: self.clone(),
            at: 0,
        }
    }
}

struct ExtentReader {
    extent: Extent,
    at: u64,
}

impl Read for ExtentReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let left = self.extent.bytes - self.at;
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let at = self.extent.start + self.at;
        let length = self.extent.file.read_at(&mut into[..room], at)?;
        self.at += length as u64;
        Ok(length)
    }
}
