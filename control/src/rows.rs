//! The state as rows, the form in which masters keep it on disk and send it to each other.
//!
//! A row is `(table, key, value)`; key and value are postcard bytes, the value behind the table's version.
//! The hash of a state is the wrapping sum of the hashes of its rows: it does not depend on the order, and a
//! change of a few rows changes it by a few terms.

mod hash;
#[macro_use]
mod maps;
mod table;

use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::id::{
    BugId, Digest, DrillId, Epoch, GroupId, IdentityId, LogIndex, MailId, MasterId, NetworkId,
    NoticeId, SecretHash, ServiceId, UserId, VclusterId, VnodeId, WorkerId,
};
use crate::model::setting::SettingName;
use crate::model::{Counters, LineOf, Month, PublicPort, PurseOf};
use crate::name::Name;
use crate::row_map::RowMap;
use crate::state::State;

pub use hash::StateHash;
pub use table::Table;

/// Version of rows that this code writes.
pub const ROW_VERSION: u8 = 1;

/// One row that appeared, changed or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    pub table: Table,
    pub key: Vec<u8>,
    /// Value before; none if the row is new.
    pub before: Option<Vec<u8>>,
    /// Value after; none if the row is gone.
    pub after: Option<Vec<u8>>,
}

/// A row that this code cannot read: the file is damaged, or from a newer version.
#[derive(Debug, thiserror::Error)]
pub enum RowFault {
    #[error("row of table {table:?} has version {version}, this code reads up to {ROW_VERSION}")]
    Version { table: Table, version: u8 },
    #[error("row of table {table:?} cannot be decoded")]
    Decode {
        table: Table,
        #[source]
        source: postcard::Error,
    },
}

/// What changed from `old` to `new`. Costs in proportion to the change: shared subtrees are skipped.
#[must_use]
pub fn diff(old: &State, new: &State) -> Vec<RowChange> {
    let mut changes = Vec::new();
    macro_rules! diff_one {
        ($table:ident, $field:ident) => {
            let (before, after) = (old.$field.as_ref(), new.$field.as_ref());
            diff_single(Table::$table, before, after, &mut changes);
        };
    }
    let (before, after) = (counters_row(old), counters_row(new));
    diff_single(Table::Counters, before, after, &mut changes);
    for_each_single!(diff_one);
    macro_rules! diff_table {
        ($table:ident, $field:ident, $key:ty, $put:ident, $remove:ident) => {
            diff_map(Table::$table, &old.$field, &new.$field, &mut changes);
        };
    }
    for_each_map!(diff_table);
    changes
}

/// Every row of a state in the order of the tables and keys, one at a time: table, key and value.
pub fn iter(state: &State) -> impl Iterator<Item = (Table, Vec<u8>, Vec<u8>)> + Send + '_ {
    let counters = counters_row(state).map(|row| (Table::Counters, Vec::new(), value_bytes(row)));
    let mut tables: Vec<Rows<'_>> = Vec::new();
    macro_rules! push_one {
        ($table:ident, $field:ident) => {
            let row = state.$field.iter().map(value_bytes);
            tables.push(Box::new(
                row.map(|value| (Table::$table, Vec::new(), value)),
            ));
        };
    }
    for_each_single!(push_one);
    // After the settings.
    tables.insert(1, Box::new(counters.into_iter()));
    macro_rules! push_table {
        ($table:ident, $field:ident, $key:ty, $put:ident, $remove:ident) => {
            let rows = state.$field.iter();
            let row = |(key, value)| (Table::$table, key_bytes(key), value_bytes(value));
            tables.push(Box::new(rows.map(row)));
        };
    }
    for_each_map!(push_table);
    tables.into_iter().flatten()
}

/// How many rows a state has. Counts and encodes nothing.
#[must_use]
pub fn count(state: &State) -> u64 {
    let mut count = u64::from(counters_row(state).is_some());
    macro_rules! count_one {
        ($table:ident, $field:ident) => {
            count += u64::from(state.$field.is_some());
        };
    }
    for_each_single!(count_one);
    macro_rules! count_table {
        ($table:ident, $field:ident, $key:ty, $put:ident, $remove:ident) => {
            count += state.$field.len() as u64;
        };
    }
    for_each_map!(count_table);
    count
}

