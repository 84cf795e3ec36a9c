//! A part on its way in: chunks are checked, hashed and written as they come, by several threads together.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;
use tokio::sync::mpsc;

use super::chunks::{self, CHUNK_BYTES, ChunkHash, Chunks, Root};
use super::names::{AHEAD, FileName};
use super::staging::Staging;
use super::wire::{Came, Manifest, Unpacker};
use crate::fault::AgentFault;
use crate::vnode_dir::make_dir;

/// A file that comes.
struct Target {
    name: FileName,
    path: PathBuf,
    length: u64,
    known: Arc<Mutex<Known>>,
}

/// What is known of a file. While a chunk is written, nobody knows what is there.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) chunks: Chunks,
    /// Chunks that came in this part: none comes twice.
    came: Vec<bool>,
}

/// A part that comes.
pub(super) struct Incoming {
    targets: Vec<Target>,
    received: AtomicU64,
    /// Whoever writes holds the directory, also when nobody waits for it any more.
    _staging: Arc<Staging>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Incoming {
    /// Makes room for what a manifest names, and forgets what is there of files that come as a whole.
    pub(super) fn begin(staging: &Arc<Staging>, manifest: &Manifest) -> Result<Self, AgentFault> {
        staging.is_not_whole()?;
        let mut targets = Vec::new();
        for (name, length) in &manifest.files {
            let path = name.within(&staging.dir);
            let known = staging.known(name);
            if let FileName::Ahead(..) = name {
                make_parents(&staging.dir, &path)?;
            }
            if !name.is_disk() {
                crate::vnode_dir::remove_file(&path)?;
                lock(&known).chunks = Chunks::default();
            }
            let file = open(&path)?;
            let found = file
                .metadata()
                .map_err(AgentFault::file("look at", &path))?;
            let mut held = lock(&known);
            if found.len() != held.chunks.length() {
                return Err(AgentFault::Unfit {
                    what: format!("the length of {}", path.display()),
                    value: found.len().to_string(),
                });
            }
            file.set_len(*length)
                .map_err(AgentFault::file("size", &path))?;
            held.chunks.resize(*length)?;
            held.came = vec![false; chunks::count(*length)? as usize];
            drop(held);
            targets.push(Target {
                name: name.clone(),
                path,
                length: *length,
                known,
            });
        }
        Ok(Self {
            targets,
            received: AtomicU64::new(0),
            _staging: staging.clone(),
        })
    }

    /// Bytes of chunks that were written.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Writes what comes until nothing comes any more. Several threads may do it together; one that fails ends all.
    pub(super) fn write(
        &self,
        messages: &Mutex<mpsc::Receiver<Vec<u8>>>,
    ) -> Result<(), AgentFault> {
        let written = self.write_all(messages);
        if written.is_err() {
            lock(messages).close();
        }
        written
    }

    fn write_all(&self, messages: &Mutex<mpsc::Receiver<Vec<u8>>>) -> Result<(), AgentFault> {
        let mut unpacker = Unpacker::new()?;
        let mut open = None;
        loop {
            let next = lock(messages).blocking_recv();
            let Some(message) = next else {
                return Ok(());
            };
            match unpacker.unpack(&message)? {
                Came::Chunks(places, bytes) => self.chunks(&places, &bytes, &mut open)?,
                Came::Holes(runs) => self.holes(&runs, &mut open)?,
            }
        }
    }

    fn chunks(
        &self,
        places: &[(u32, u32)],
        bytes: &[u8],
        open: &mut Option<(u32, File)>,
    ) -> Result<(), AgentFault> {
        let mut rest = bytes;
        for (file, index) in places {
            let target = self.target(*file)?;
            let length = chunks::bytes_of(target.length, *index);
            let (chunk, after) = rest.split_at_checked(length).unwrap_or_default();
            if chunk.is_empty() {
                return Err(target.unfit());
            }
            rest = after;
            target.begin(*index)?;
            let open = reopened(open, *file, &target.path)?;
            let hash = write_chunk(open, chunks::offset(*index), chunk)
                .map_err(AgentFault::file("write", &target.path))?;
            lock(&target.known).chunks.learn(*index, &[hash]);
            self.received
                .fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(AgentFault::Protocol(
            "a message that is too long".to_owned(),
        ))
    }

    fn holes(
        &self,
        runs: &[(u32, u32, u32)],
        open: &mut Option<(u32, File)>,
    ) -> Result<(), AgentFault> {
        for (file, first, count) in runs {
            let target = self.target(*file)?;
            let end = first.checked_add(*count).ok_or_else(|| target.unfit())?;
            if end > chunks::count(target.length)? {
                return Err(target.unfit());
            }
            (*first..end).try_for_each(|index| target.begin(index))?;
            let named = AgentFault::file("write", &target.path);
            let open = reopened(open, *file, &target.path)?;
            punch(
                open,
                chunks::offset(*first),
                u64::from(*count) * CHUNK_BYTES,
            )
            .map_err(named)?;
            let holes = vec![ChunkHash::HOLE; *count as usize];
            lock(&target.known).chunks.learn(*first, &holes);
        }
        Ok(())
    }

    fn target(&self, file: u32) -> Result<&Target, AgentFault> {
        let unknown = || AgentFault::Protocol(format!("file {file} of a part"));
        self.targets.get(file as usize).ok_or_else(unknown)
    }

    /// What came and was written comes to this.
    pub(super) fn root(&self) -> Root {
        let held = self
            .targets
            .iter()
            .map(|target| (&target.name, lock(&target.known)));
        let held: Vec<_> = held.collect();
        Root::of(held.iter().map(|(name, known)| (*name, &known.chunks)))
    }

    /// Brings to the disk what is not the image of the processes: that is of no use any more when the machine went down.
    pub(super) fn sync(&self) -> Result<(), AgentFault> {
        for target in &self.targets {
            if !matches!(target.name, FileName::Checkpoint(_) | FileName::Ahead(..)) {
                let synced = open(&target.path)?.sync_all();
                synced.map_err(AgentFault::file("sync", &target.path))?;
            }
        }
        Ok(())
    }

    /// Names of all that came.
    pub(super) fn names(&self) -> Vec<FileName> {
        self.targets
            .iter()
            .map(|target| target.name.clone())
            .collect()
    }
}

impl Target {
    fn unfit(&self) -> AgentFault {
        AgentFault::Protocol(format!("a chunk of {} that it cannot have", self.name))
    }

    /// From now on nobody knows what this chunk is.
    fn begin(&self, index: u32) -> Result<(), AgentFault> {
        let mut known = lock(&self.known);
        match known.came.get_mut(index as usize) {
            Some(came) if !*came => *came = true,
            Some(_) | None => return Err(self.unfit()),
        }
        known.chunks.learn(index, &[ChunkHash::UNKNOWN]);
        Ok(())
    }
}

/// Makes the directories of a round of memory.
fn make_parents(dir: &Path, path: &Path) -> Result<(), AgentFault> {
    for parent in [Some(dir.join(AHEAD).as_path()), path.parent()] {
        parent.map_or(Ok(()), |parent| make_dir(parent, 0o700))?;
    }
    Ok(())
}

/// Opens a file of the directory for writing, through no link; it is made if it is not there.
pub(super) fn open(path: &Path) -> Result<File, AgentFault> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW);
    options.open(path).map_err(AgentFault::file("open", path))
}

