//! The log's files as a whole: opening what a crash left, writing batches, finding entries.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::{self, Place, Record};
use super::segment::{self, Content, End, FIRST_RECORD};
use crate::disk::{Disk, DiskFile, Work};
use crate::fault::RaftFault;

/// Where an entry stands.
#[derive(Clone, Copy, Debug)]
struct Position {
    sequence: u64,
    offset: u32,
    len: u32,
}

/// What can be asked of the log while it is being written.
#[derive(Debug, Default)]
pub struct Contents {
    files: BTreeMap<u64, Arc<dyn DiskFile>>,
    /// Index of the first entry in `positions`.
    first: u64,
    positions: VecDeque<Position>,
    pub vote: Option<Vec<u8>>,
    pub committed: Option<Vec<u8>>,
    /// Index and encoded log id.
    pub purged: Option<(u64, Vec<u8>)>,
}

pub type Shared = Arc<Mutex<Contents>>;

pub fn lock(shared: &Shared) -> MutexGuard<'_, Contents> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Contents {
    /// Index after the last entry.
    pub fn next(&self) -> u64 {
        self.first + self.positions.len() as u64
    }

    /// Index of the first entry, or of the one that would be.
    pub fn first(&self) -> u64 {
        self.first
    }

    pub fn last(&self) -> Option<u64> {
        (!self.positions.is_empty()).then(|| self.next() - 1)
    }

    /// Takes in what a record says. False if it does not fit what came before.
    fn take(&mut self, record: Record<'_>, position: Position) -> bool {
        match record {
            Record::Entry { index, .. } => {
                if self.positions.is_empty() {
                    self.first = index;
                } else if index != self.next() {
                    return false;
                }
                self.positions.push_back(position);
            }
            Record::Vote(bytes) => self.vote = Some(bytes.to_vec()),
            Record::TruncateFrom(index) => {
                let kept = index.saturating_sub(self.first);
                self.positions
                    .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
            }
            Record::Purged { index, bytes } => {
                let gone = (index + 1).saturating_sub(self.first);
                let gone = usize::try_from(gone).unwrap_or(usize::MAX);
                self.positions.drain(..gone.min(self.positions.len()));
                self.first = self.first.max(index + 1);
                self.purged = Some((index, bytes.to_vec()));
            }
            Record::Committed(bytes) => self.committed = Some(bytes.to_vec()),
            Record::Seal => {}
        }
        true
    }

    /// Segments go only when their entries were purged, so entries follow on the purged ones.
    fn refuse_gap(&self) -> Result<(), RaftFault> {
        let first_sequence = self.files.keys().next().copied().unwrap_or(1);
        let missing = match &self.purged {
            None => first_sequence != 1,
            Some((purged, _)) => !self.positions.is_empty() && self.first > purged + 1,
        };
        if !missing {
            return Ok(());
        }
        Err(RaftFault::LogDamaged {
            segment: segment::name(first_sequence),
            offset: 0,
            cause: "the segment before it is missing".to_owned(),
        })
    }

    /// Where the entries `from..to` stand, with their files.
    ///
    /// # Errors
    /// Some of them are not there.
    fn find(&self, from: u64, to: u64) -> io::Result<Vec<(Arc<dyn DiskFile>, Position)>> {
        let start = from.checked_sub(self.first);
        let range = start.and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let len = usize::try_from(to - from).ok()?;
            (start + len <= self.positions.len()).then(|| self.positions.range(start..start + len))
        });
        let missing = || {
            let (first, next) = (self.first, self.next());
            io::Error::other(format!(
                "entries {from}..{to} asked for, {first}..{next} are there"
            ))
        };
        let file =
            |position: &Position| Some((self.files.get(&position.sequence)?.clone(), *position));
        let found: Option<Vec<_>> = range.ok_or_else(missing)?.map(file).collect();
        found.ok_or_else(missing)
    }
}

/// Reads entries `from..to`, checked, still encoded.
///
/// # Errors
/// Some of them are not there, are damaged, or the disk failed.
pub fn read_entries(shared: &Shared, from: u64, to: u64) -> io::Result<Vec<Vec<u8>>> {
    // Files stay readable after a purge has removed their names.
    let found = lock(shared).find(from, to)?;
    found
        .iter()
        .map(|(file, position)| read_entry(file.as_ref(), *position))
        .collect()
}

fn read_entry(file: &dyn DiskFile, position: Position) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; position.len as usize];
    file.read_at(u64::from(position.offset), &mut bytes)?;
    let place = Place {
        sequence: position.sequence,
    };
    let found = record::parse(place, &bytes, position.offset as usize);
    match found.map(|found| found.record) {
        Some(Record::Entry { bytes, .. }) => Ok(bytes.to_vec()),
        Some(_) | None => {
            let name = segment::name(position.sequence);
            Err(io::Error::other(format!(
                "{name} is damaged at byte {}",
                position.offset
            )))
        }
    }
}

