//! State rows, history and the applied index, in `state.redb`.
//!
//! A checkpoint is one durable transaction: the rows that changed since the last one, what they were before, the
//! changes in between, and how far they go. So a restart goes on from the last checkpoint, and any state since the
//! oldest checkpoint kept can be had again: undo whole checkpoints, then follow the changes forward.

use std::io;
use std::sync::Arc;

use docklet_control::event::Change;
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::model::ClusterVersion;
use docklet_control::rows::{self, RowChange, StateHash, Table};
use docklet_control::state::State;
use docklet_control::version;
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::pace::Pace;
use super::recent::Left;
use super::trail;
use super::{Base, Frozen};
use crate::disk::{Disk, RedbFile};
use crate::fault::RaftFault;
use crate::types::{LogId, Membership};

/// The file's name.
pub const FILE: &str = "state.redb";
/// Its name while it is made.
const NEW_FILE: &str = "state.redb.new";

const ROWS: TableDefinition<'_, (u8, &[u8]), &[u8]> = TableDefinition::new("rows");
/// Changes in pieces, by the index of the last one in the piece.
pub(super) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
/// Checkpoints, by the index that they reach.
pub(super) const CHECKPOINTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("checkpoints");
/// What the rows that a checkpoint changed were before, by the index that it reaches.
pub(super) const UNDO: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("undo");
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const APPLIED: &str = "applied";
/// When the entry after which all changes are kept was stamped; absent while none was dropped.
const HISTORY_AFTER_AT: &str = "history_after_at";

/// Changes in one piece of history.
const PIECE: usize = 128;
/// redb's cache: the state is in memory, so rows are rarely read again.
const CACHE_BYTES: usize = 16 << 20;

/// How far back the history may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Bytes of changes and undo rows.
    pub bytes_max: u64,
    /// Milliseconds before the newest change.
    pub age_ms_max: u64,
}

impl Default for HistoryLimits {
    /// 512 MiB and 30 days.
    fn default() -> Self {
        Self {
            bytes_max: 512 << 20,
            age_ms_max: 30 * 24 * 3_600_000,
        }
    }
}

/// How far the rows have come; changes with them in one transaction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Applied {
    pub(super) log_id: Option<LogId>,
    membership: Membership,
    hash: StateHash,
    /// Changes after this index are all there.
    pub(super) history_after: u64,
    history_bytes: u64,
}

/// One checkpoint.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The index of the one before.
    pub(super) from: u64,
    /// When its last change was stamped.
    pub(super) at: UnixMs,
    /// Bytes of its changes and undo rows.
    bytes: u64,
}

/// A row as it was: table, key, value or none.
pub(super) type UndoRow<B> = (u8, B, Option<B>);

/// The file.
pub struct RowStore {
    pub(super) database: Database,
    limits: HistoryLimits,
}

