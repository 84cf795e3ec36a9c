//! The log, the vote and what was purged, in `log.redb`. One thread writes: it takes everything that waits,
//! commits it with one data sync, and only then says that it is durable. The newest entries stay in memory too,
//! so that replication does not read what was just written.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use super::blocking;
use crate::fault::RaftFault;
use crate::types::{LogEntry, LogId, Types, Vote};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";

/// Entries kept in memory; a follower that lags further reads from disk.
const TAIL_MAX: usize = 4_096;
/// Bytes written by one transaction at most, so that a burst does not hold up the first of it for long.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What the writer thread is asked for.
enum Write {
    Append(Vec<(u64, Vec<u8>)>, IOFlushed<Types>),
    Put(&'static str, Vec<u8>, oneshot::Sender<io::Result<()>>),
    /// Saved along with the next durable write: it only shortens a restart.
    PutLazily(&'static str, Vec<u8>),
    RemoveFrom(u64, oneshot::Sender<io::Result<()>>),
    Purge(u64, Vec<u8>, oneshot::Sender<io::Result<()>>),
}

/// Newest entries, by index.
#[derive(Default)]
struct Tail {
    entries: BTreeMap<u64, LogEntry>,
    /// Everything up to here is on disk.
    flushed: u64,
}

/// The log; clones share it.
#[derive(Clone)]
pub struct LogStore {
    database: Arc<Database>,
    writer: mpsc::UnboundedSender<Write>,
    tail: Arc<Mutex<Tail>>,
}

impl LogStore {
    /// Opens or makes `log.redb` in `dir`.
    ///
    /// # Errors
    /// The file cannot be opened, or its thread not be started.
    pub fn open(dir: &Path) -> Result<Self, RaftFault> {
        let database = Arc::new(Database::create(dir.join("log.redb"))?);
        let transaction = database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(META)?;
        transaction.commit()?;
        let tail = Arc::new(Mutex::new(Tail::default()));
        let (writer, queue) = mpsc::unbounded_channel();
        let (on_disk, flushed) = (database.clone(), tail.clone());
        std::thread::Builder::new()
            .name("log writer".to_owned())
            .spawn(move || write_all(&on_disk, queue, &flushed))?;
        Ok(Self {
            database,
            writer,
            tail,
        })
    }

    fn ask(&self, write: Write) -> io::Result<()> {
        self.writer
            .send(write)
            .map_err(|_| io::Error::other("the log writer has stopped after a disk error"))
    }

    async fn ask_and_wait(
        &self,
        write: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Write,
    ) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.ask(write(sender))?;
        receiver.await.map_err(io::Error::other)?
    }

    async fn meta<T: DeserializeOwned + Send + 'static>(
        &self,
        key: &'static str,
    ) -> io::Result<Option<T>> {
        let database = self.database.clone();
        blocking(move || {
            let table = database.begin_read()?.open_table(META)?;
            let value = table.get(key)?;
            Ok(value
                .map(|bytes| postcard::from_bytes(bytes.value()))
                .transpose()?)
        })
        .await
    }

    async fn read_disk(&self, from: u64, to: u64) -> io::Result<Vec<LogEntry>> {
        let database = self.database.clone();
        blocking(move || {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let mut entries = Vec::new();
            for row in table.range(from..to)? {
                entries.push(postcard::from_bytes(row?.1.value())?);
            }
            Ok(entries)
        })
        .await
    }

    async fn last_on_disk(&self) -> io::Result<Option<LogEntry>> {
        let database = self.database.clone();
        blocking(move || {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let last = table.last()?;
            Ok(last
                .map(|(_, bytes)| postcard::from_bytes(bytes.value()))
                .transpose()?)
        })
        .await
    }
}

fn lock(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(io::Error::other)
}

/// The writer thread. It ends when the store is dropped, or after the first disk error: then nothing more is
/// ever acknowledged.
fn write_all(database: &Database, mut queue: mpsc::UnboundedReceiver<Write>, tail: &Mutex<Tail>) {
    while let Some(first) = queue.blocking_recv() {
        let batch = gather(first, &mut queue);
        let result = commit(database, &batch);
        let failed = result.is_err();
        if let Err(fault) = &result {
            tracing::error!(%fault, "the log cannot be written");
        } else if let Some(last) = batch.iter().rev().find_map(last_index) {
            let mut tail = lock(tail);
            tail.flushed = tail.flushed.max(last);
        }
        let outcome = || match &result {
            Ok(()) => Ok(()),
            Err(fault) => Err(io::Error::other(fault.to_string())),
        };
        batch
            .into_iter()
            .for_each(|write| acknowledge(write, outcome()));
        if failed {
            return;
        }
    }
}