/// The segment that is written.
struct Current {
    sequence: u64,
    file: Arc<dyn DiskFile>,
    /// Length of the file.
    len: usize,
    /// First free byte.
    offset: usize,
    /// Everything before this is on disk.
    synced: usize,
}

impl Current {
    fn place(&self) -> Place {
        Place {
            sequence: self.sequence,
        }
    }
}

/// The writing side: one at a time.
pub struct Segments {
    disk: Arc<dyn Disk>,
    shared: Shared,
    current: Current,
    /// The next segment while it is made ready.
    next: Option<std::thread::JoinHandle<io::Result<Arc<dyn DiskFile>>>>,
    segment_bytes: usize,
    buffer: Vec<u8>,
}

impl Segments {
    /// Opens the log, or makes an empty one.
    ///
    /// # Errors
    /// The disk failed, or what was acknowledged is not all there.
    pub fn open(disk: Arc<dyn Disk>, segment_bytes: usize) -> Result<(Self, Shared), RaftFault> {
        let mut contents = Contents::default();
        let (sequence, end) = load(disk.as_ref(), &mut contents)?;
        let file = match contents.files.get(&sequence) {
            Some(file) => file.clone(),
            None => segment::prepare(disk.as_ref(), sequence, segment_bytes)?,
        };
        contents.files.insert(sequence, file.clone());
        // A process that was killed leaves what it wrote, to be read and not yet on disk. From now on it is relied on.
        for file in contents.files.values() {
            file.sync_data()?;
        }
        disk.sync_names()?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        if end.torn {
            // What an unfinished write left must never be taken for a record later.
            file.write_at(end.offset as u64, &vec![0; len - end.offset])?;
            file.sync_data()?;
        }
        let shared = Arc::new(Mutex::new(contents));
        let segments = Self {
            disk,
            shared: shared.clone(),
            current: Current {
                sequence,
                file,
                len,
                offset: end.offset,
                synced: end.offset,
            },
            next: None,
            segment_bytes,
            buffer: Vec::new(),
        };
        Ok((segments, shared))
    }

