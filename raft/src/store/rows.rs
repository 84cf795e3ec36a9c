//! State rows, history and the applied index, in `state.redb`.
//!
//! What one batch of entries changed is one transaction. It is not synced by itself: the log is, and after a crash
//! the state goes on from its last synced batch. [`RowStore::flush`] syncs, and always before the log is purged.

use std::path::Path;

use docklet_control::event::Change;
use docklet_control::id::LogIndex;
use docklet_control::rows::{self, RowChange, StateHash, Table};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::Frozen;
use crate::fault::RaftFault;
use crate::types::{LogId, Membership};

const ROWS: TableDefinition<'_, (u8, &[u8]), &[u8]> = TableDefinition::new("rows");
const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const APPLIED: &str = "applied";

/// Changes kept for followers; older ones give way to a fresh start from the state.
pub const HISTORY_MAX: u64 = 100_000;
/// Old changes are dropped this many at a time.
const HISTORY_TRIM: u64 = 1_000;

/// How far the rows have come; changes with them in one transaction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Applied {
    log_id: Option<LogId>,
    membership: Membership,
    hash: StateHash,
    /// Changes after this index are all there.
    history_after: u64,
}

/// The file.
pub struct RowStore {
    database: Database,
}

impl RowStore {
    /// Opens or makes `state.redb` in `dir`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(dir: &Path) -> Result<Self, RaftFault> {
        let database = Database::create(dir.join("state.redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(ROWS)?;
        transaction.open_table(HISTORY)?;
        transaction.open_table(META)?;
        transaction.commit()?;
        Ok(Self { database })
    }

    /// Reads the whole state, and checks it against its hash.
    ///
    /// # Errors
    /// A row cannot be read, or the rows are not those that were written.
    pub fn load(&self) -> Result<Frozen, RaftFault> {
        let transaction = self.database.begin_read()?;
        let applied = read_applied(&transaction.open_table(META)?)?;
        let mut pairs = Vec::new();
        for row in transaction.open_table(ROWS)?.iter()? {
            let (key, value) = row?;
            let table =
                Table::from_number(key.value().0).ok_or_else(|| unknown_table(key.value().0))?;
            pairs.push((table, value.value().to_vec()));
        }
        let state = rows::load(pairs)?;
        let computed = StateHash::default().after(&rows::all(&state));
        // The counters' row is there from the first change on.
        if applied.log_id.is_some() && computed != applied.hash {
            return Err(RaftFault::HashDiffers {
                found: applied.hash.to_string(),
                computed: computed.to_string(),
            });
        }
        Ok(Frozen {
            index: LogIndex(applied.log_id.map_or(0, |id| id.index())),
            state,
            hash: applied.hash,
            applied: applied.log_id,
            membership: applied.membership,
        })
    }

    /// Writes what a batch changed, and that it is applied.
    ///
    /// # Errors
    /// The disk failed.
    pub fn apply(
        &self,
        after: &Frozen,
        changed: &[RowChange],
        history: &[Change],
    ) -> Result<(), RaftFault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        write_rows(&transaction, changed)?;
        let history_after = write_history(&transaction, history)?;
        write_applied(&transaction, after, history_after)?;
        Ok(transaction.commit()?)
    }

    /// Replaces everything by a snapshot, durably. History starts anew after it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn replace(&self, with: &Frozen) -> Result<(), RaftFault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.delete_table(ROWS)?;
        transaction.delete_table(HISTORY)?;
        write_rows(&transaction, &rows::all(&with.state))?;
        transaction.open_table(HISTORY)?;
        write_applied(&transaction, with, with.index.0)?;
        Ok(transaction.commit()?)
    }

    /// Makes all that was applied durable, so that a restart continues from here.
    ///
    /// # Errors
    /// The disk failed.
    pub fn flush(&self) -> Result<(), RaftFault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(true);
        Ok(transaction.commit()?)
    }

    /// Changes after `after`, at most `limit`, and the index after which none is missing.
    ///
    /// # Errors
    /// The disk failed.
    pub fn history(
        &self,
        after: LogIndex,
        limit: usize,
    ) -> Result<(LogIndex, Vec<Change>), RaftFault> {
        let transaction = self.database.begin_read()?;
        let applied = read_applied(&transaction.open_table(META)?)?;
        let table = transaction.open_table(HISTORY)?;
        let mut changes = Vec::new();
        for row in table.range(after.0 + 1..)?.take(limit) {
            changes.push(postcard::from_bytes(row?.1.value())?);
        }
        Ok((LogIndex(applied.history_after), changes))
    }
}

fn unknown_table(number: u8) -> RaftFault {
    RaftFault::Io(std::io::Error::other(format!(
        "row of unknown table {number}: written by a newer version"
    )))
}

fn read_applied(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Applied, RaftFault> {
    match table.get(APPLIED)? {
        Some(bytes) => Ok(postcard::from_bytes(bytes.value())?),
        None => Ok(Applied::default()),
    }
}

fn write_rows(transaction: &WriteTransaction, changed: &[RowChange]) -> Result<(), RaftFault> {
    let mut table = transaction.open_table(ROWS)?;
    for change in changed {
        let key = (change.table as u8, change.key.as_slice());
        match &change.after {
            Some(value) => table.insert(key, value.as_slice())?,
            None => table.remove(key)?,
        };
    }
    Ok(())
}

/// Adds changes and drops the oldest; answers after which index none is missing.
fn write_history(transaction: &WriteTransaction, history: &[Change]) -> Result<u64, RaftFault> {
    let history_after = read_applied(&transaction.open_table(META)?)?.history_after;
    let mut table = transaction.open_table(HISTORY)?;
    for change in history {
        table.insert(change.index.0, postcard::to_stdvec(change)?.as_slice())?;
    }
    let newest = table.last()?.map_or(0, |(index, _)| index.value());
    let oldest = table.first()?.map_or(newest, |(index, _)| index.value());
    if newest - oldest < HISTORY_MAX + HISTORY_TRIM {
        return Ok(history_after);
    }
    let upto = newest - HISTORY_MAX;
    table.retain_in::<u64, _>(..=upto, |_, _| false)?;
    Ok(history_after.max(upto))
}

fn write_applied(
    transaction: &WriteTransaction,
    after: &Frozen,
    history_after: u64,
) -> Result<(), RaftFault> {
    let applied = Applied {
        log_id: after.applied,
        membership: after.membership.clone(),
        hash: after.hash,
        history_after,
    };
    let bytes = postcard::to_stdvec(&applied)?;
    transaction
        .open_table(META)?
        .insert(APPLIED, bytes.as_slice())?;
    Ok(())
}