/// All that waits, up to a size.
fn gather(first: Write, queue: &mut mpsc::UnboundedReceiver<Write>) -> Vec<Write> {
    let mut bytes = size(&first);
    let mut batch = vec![first];
    while bytes < BATCH_BYTES_MAX
        && let Ok(next) = queue.try_recv()
    {
        bytes += size(&next);
        batch.push(next);
    }
    batch
}

fn size(write: &Write) -> usize {
    match write {
        Write::Append(entries, _) => entries.iter().map(|(_, bytes)| bytes.len()).sum(),
        Write::Put(..) | Write::PutLazily(..) | Write::RemoveFrom(..) | Write::Purge(..) => 0,
    }
}

fn last_index(write: &Write) -> Option<u64> {
    match write {
        Write::Append(entries, _) => entries.last().map(|(index, _)| *index),
        Write::Put(..) | Write::PutLazily(..) | Write::RemoveFrom(..) | Write::Purge(..) => None,
    }
}

/// One transaction, one data sync.
fn commit(database: &Database, batch: &[Write]) -> Result<(), RaftFault> {
    let lazy = |write: &Write| matches!(write, Write::PutLazily(..));
    let mut transaction = database.begin_write()?;
    transaction.set_durability(if batch.iter().all(lazy) {
        Durability::None
    } else {
        Durability::Immediate
    })?;
    {
        let mut entries = transaction.open_table(ENTRIES)?;
        let mut meta = transaction.open_table(META)?;
        for write in batch {
            match write {
                Write::Append(new, _) => {
                    for (index, bytes) in new {
                        entries.insert(index, bytes.as_slice())?;
                    }
                }
                Write::Put(key, bytes, _) | Write::PutLazily(key, bytes) => {
                    meta.insert(*key, bytes.as_slice())?;
                }
                Write::RemoveFrom(from, _) => entries.retain_in::<u64, _>(*from.., |_, _| false)?,
                Write::Purge(upto, bytes, _) => {
                    entries.retain_in::<u64, _>(..=*upto, |_, _| false)?;
                    meta.insert(PURGED, bytes.as_slice())?;
                }
            }
        }
    }
    Ok(transaction.commit()?)
}

fn acknowledge(write: Write, outcome: io::Result<()>) {
    match write {
        Write::Append(_, callback) => callback.io_completed(outcome),
        Write::Put(_, _, sender) | Write::RemoveFrom(_, sender) | Write::Purge(_, _, sender) => {
            // Whoever asked has been cancelled if this fails.
            drop(sender.send(outcome));
        }
        Write::PutLazily(..) => {}
    }
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
        let newest: Vec<LogEntry> = if from < to {
            let tail = lock(&self.tail);
            tail.entries
                .range(from..to)
                .map(|(_, e)| e.clone())
                .collect()
        } else {
            Vec::new()
        };
        let before = newest.first().map_or(to, RaftEntry::index);
        if before <= from {
            return Ok(newest);
        }
        let mut entries = self.read_disk(from, before).await?;
        entries.extend(newest);
        Ok(entries)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.meta(VOTE).await
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let purged: Option<LogId> = self.meta(PURGED).await?;
        let newest = lock(&self.tail)
            .entries
            .last_key_value()
            .map(|(_, e)| e.log_id());
        let last = match newest {
            Some(id) => Some(id),
            None => self.last_on_disk().await?.map(|entry| entry.log_id()),
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
        self.ask_and_wait(|sender| Write::Put(VOTE, bytes, sender))
            .await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.ask(Write::PutLazily(COMMITTED, encode(&committed)?))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.meta::<Option<LogId>>(COMMITTED).await?.flatten())
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
                tail.entries.insert(entry.index(), entry);
            }
            while tail.entries.len() > TAIL_MAX {
                match tail.entries.first_key_value() {
                    Some((index, _)) if *index <= tail.flushed => {}
                    Some(_) | None => break,
                }
                tail.entries.pop_first();
            }
        }
        self.ask(Write::Append(encoded, callback))
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let from = last_log_id.map_or(0, |id| id.index() + 1);
        {
            let mut tail = lock(&self.tail);
            tail.entries.split_off(&from);
            tail.flushed = tail.flushed.min(from.saturating_sub(1));
        }
        self.ask_and_wait(|sender| Write::RemoveFrom(from, sender))
            .await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        {
            let mut tail = lock(&self.tail);
            let kept = tail.entries.split_off(&(log_id.index() + 1));
            tail.entries = kept;
        }
        let bytes = encode(&log_id)?;
        self.ask_and_wait(|sender| Write::Purge(log_id.index(), bytes, sender))
            .await
    }
}