    /// Writes a batch of records; with `sync`, all that was written so far is on disk when it comes back.
    ///
    /// # Errors
    /// The disk failed: nothing more may be written.
    pub fn write(&mut self, batch: &[Record<'_>], sync: bool) -> Result<(), RaftFault> {
        let bytes: usize = batch.iter().map(Record::len).sum();
        let mut head = Vec::new();
        if self.current.offset + bytes + Record::Seal.len() > self.current.len {
            self.roll(bytes)?;
            head = self.head();
        }
        let (place, synced) = (self.current.place(), self.current.synced);
        let (base, mut buffer) = (self.current.offset, std::mem::take(&mut self.buffer));
        buffer.clear();
        let mut positions = Vec::with_capacity(batch.len());
        for record in head.iter().map(Head::record).chain(batch.iter().copied()) {
            let start = buffer.len();
            record.write(place, synced, base, &mut buffer);
            positions.push(Position {
                sequence: place.sequence,
                offset: u32::try_from(base + start).map_err(io::Error::other)?,
                len: u32::try_from(buffer.len() - start).map_err(io::Error::other)?,
            });
        }
        self.current.file.write_at(base as u64, &buffer)?;
        self.current.offset += buffer.len();
        self.buffer = buffer;
        if sync {
            self.sync()?;
        }
        self.publish(batch, &positions[head.len()..])
    }

    fn sync(&mut self) -> io::Result<()> {
        self.current.file.sync_data()?;
        self.current.synced = self.current.offset;
        Ok(())
    }

    /// Lets readers see a batch, and removes segments that a purge has made useless.
    fn publish(&mut self, batch: &[Record<'_>], positions: &[Position]) -> Result<(), RaftFault> {
        let mut contents = lock(&self.shared);
        for (record, position) in batch.iter().zip(positions) {
            assert!(
                contents.take(*record, *position),
                "entries are appended without a gap: {} was to come, {record:?} came",
                contents.next()
            );
        }
        if !batch
            .iter()
            .any(|record| matches!(record, Record::Purged { .. }))
        {
            return Ok(());
        }
        let first = contents
            .positions
            .front()
            .map_or(self.current.sequence, |first| first.sequence);
        let kept = contents.files.split_off(&first);
        let useless = std::mem::replace(&mut contents.files, kept);
        drop(contents);
        for sequence in useless.keys() {
            self.disk.remove(&segment::name(*sequence))?;
            // One after the other: a gap between segments would look like a loss.
            self.disk.sync_names()?;
        }
        Ok(())
    }

    /// Seals the current segment and goes on in the next, which has room for `bytes`. The next is there before the
    /// seal is: a sealed segment without a next one has lost it.
    fn roll(&mut self, bytes: usize) -> Result<(), RaftFault> {
        let sequence = self.current.sequence + 1;
        let file = match self.next.take() {
            Some(ready) => {
                let panicked = |_| io::Error::other("making a segment ready panicked");
                ready.join().map_err(panicked)??
            }
            None => segment::prepare(self.disk.as_ref(), sequence, self.segment_bytes)?,
        };
        let mut seal = Vec::new();
        Record::Seal.write(
            self.current.place(),
            self.current.synced,
            self.current.offset,
            &mut seal,
        );
        self.current
            .file
            .write_at(self.current.offset as u64, &seal)?;
        self.current.file.sync_data()?;
        let head: usize = self.head().iter().map(|head| head.record().len()).sum();
        let len = self
            .segment_bytes
            .max(FIRST_RECORD + head + bytes + Record::Seal.len());
        if len > self.segment_bytes {
            file.set_len(len as u64)?;
        }
        lock(&self.shared).files.insert(sequence, file.clone());
        self.current = Current {
            sequence,
            file,
            len,
            offset: FIRST_RECORD,
            synced: FIRST_RECORD,
        };
        if self.disk.work() == Work::Threads {
            let (disk, bytes) = (self.disk.clone(), self.segment_bytes);
            let make = move || segment::prepare(disk.as_ref(), sequence + 1, bytes);
            self.next = Some(
                std::thread::Builder::new()
                    .name("log segment".to_owned())
                    .spawn(make)?,
            );
        }
        Ok(())
    }

    /// What a segment begins with, so that older ones may go.
    fn head(&self) -> Vec<Head> {
        let contents = lock(&self.shared);
        let vote = contents.vote.clone().map(Head::Vote);
        let purged = contents
            .purged
            .clone()
            .map(|(index, bytes)| Head::Purged(index, bytes));
        let committed = contents.committed.clone().map(Head::Committed);
        vote.into_iter().chain(purged).chain(committed).collect()
    }
}

/// A record at the beginning of a segment that repeats what older ones said.
enum Head {
    Vote(Vec<u8>),
    Purged(u64, Vec<u8>),
    Committed(Vec<u8>),
}

impl Head {
    fn record(&self) -> Record<'_> {
        match self {
            Self::Vote(bytes) => Record::Vote(bytes),
            Self::Purged(index, bytes) => Record::Purged {
                index: *index,
                bytes,
            },
            Self::Committed(bytes) => Record::Committed(bytes),
        }
    }
}

/// Reads all segments. Answers which one to write on, and where.
fn load(disk: &dyn Disk, contents: &mut Contents) -> Result<(u64, End), RaftFault> {
    let fresh = End {
        offset: FIRST_RECORD,
        sealed: false,
        torn: false,
    };
    let names = disk.list()?;
    let mut sequences: Vec<u64> = names
        .iter()
        .filter_map(|name| segment::sequence_of(name))
        .collect();
    sequences.sort_unstable();
    let mut last: Option<(u64, End)> = None;
    for sequence in sequences {
        let file = disk.open(&segment::name(sequence))?;
        let content = Content::read(file.as_ref(), sequence)?;
        let end = content.scan(|offset, found| {
            let position = Position {
                sequence,
                offset: u32::try_from(offset).map_err(io::Error::other)?,
                len: u32::try_from(found.len).map_err(io::Error::other)?,
            };
            let fits = contents.take(found.record, position);
            fits.then_some(())
                .ok_or_else(|| content.damaged(offset, "an entry is missing before it"))
        })?;
        let empty = end.offset == FIRST_RECORD;
        match last {
            // Made ready, but the one before was never sealed: it is made anew when its time comes.
            Some((_, before)) if empty && !before.sealed => {
                disk.remove(&segment::name(sequence))?;
                continue;
            }
            Some((before, end)) if !end.sealed || sequence != before + 1 => {
                return Err(content.damaged(0, "the segment before it has no end"));
            }
            Some(_) | None => {}
        }
        if empty && !content.is_prepared() {
            disk.remove(&segment::name(sequence))?;
            continue;
        }
        contents.files.insert(sequence, file);
        last = Some((sequence, end));
    }
    contents.refuse_gap()?;
    match last {
        None => Ok((1, fresh)),
        Some((sequence, end)) if end.sealed => Err(RaftFault::LogDamaged {
            segment: segment::name(sequence + 1),
            offset: 0,
            cause: "the segment is missing".to_owned(),
        }),
        Some(last) => Ok(last),
    }
}
