//! Reads what belongs to a part, and finds out which of its chunks are others than the taker has.
//!
//! Holes are not read. What the giver read before in this connection it knows again by XXH3 under a secret of its own, which takes half
//! the time: only chunks that are others by that are hashed with BLAKE3. That never leaves the giver, and who writes to the disk does
//! not know the secret.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nix::libc;
use nix::unistd::Whence;
use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_128_with_secret;

use super::chunks::{self, CHUNK_BYTES, CHUNK_SIZE, ChunkHash, Chunks, Root};
use super::names::FileName;
use super::wire::{self, Manifest, Packer, Parcel};
use crate::disk;
use crate::fault::AgentFault;

/// Chunks that are read at once.
const RUN_CHUNKS: u32 = 16;
const RUN_BYTES: usize = RUN_CHUNKS as usize * CHUNK_SIZE;

/// By what a giver knows its own chunks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print(u128);

/// What the giver read of the disk before.
pub(super) struct Memory {
    secret: [u8; 192],
    known: Vec<(Print, ChunkHash)>,
}

impl Memory {
    pub(super) fn new() -> Self {
        let mut secret = [0; 192];
        rand::fill(&mut secret[..]);
        Self {
            secret,
            known: Vec::new(),
        }
    }

    fn hash(&self, index: u32, bytes: &[u8]) -> (Print, ChunkHash) {
        let print = Print(xxh3_128_with_secret(bytes, &self.secret));
        match self.known.get(index as usize) {
            Some((known, hash)) if *known == print => (print, *hash),
            Some(_) | None => (print, ChunkHash::of(bytes)),
        }
    }
}

/// Chunks of one file to be read together.
#[derive(Clone, Copy)]
struct Run {
    file: u32,
    first: u32,
    count: u32,
}

/// A file that is read.
struct Source {
    name: FileName,
    length: u64,
    path: PathBuf,
    /// Others are opened for as long as they are read: they may be ten thousand.
    open: Option<File>,
    theirs: Chunks,
}

/// What belongs to a part, before it is read.
pub(super) struct Work {
    sources: Vec<Source>,
    runs: Vec<Run>,
    data_bytes: u64,
    memory: Memory,
    next: AtomicUsize,
    scanned: AtomicU64,
}

/// What one thread read: file, first index, and hashes from there on.
pub(super) struct Read {
    run: Run,
    hashes: Vec<(Print, ChunkHash)>,
}

impl Work {
    /// These files below a directory. What the taker has of them is in `theirs`.
    pub(super) fn open(
        dir: &Path,
        names: Vec<FileName>,
        mut theirs: BTreeMap<FileName, Chunks>,
        memory: Memory,
    ) -> Result<Self, AgentFault> {
        let mut work = Self {
            sources: Vec::new(),
            runs: Vec::new(),
            data_bytes: 0,
            memory,
            next: AtomicUsize::new(0),
            scanned: AtomicU64::new(0),
        };
        for name in names {
            let path = name.within(dir);
            let file = open(&path)?;
            let found = file
                .metadata()
                .map_err(AgentFault::file("look at", &path))?;
            let source = Source {
                theirs: theirs.remove(&name).unwrap_or_default(),
                length: found.len(),
                open: name.is_disk().then_some(file),
                name,
                path,
            };
            work.plan(&source)
                .map_err(AgentFault::file("find the data of", &source.path))?;
            work.sources.push(source);
        }
        Ok(work)
    }

    /// Plans to read what is no hole.
    fn plan(&mut self, source: &Source) -> std::io::Result<()> {
        let file = u32::try_from(self.sources.len()).map_err(std::io::Error::other)?;
        let all = chunks::count(source.length)?;
        let mut at = 0;
        while at < all {
            let (first, end) = match &source.open {
                None => (at, all),
                Some(open) => match data(open, at, all)? {
                    Some(found) => found,
                    None => break,
                },
            };
            for first in (first..end).step_by(RUN_CHUNKS as usize) {
                let count = RUN_CHUNKS.min(end - first);
                self.runs.push(Run { file, first, count });
            }
            self.data_bytes += u64::from(end - first) * CHUNK_BYTES;
            at = end;
        }
        Ok(())
    }

    pub(super) fn manifest(&self) -> Manifest {
        let files = self.sources.iter();
        Manifest {
            files: files
                .map(|source| (source.name.clone(), source.length))
                .collect(),
            data_bytes: self.data_bytes,
            rounds: 0,
        }
    }