impl RowStore {
    /// Opens or makes `state.redb`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(disk: &dyn Disk, limits: HistoryLimits) -> Result<Self, RaftFault> {
        let names = disk.list()?;
        let is_there = |wanted: &str| names.iter().any(|name| name == wanted);
        if is_there(FILE) {
            let database = open_database(disk, FILE)?;
            return Ok(Self { database, limits });
        }
        // A file that a crash left half made never gets the name.
        if is_there(NEW_FILE) {
            disk.remove(NEW_FILE)?;
        }
        let database = open_database(disk, NEW_FILE)?;
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(ROWS)?;
        transaction.open_table(META)?;
        open_history(&transaction)?;
        transaction.commit()?;
        disk.rename(NEW_FILE, FILE)?;
        disk.sync_names()?;
        Ok(Self { database, limits })
    }

    /// Refuses a state that the cluster wrote in a version beyond `knows`: before any other row is read, since there may
    /// be some that this program cannot read.
    ///
    /// # Errors
    /// `TooOld`; or the disk failed.
    pub fn admit(&self, knows: ClusterVersion) -> Result<(), RaftFault> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(ROWS)?;
        let mut state = State::default();
        if let Some(row) = table.get((Table::Agreed as u8, [].as_slice()))? {
            rows::put(&mut state, Table::Agreed, row.value())?;
        }
        version::admit(&state, knows).map_err(RaftFault::TooOld)
    }

    /// Reads the whole state, and checks it against its hash.
    ///
    /// # Errors
    /// A row cannot be read, or the rows are not those that were written.
    pub fn load(&self) -> Result<Frozen, RaftFault> {
        let transaction = self.database.begin_read()?;
        let applied = read_applied(&transaction.open_table(META)?)?;
        let mut state = State::default();
        let computed = hash_rows(&transaction, |table, value| {
            Ok(rows::put(&mut state, table, value)?)
        })?;
        if computed != applied.hash {
            return Err(RaftFault::HashDiffers {
                found: applied.hash.to_string(),
                computed: computed.to_string(),
            });
        }
        let index = LogIndex(applied.log_id.map_or(0, |id| id.index()));
        let state = Arc::new(state);
        Ok(Frozen {
            index,
            state: state.clone(),
            applied: applied.log_id,
            membership: Arc::new(applied.membership),
            base: Arc::new(Base {
                index,
                state,
                hash: computed,
            }),
        })
    }

    /// Reads all rows; whether they are those that were written.
    ///
    /// # Errors
    /// The disk failed.
    pub fn scrub(&self) -> Result<bool, RaftFault> {
        let transaction = self.database.begin_read()?;
        let applied = read_applied(&transaction.open_table(META)?)?;
        let computed = hash_rows(&transaction, |_, _| Ok(()))?;
        Ok(computed == applied.hash)
    }

    /// Makes `after` durable: what changed since `base`, with what led there.
    ///
    /// # Errors
    /// The disk failed.
    pub fn checkpoint(
        &self,
        base: &Base,
        after: &Frozen,
        left: &Left,
        mut pace: Pace,
    ) -> Result<Base, RaftFault> {
        let changed = rows::diff(&base.state, &after.state);
        let hash = base.hash.after(&changed);
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        write_rows(&transaction, &changed, &mut pace)?;
        let mut applied = read_applied(&transaction.open_table(META)?)?;
        trail::write(&transaction, &left.lines, &mut pace)?;
        let at = left.changes.last().map(|change| change.at);
        let bytes = write_history(&transaction, &left.changes, &mut pace)?
            + write_undo(&transaction, after.index, &changed)?;
        let checkpoint = Checkpoint {
            from: base.index.0,
            at: at.unwrap_or_default(),
            bytes,
        };
        if at.is_some() {
            insert(&transaction, CHECKPOINTS, after.index.0, &checkpoint)?;
        }
        applied.history_bytes += bytes;
        trim(&transaction, &mut applied, self.limits, at)?;
        write_applied(&transaction, after, hash, applied)?;
        transaction.commit()?;
        Ok(Base {
            index: after.index,
            state: after.state.clone(),
            hash,
        })
    }

    /// Replaces everything by a snapshot. History starts anew after it; the audit trail has a gap that others fill.
    ///
    /// # Errors
    /// The disk failed.
    pub fn replace(&self, with: &Frozen) -> Result<Base, RaftFault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.delete_table(ROWS)?;
        transaction.delete_table(HISTORY)?;
        transaction.delete_table(CHECKPOINTS)?;
        transaction.delete_table(UNDO)?;
        let mut hash = StateHash::default();
        {
            let mut table = transaction.open_table(ROWS)?;
            for (number, key, value) in rows::iter(&with.state) {
                hash = hash.with_row(number, &key, &value);
                table.insert((number as u8, key.as_slice()), value.as_slice())?;
            }
        }
        open_history(&transaction)?;
        trail::leave_gap(&transaction, with.state.audit_head)?;
        transaction.open_table(META)?.remove(HISTORY_AFTER_AT)?;
        let applied = Applied {
            history_after: with.index.0,
            ..Applied::default()
        };
        write_applied(&transaction, with, hash, applied)?;
        transaction.commit()?;
        Ok(Base {
            index: with.index,
            state: with.state.clone(),
            hash,
        })
    }
}

/// Shows every row to `take`; answers the hash of all.
fn hash_rows(
    transaction: &ReadTransaction,
    mut take: impl FnMut(Table, &[u8]) -> Result<(), RaftFault>,
) -> Result<StateHash, RaftFault> {
    let mut hash = StateHash::default();
    for row in transaction.open_table(ROWS)?.iter()? {
        let (key, value) = row?;
        let (number, key) = key.value();
        let table = Table::from_number(number).ok_or_else(|| unknown_table(number))?;
        hash = hash.with_row(table, key, value.value());
        take(table, value.value())?;
    }
    Ok(hash)
}

fn open_database(disk: &dyn Disk, name: &str) -> Result<Database, RaftFault> {
    let file = disk.open(name)?;
    // What a killed process wrote and did not sync is found here, and relied on from now on.
    file.sync_data()?;
    Ok(Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(RedbFile(file))?)
}

/// Opens the tables of the history, so that they are there for readers.
fn open_history(transaction: &WriteTransaction) -> Result<(), RaftFault> {
    transaction.open_table(HISTORY)?;
    transaction.open_table(CHECKPOINTS)?;
    transaction.open_table(UNDO)?;
    Ok(())
}

