//! The log and the vote, in segments on disk. One thread writes: it takes everything that waits, writes it with one
//! data sync, and only then says that it is durable. The newest entries stay in memory too, so that replication
//! does not read what was just written.

mod newer;
mod record;
mod segment;
mod segments;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use self::record::Record;
use self::segments::{Segments, Shared};
use super::blocking;
use crate::disk::{Disk, Work};
use crate::fault::RaftFault;
use crate::types::{LogEntry, LogId, Types, Vote};

/// Length of a segment's file.
pub const SEGMENT_BYTES: usize = 8 << 20;
/// Entries kept in memory; a follower that lags further reads from disk.
const TAIL_MAX: usize = 4_096;
/// Bytes written with one sync at most, so that a burst does not hold up the first of it for long.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// What the writer is asked for.
enum Write {
    Append(Vec<(u64, Vec<u8>)>, IOFlushed<Types>),
    Vote(Vec<u8>, oneshot::Sender<io::Result<()>>),
    /// Not synced by itself: it only shortens a restart.
    Committed(Vec<u8>),
    TruncateFrom(u64, oneshot::Sender<io::Result<()>>),
    Purge(u64, Vec<u8>, oneshot::Sender<io::Result<()>>),
}

impl Write {
    fn records(&self) -> Vec<Record<'_>> {
        match self {
            Self::Append(entries, _) => entries
                .iter()
                .map(|(index, bytes)| Record::Entry {
                    index: *index,
                    bytes,
                })
                .collect(),
            Self::Vote(bytes, _) => vec![Record::Vote(bytes)],
            Self::Committed(bytes) => vec![Record::Committed(bytes)],
            Self::TruncateFrom(index, _) => vec![Record::TruncateFrom(*index)],
            Self::Purge(index, bytes, _) => vec![Record::Purged {
                index: *index,
                bytes,
            }],
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Append(entries, _) => entries.iter().map(|(_, bytes)| bytes.len()).sum(),
            Self::Vote(..) | Self::Committed(_) | Self::TruncateFrom(..) | Self::Purge(..) => 0,
        }
    }

    fn must_be_durable(&self) -> bool {
        !matches!(self, Self::Committed(_))
    }

    fn acknowledge(self, outcome: io::Result<()>) {
        match self {
            Self::Append(_, callback) => callback.io_completed(outcome),
            Self::Vote(_, sender) | Self::TruncateFrom(_, sender) | Self::Purge(_, _, sender) => {
                // Whoever asked has been cancelled if this fails.
                drop(sender.send(outcome));
            }
            Self::Committed(_) => {}
        }
    }
}

/// Newest entries, without a gap, the last of them perhaps not on disk yet.
#[derive(Default)]
struct Tail {
    first: u64,
    entries: VecDeque<LogEntry>,
    /// Entries before this are on disk.
    flushed: u64,
}