    /// Bytes read so far.
    pub(super) fn scanned(&self) -> u64 {
        self.scanned.load(Ordering::Relaxed)
    }

    /// Messages that say which chunks became holes without having to be read.
    pub(super) fn holes(&self) -> Result<Vec<Vec<u8>>, AgentFault> {
        let mut holes = Holes::default();
        let mut runs = self.runs.iter().peekable();
        for (file, source) in (0..).zip(&self.sources) {
            let all = chunks::count(source.length)?;
            let mut at = 0;
            while at < all {
                let run = runs.next_if(|run| run.file == file);
                let until = run.map_or(all, |run| run.first);
                let theirs = |index: &u32| source.theirs.get(*index) != ChunkHash::HOLE;
                (at..until)
                    .filter(theirs)
                    .for_each(|index| holes.put(file, index));
                at = run.map_or(all, |run| run.first + run.count);
            }
        }
        Ok(wire::holes(&holes.0))
    }

    /// Reads until nothing is left or nobody wants it any more. Several threads may do it together.
    pub(super) fn scan(&self, send: &mpsc::Sender<Vec<u8>>) -> Result<Vec<Read>, AgentFault> {
        let mut scan = Scan {
            work: self,
            send,
            packer: Packer::new()?,
            parcel: Parcel::default(),
            holes: Holes::default(),
            open: None,
        };
        let mut bytes = vec![0; RUN_BYTES];
        let mut read = Vec::new();
        while let Some(run) = self.runs.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if send.is_closed() {
                return Err(AgentFault::Protocol(
                    "a taker that does not go on".to_owned(),
                ));
            }
            let hashes = scan.run(*run, &mut bytes)?;
            read.push(Read { run: *run, hashes });
        }
        scan.end()?;
        Ok(read)
    }

    /// What each file has according to what was read.
    pub(super) fn end(self, read: Vec<Read>) -> Result<Scanned, AgentFault> {
        let lists = self
            .sources
            .iter()
            .map(|source| Chunks::hole(source.length));
        let mut lists = lists.collect::<Result<Vec<Chunks>, _>>()?;
        let disk = self
            .sources
            .iter()
            .position(|source| source.name == FileName::Disk);
        let mut memory = self.memory;
        let chunks_of_disk = disk.map_or(0, |disk| lists[disk].hashes().len());
        let nothing = (Print(0), ChunkHash::HOLE);
        memory.known = vec![nothing; chunks_of_disk];
        for read in read {
            let (file, first) = (read.run.file as usize, read.run.first as usize);
            let hashes: Vec<ChunkHash> = read.hashes.iter().map(|(_, hash)| *hash).collect();
            lists[file].learn(read.run.first, &hashes);
            if disk == Some(file) {
                memory.known[first..first + read.hashes.len()].copy_from_slice(&read.hashes);
            }
        }
        let root = Root::of(self.sources.iter().map(|source| &source.name).zip(&lists));
        Ok(Scanned {
            root,
            disk: disk.map(|disk| lists.swap_remove(disk)),
            memory,
        })
    }
}

/// What a part came to at the giver.
pub(super) struct Scanned {
    pub(super) root: Root,
    /// The disk as the taker has it by now.
    pub(super) disk: Option<Chunks>,
    pub(super) memory: Memory,
}

/// Opens one of the vnode's own files, through no link.
fn open(path: &Path) -> Result<File, AgentFault> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).map_err(AgentFault::file("open", path))?;
    let found = file.metadata().map_err(AgentFault::file("look at", path))?;
    if !found.is_file() {
        return Err(AgentFault::Unfit {
            what: "a file of a vnode".to_owned(),
            value: path.display().to_string(),
        });
    }
    Ok(file)
}

/// The next chunks, of `all` and from `at` on, in which there is data: first and end.
fn data(file: &File, at: u32, all: u32) -> std::io::Result<Option<(u32, u32)>> {
    let Some(data) = disk::seek(file, chunks::offset(at), Whence::SeekData)? else {
        return Ok(None);
    };
    let hole = disk::seek(file, data, Whence::SeekHole)?;
    let first = u32::try_from(data / CHUNK_BYTES).map_err(std::io::Error::other)?;
    let end = hole.map_or(Ok(all), chunks::count)?.min(all);
    // A file that grows meanwhile has data beyond what is looked at.
    Ok((first < end).then_some((first, end)))
}