pub(super) fn unknown_table(number: u8) -> RaftFault {
    RaftFault::Io(io::Error::other(format!(
        "row of unknown table {number}: written by a newer version"
    )))
}

pub(super) fn read_applied(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Applied, RaftFault> {
    match table.get(APPLIED)? {
        Some(bytes) => Ok(postcard::from_bytes(bytes.value())?),
        None => Ok(Applied::default()),
    }
}

/// When the entry after which all changes are kept was stamped.
pub(super) fn read_after_at(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Option<UnixMs>, RaftFault> {
    let at = table.get(HISTORY_AFTER_AT)?;
    let at = at.map(|bytes| postcard::from_bytes(bytes.value()));
    Ok(at.transpose()?)
}

/// Writes one row; answers how long it is.
fn insert<T: Serialize>(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, u64, &'static [u8]>,
    key: u64,
    value: &T,
) -> Result<u64, RaftFault> {
    let bytes = postcard::to_stdvec(value)?;
    transaction
        .open_table(table)?
        .insert(key, bytes.as_slice())?;
    Ok(bytes.len() as u64)
}

fn write_rows(
    transaction: &WriteTransaction,
    changed: &[RowChange],
    pace: &mut Pace,
) -> Result<(), RaftFault> {
    let mut table = transaction.open_table(ROWS)?;
    for change in changed {
        pace.step();
        let key = (change.table as u8, change.key.as_slice());
        match &change.after {
            Some(value) => table.insert(key, value.as_slice())?,
            None => table.remove(key)?,
        };
    }
    Ok(())
}

fn write_history(
    transaction: &WriteTransaction,
    changes: &[Arc<Change>],
    pace: &mut Pace,
) -> Result<u64, RaftFault> {
    changes.chunks(PIECE).try_fold(0, |bytes, piece| {
        pace.steps(piece.len());
        let last = piece.last().map_or(0, |change| change.index.0);
        let piece: Vec<&Change> = piece.iter().map(Arc::as_ref).collect();
        Ok(bytes + insert(transaction, HISTORY, last, &piece)?)
    })
}

/// Keeps what rows were before.
fn write_undo(
    transaction: &WriteTransaction,
    to: LogIndex,
    changed: &[RowChange],
) -> Result<u64, RaftFault> {
    let kept = changed.iter().filter(|change| change.table.is_of_events());
    let undo: Vec<UndoRow<&[u8]>> = kept
        .map(|change| {
            (
                change.table as u8,
                change.key.as_slice(),
                change.before.as_deref(),
            )
        })
        .collect();
    if undo.is_empty() {
        return Ok(0);
    }
    insert(transaction, UNDO, to.0, &undo)
}

/// Drops the oldest checkpoints while the history is too long or too old.
fn trim(
    transaction: &WriteTransaction,
    applied: &mut Applied,
    limits: HistoryLimits,
    now: Option<UnixMs>,
) -> Result<(), RaftFault> {
    let mut checkpoints = transaction.open_table(CHECKPOINTS)?;
    let mut history = transaction.open_table(HISTORY)?;
    let mut undo = transaction.open_table(UNDO)?;
    loop {
        let Some((to, oldest)) = first_of(&checkpoints)? else {
            return Ok(());
        };
        let old = now.is_some_and(|now| now.since_ms(oldest.at) > limits.age_ms_max);
        if applied.history_bytes <= limits.bytes_max && !old {
            return Ok(());
        }
        checkpoints.remove(to)?;
        undo.remove(to)?;
        history.retain_in::<u64, _>(..=to, |_, _| false)?;
        applied.history_bytes = applied.history_bytes.saturating_sub(oldest.bytes);
        applied.history_after = to;
        let at = postcard::to_stdvec(&oldest.at)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert(HISTORY_AFTER_AT, at.as_slice())?;
    }
}

fn first_of(
    checkpoints: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<Option<(u64, Checkpoint)>, RaftFault> {
    let first = checkpoints.first()?;
    let decoded = first.map(|(to, bytes)| Ok((to.value(), postcard::from_bytes(bytes.value())?)));
    decoded.transpose()
}

fn write_applied(
    transaction: &WriteTransaction,
    after: &Frozen,
    hash: StateHash,
    applied: Applied,
) -> Result<(), RaftFault> {
    let applied = Applied {
        log_id: after.applied,
        membership: Membership::clone(&after.membership),
        hash,
        ..applied
    };
    let bytes = postcard::to_stdvec(&applied)?;
    transaction
        .open_table(META)?
        .insert(APPLIED, bytes.as_slice())?;
    Ok(())
}