impl Tail {
    fn push(&mut self, entry: LogEntry) {
        if self.entries.is_empty() {
            self.first = entry.index();
        }
        self.entries.push_back(entry);
        while self.entries.len() > TAIL_MAX && self.first < self.flushed {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    fn range(&self, from: u64, to: u64) -> Vec<LogEntry> {
        let position = |index: u64| {
            let position = usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
            position.min(self.entries.len())
        };
        let (start, end) = (position(from), position(to));
        self.entries.range(start..end.max(start)).cloned().collect()
    }

    fn truncate_from(&mut self, index: u64) {
        let kept = usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.entries.truncate(kept);
        self.flushed = self.flushed.min(index);
    }

    fn drop_upto(&mut self, index: u64) {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.index() <= index)
        {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

/// Who writes: as the disk wants it.
#[derive(Clone)]
enum Writer {
    /// A thread or a task.
    Beside(mpsc::UnboundedSender<Write>),
    Inline(Arc<Mutex<Option<Segments>>>),
}

/// The log; clones share it.
#[derive(Clone)]
pub struct LogStore {
    writer: Writer,
    on_disk: Shared,
    tail: Arc<Mutex<Tail>>,
    threads: bool,
}

impl LogStore {
    /// Opens or makes the log on `disk`.
    ///
    /// # Errors
    /// The disk failed, the log is damaged, or its thread cannot be started.
    pub fn open(disk: Arc<dyn Disk>, segment_bytes: usize) -> Result<Self, RaftFault> {
        let work = disk.work();
        let (segments, on_disk) = Segments::open(disk.clone(), segment_bytes)?;
        let tail = Arc::new(Mutex::new(Tail::default()));
        let (beside, queue) = mpsc::unbounded_channel();
        let flushed = tail.clone();
        let writer = match work {
            Work::Threads => {
                std::thread::Builder::new()
                    .name("log writer".to_owned())
                    .spawn(move || write_all(segments, queue, &flushed))?;
                Writer::Beside(beside)
            }
            Work::Tasks(_) => {
                tokio::spawn(write_all_in_time(disk, segments, queue, flushed));
                Writer::Beside(beside)
            }
            Work::Caller => Writer::Inline(Arc::new(Mutex::new(Some(segments)))),
        };
        Ok(Self {
            writer,
            on_disk,
            tail,
            threads: work == Work::Threads,
        })
    }

    fn ask(&self, write: Write) -> io::Result<()> {
        let stopped = || io::Error::other("the log is not written any more after a disk error");
        match &self.writer {
            Writer::Beside(queue) => queue.send(write).map_err(|_| stopped()),
            Writer::Inline(segments) => {
                let mut slot = segments.lock().unwrap_or_else(PoisonError::into_inner);
                let open = slot.as_mut().ok_or_else(stopped)?;
                if !write_batch(open, vec![write], &self.tail) {
                    *slot = None;
                }
                Ok(())
            }
        }
    }

    async fn ask_and_wait(
        &self,
        write: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Write,
    ) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.ask(write(sender))?;
        receiver.await.map_err(io::Error::other)?
    }

    async fn read_disk(&self, from: u64, to: u64) -> io::Result<Vec<LogEntry>> {
        if from >= to {
            return Ok(Vec::new());
        }
        let on_disk = self.on_disk.clone();
        let read = move || {
            let entries = segments::read_entries(&on_disk, from, to)?;
            let decoded = entries
                .iter()
                .map(|bytes| newer::decode(bytes))
                .collect::<Result<_, _>>();
            Ok(decoded?)
        };
        if self.threads {
            blocking(read).await
        } else {
            read().map_err(|fault: RaftFault| io::Error::other(fault))
        }
    }
}

fn lock(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(io::Error::other)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(io::Error::other)
}

/// The writer thread. It ends when the store is dropped, or after the first disk error: then nothing more is
/// ever acknowledged.
fn write_all(
    mut segments: Segments,
    mut queue: mpsc::UnboundedReceiver<Write>,
    tail: &Mutex<Tail>,
) {
    while let Some(first) = queue.blocking_recv() {
        let batch = gather(first, &mut queue);
        if !write_batch(&mut segments, batch, tail) {
            return;
        }
    }
}

/// The same as a task, in the time that the disk says.
async fn write_all_in_time(
    disk: Arc<dyn Disk>,
    mut segments: Segments,
    mut queue: mpsc::UnboundedReceiver<Write>,
    tail: Arc<Mutex<Tail>>,
) {
    while let Some(first) = queue.recv().await {
        if let Work::Tasks(wait) = disk.work() {
            tokio::time::sleep(wait).await;
        }
        let batch = gather(first, &mut queue);
        if !write_batch(&mut segments, batch, &tail) {
            return;
        }
    }
}

/// All that waits, up to a size.
fn gather(first: Write, queue: &mut mpsc::UnboundedReceiver<Write>) -> Vec<Write> {
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while bytes < BATCH_BYTES_MAX
        && let Ok(next) = queue.try_recv()
    {
        bytes += next.bytes();
        batch.push(next);
    }
    batch
}

/// One write, one data sync, then the answers. Whether the disk is still to be trusted.
fn write_batch(segments: &mut Segments, batch: Vec<Write>, tail: &Mutex<Tail>) -> bool {
    let records: Vec<Record<'_>> = batch.iter().flat_map(Write::records).collect();
    let written = segments.write(&records, batch.iter().any(Write::must_be_durable));
    if let Err(fault) = &written {
        tracing::error!(%fault, "the log cannot be written: this master acknowledges nothing more");
    } else {
        let last = records.iter().rev().find_map(Record::entry_index);
        let mut tail = lock(tail);
        tail.flushed = tail.flushed.max(last.map_or(0, |last| last + 1));
    }
    drop(records);
    let written = written.map_err(Arc::new);
    for write in batch {
        // Each hears the whole cause, down to the system's own words.
        let outcome = written
            .as_ref()
            .map_err(|fault| io::Error::other(fault.clone()));
        write.acknowledge(outcome.copied());
    }
    written.is_ok()
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let (newest, first, next) = {
            let (tail, on_disk) = (lock(&self.tail), segments::lock(&self.on_disk));
            (tail.range(from, to), on_disk.first(), on_disk.next())
        };
        let before = newest.first().map_or(to.min(next), RaftEntry::index);
        let mut entries = self.read_disk(from.max(first), before).await?;
        entries.extend(newest);
        Ok(entries)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        let vote = segments::lock(&self.on_disk).vote.clone();
        vote.map(|bytes| decode(&bytes)).transpose()
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let (purged, last) = {
            let on_disk = segments::lock(&self.on_disk);
            (on_disk.purged.clone(), on_disk.last())
        };
        let purged: Option<LogId> = purged.map(|(_, bytes)| decode(&bytes)).transpose()?;
        let newest = lock(&self.tail).entries.back().map(RaftEntry::log_id);
        let last = match (newest, last) {
            (Some(newest), _) => Some(newest),
            (None, Some(last)) => {
                let found = self.read_disk(last, last + 1).await?;
                found.first().map(RaftEntry::log_id)
            }
            (None, None) => None,
        };
        Ok(LogState {
            last_purged_log_id: purged,
            last_log_id: last.or(purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let bytes = encode(vote)?;
        self.ask_and_wait(|sender| Write::Vote(bytes, sender)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.ask(Write::Committed(encode(&committed)?))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let committed = segments::lock(&self.on_disk).committed.clone();
        let committed = committed.map(|bytes| decode::<Option<LogId>>(&bytes));
        Ok(committed.transpose()?.flatten())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut encoded = Vec::new();
        {
            let mut tail = lock(&self.tail);
            for entry in entries {
                encoded.push((entry.index(), encode(&entry)?));
                tail.push(entry);
            }
        }
        self.ask(Write::Append(encoded, callback))
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let from = last_log_id.map_or(0, |id| id.index() + 1);
        tracing::debug!(from, "entries that others do not have are cut off");
        lock(&self.tail).truncate_from(from);
        self.ask_and_wait(|sender| Write::TruncateFrom(from, sender))
            .await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        lock(&self.tail).drop_upto(log_id.index());
        let bytes = encode(&log_id)?;
        self.ask_and_wait(|sender| Write::Purge(log_id.index(), bytes, sender))
            .await
    }
}