/// Counters that nothing has moved yet have no row.
fn counters_row(state: &State) -> Option<&Counters> {
    Some(&state.counters).filter(|counters| **counters != Counters::default())
}

type Rows<'s> = Box<dyn Iterator<Item = (Table, Vec<u8>, Vec<u8>)> + Send + 's>;

fn diff_single<T: Serialize + PartialEq>(
    table: Table,
    old: Option<&T>,
    new: Option<&T>,
    changes: &mut Vec<RowChange>,
) {
    if old != new {
        changes.push(RowChange {
            table,
            key: Vec::new(),
            before: old.map(value_bytes),
            after: new.map(value_bytes),
        });
    }
}

fn diff_map<K, V>(
    table: Table,
    old: &RowMap<K, V>,
    new: &RowMap<K, V>,
    changes: &mut Vec<RowChange>,
) where
    K: Ord + Serialize,
    V: PartialEq + Serialize,
{
    changes.extend(old.differing(new).map(|row| RowChange {
        table,
        key: key_bytes(row.key),
        before: row.before.map(value_bytes),
        after: row.after.map(value_bytes),
    }));
}

fn key_bytes<T: Serialize>(key: &T) -> Vec<u8> {
    postcard::to_stdvec(key).expect("keys are numbers, names and digests, which postcard encodes")
}

fn value_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![ROW_VERSION])
        .expect("rows are plain data of known length, which postcard encodes")
}

/// Builds the state from its rows, in any order.
///
/// # Errors
/// The first row that this code cannot read.
pub fn load<B: Deref<Target = [u8]>>(
    rows: impl IntoIterator<Item = (Table, B)>,
) -> Result<State, RowFault> {
    let mut state = State::default();
    for (table, value) in rows {
        put(&mut state, table, &value)?;
    }
    Ok(state)
}

/// Reads one new row into the state. Every row contains its own key.
///
/// # Errors
/// This code cannot read it.
pub fn put(state: &mut State, table: Table, value: &[u8]) -> Result<(), RowFault> {
    macro_rules! put_table {
        ($table:ident, $field:ident, $key:ty, $put:ident, $remove:ident) => {
            if table == Table::$table {
                state.$put(decode(table, value)?);
            }
        };
    }
    macro_rules! put_one {
        ($table:ident, $field:ident) => {
            if table == Table::$table {
                state.$field = Some(decode(table, value)?);
            }
        };
    }
    if table == Table::Counters {
        state.counters = decode(table, value)?;
    }
    for_each_single!(put_one);
    for_each_map!(put_table);
    Ok(())
}

/// Whether this code can read a row.
///
/// # Errors
/// It cannot.
pub fn check(table: Table, value: &[u8]) -> Result<(), RowFault> {
    put(&mut State::default(), table, value)
}

/// Takes a row out of the state.
///
/// # Errors
/// The key is none of this table.
pub fn remove(state: &mut State, table: Table, key: &[u8]) -> Result<(), RowFault> {
    macro_rules! remove_from {
        ($table:ident, $field:ident, $key:ty, $put:ident, $remove:ident) => {
            if table == Table::$table {
                let key = postcard::from_bytes::<$key>(key);
                let key = key.map_err(|source| RowFault::Decode { table, source })?;
                state.$remove(&key);
            }
        };
    }
    macro_rules! remove_one {
        ($table:ident, $field:ident) => {
            if table == Table::$table {
                state.$field = None;
            }
        };
    }
    if table == Table::Counters {
        state.counters = Counters::default();
    }
    for_each_single!(remove_one);
    for_each_map!(remove_from);
    Ok(())
}

fn decode<T: DeserializeOwned>(table: Table, value: &[u8]) -> Result<T, RowFault> {
    match value.split_first() {
        Some((&ROW_VERSION, body)) => {
            postcard::from_bytes(body).map_err(|source| RowFault::Decode { table, source })
        }
        version => Err(RowFault::Version {
            table,
            version: version.map_or(0, |(version, _)| *version),
        }),
    }
}