/// Runs of holes, as they are found.
#[derive(Default)]
struct Holes(Vec<(u32, u32, u32)>);

impl Holes {
    fn put(&mut self, file: u32, index: u32) {
        match self.0.last_mut() {
            Some((last, first, count)) if *last == file && *first + *count == index => *count += 1,
            Some(_) | None => self.0.push((file, index, 1)),
        }
    }
}

/// What one thread has in its hands.
struct Scan<'w> {
    work: &'w Work,
    send: &'w mpsc::Sender<Vec<u8>>,
    packer: Packer,
    parcel: Parcel,
    holes: Holes,
    /// The file that was read last, if it is not open anyway.
    open: Option<(u32, File)>,
}

impl Scan<'_> {
    fn run(&mut self, run: Run, bytes: &mut [u8]) -> Result<Vec<(Print, ChunkHash)>, AgentFault> {
        let work = self.work;
        let source = &work.sources[run.file as usize];
        let at = chunks::offset(run.first);
        let length =
            usize::try_from(source.length.saturating_sub(at)).map_err(std::io::Error::other)?;
        let bytes = &mut bytes[..length.min(run.count as usize * CHUNK_SIZE)];
        self.read(run.file, at, bytes)?;
        let mut hashes = Vec::with_capacity(run.count as usize);
        for (index, chunk) in (run.first..).zip(bytes.chunks(CHUNK_SIZE)) {
            let (print, hash) = work.hash(source, index, chunk);
            hashes.push((print, hash));
            if hash == source.theirs.get(index) {
                continue;
            }
            if hash == ChunkHash::HOLE {
                self.holes.put(run.file, index);
                continue;
            }
            self.parcel.put(run.file, index, chunk);
            if self.parcel.is_full() {
                self.post()?;
            }
        }
        work.scanned
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(hashes)
    }

    fn read(&mut self, file: u32, at: u64, bytes: &mut [u8]) -> Result<(), AgentFault> {
        let source = &self.work.sources[file as usize];
        let named = AgentFault::file("read", &source.path);
        if let Some(open) = &source.open {
            return open.read_exact_at(bytes, at).map_err(named);
        }
        if self.open.as_ref().is_none_or(|(last, _)| *last != file) {
            self.open = Some((file, open(&source.path)?));
        }
        let Some((_, open)) = &self.open else {
            return Ok(());
        };
        open.read_exact_at(bytes, at).map_err(named)
    }

    fn post(&mut self) -> Result<(), AgentFault> {
        let message = self.parcel.pack(&mut self.packer)?;
        self.message(message)
    }

    fn message(&self, message: Vec<u8>) -> Result<(), AgentFault> {
        let gone = |_| AgentFault::Protocol("a taker that does not go on".to_owned());
        self.send.blocking_send(message).map_err(gone)
    }

    fn end(mut self) -> Result<(), AgentFault> {
        if !self.parcel.is_empty() {
            self.post()?;
        }
        let messages = wire::holes(&self.holes.0);
        messages
            .into_iter()
            .try_for_each(|message| self.message(message))
    }
}

impl Work {
    fn hash(&self, source: &Source, index: u32, chunk: &[u8]) -> (Print, ChunkHash) {
        if source.name == FileName::Disk {
            return self.memory.hash(index, chunk);
        }
        (Print(0), ChunkHash::of(chunk))
    }
}

/// What a file on this disk has, as the taker of it knows it. `goes_on` is asked now and then.
pub(super) fn hash_file(path: &Path, goes_on: impl Fn() -> bool) -> Result<Chunks, AgentFault> {
    let file = open(path)?;
    let named = |act| AgentFault::file(act, path);
    let length = file.metadata().map_err(named("look at"))?.len();
    let all = chunks::count(length).map_err(named("look at"))?;
    let mut list = Chunks::hole(length)?;
    let mut bytes = vec![0; CHUNK_SIZE];
    let mut at = 0;
    while let Some((first, end)) = data(&file, at, all).map_err(named("find the data of"))? {
        for index in first..end {
            if !goes_on() {
                return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
            }
            let bytes = &mut bytes[..chunks::bytes_of(length, index)];
            file.read_exact_at(bytes, chunks::offset(index))
                .map_err(named("read"))?;
            list.learn(index, &[ChunkHash::of(bytes)]);
        }
        at = end;
    }
    Ok(list)
}