/// The file that was opened last, or this one in its place.
fn reopened<'o>(
    open: &'o mut Option<(u32, File)>,
    file: u32,
    path: &Path,
) -> Result<&'o File, AgentFault> {
    let kept = open.take().filter(|(last, _)| *last == file);
    let kept = kept.map_or_else(|| self::open(path).map(|new| (file, new)), Ok)?;
    Ok(&open.insert(kept).1)
}

/// Writes a chunk, and answers by what it is known.
fn write_chunk(file: &File, at: u64, chunk: &[u8]) -> io::Result<ChunkHash> {
    let hash = ChunkHash::of(chunk);
    if hash == ChunkHash::HOLE {
        punch(file, at, chunk.len() as u64)?;
    } else {
        file.write_all_at(chunk, at)?;
    }
    Ok(hash)
}

fn punch(file: &File, at: u64, bytes: u64) -> io::Result<()> {
    let at = i64::try_from(at).map_err(io::Error::other)?;
    let bytes = i64::try_from(bytes).map_err(io::Error::other)?;
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    Ok(fallocate(file, flags, at, bytes)?)
}

/// Bytes that a manifest's files take in addition to what they have here already.
pub(super) fn needed(dir: &Path, manifest: &Manifest) -> u64 {
    let found =
        |name: &FileName| fs::metadata(name.within(dir)).map_or(0, |found| found.blocks() * 512);
    let here = manifest.files.iter().map(|(name, _)| found(name)).sum();
    manifest.data_bytes.saturating_sub(here)
}
