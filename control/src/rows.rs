//! The state as rows, the form in which masters keep it on disk and send it to each other.
//!
//! A row is `(table, key, value)`; key and value are postcard bytes, the value behind the table's version.
//! The hash of a state is the wrapping sum of the hashes of its rows: it does not depend on the order, and a
//! change of a few rows changes it by a few terms.

use std::ops::Deref;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::state::State;

/// Version of rows that this code writes.
pub const ROW_VERSION: u8 = 1;

/// Name of a table on disk. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    Settings = 1,
    Counters = 2,
    Masters = 3,
    JoinTokens = 4,
    Workers = 5,
    Users = 6,
    Sessions = 7,
    Images = 8,
    ImageNames = 9,
    Networks = 10,
    Vclusters = 11,
    Vnodes = 12,
    Receipts = 13,
    Autopilot = 14,
    Replacements = 15,
    Drills = 16,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 16] = [
        Self::Settings,
        Self::Counters,
        Self::Masters,
        Self::JoinTokens,
        Self::Workers,
        Self::Users,
        Self::Sessions,
        Self::Images,
        Self::ImageNames,
        Self::Networks,
        Self::Vclusters,
        Self::Vnodes,
        Self::Receipts,
        Self::Autopilot,
        Self::Replacements,
        Self::Drills,
    ];

    /// The table with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| *table as u8 == number)
    }
}

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
    diff_single(
        Table::Settings,
        old.settings.as_ref(),
        new.settings.as_ref(),
        &mut changes,
    );
    diff_single(
        Table::Counters,
        Some(&old.counters),
        Some(&new.counters),
        &mut changes,
    );
    diff_map(Table::Masters, &old.masters, &new.masters, &mut changes);
    diff_map(
        Table::JoinTokens,
        &old.join_tokens,
        &new.join_tokens,
        &mut changes,
    );
    diff_map(Table::Workers, &old.workers, &new.workers, &mut changes);
    diff_map(Table::Users, &old.users, &new.users, &mut changes);
    diff_map(Table::Sessions, &old.sessions, &new.sessions, &mut changes);
    diff_map(Table::Images, &old.images, &new.images, &mut changes);
    diff_map(
        Table::ImageNames,
        &old.image_names,
        &new.image_names,
        &mut changes,
    );
    diff_map(Table::Networks, &old.networks, &new.networks, &mut changes);
    diff_map(
        Table::Vclusters,
        &old.vclusters,
        &new.vclusters,
        &mut changes,
    );
    diff_map(Table::Vnodes, &old.vnodes, &new.vnodes, &mut changes);
    diff_map(Table::Receipts, &old.receipts, &new.receipts, &mut changes);
    diff_single(
        Table::Autopilot,
        old.autopilot.as_ref(),
        new.autopilot.as_ref(),
        &mut changes,
    );
    diff_map(
        Table::Replacements,
        &old.replacements,
        &new.replacements,
        &mut changes,
    );
    diff_map(Table::Drills, &old.drills, &new.drills, &mut changes);
    changes
}

/// All rows of a state, as changes from the empty one.
#[must_use]
pub fn all(state: &State) -> Vec<RowChange> {
    diff(&State::default(), state)
}

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
    old: &OrdMap<K, V>,
    new: &OrdMap<K, V>,
    changes: &mut Vec<RowChange>,
) where
    K: Ord + Clone + Serialize,
    V: Clone + PartialEq + Serialize,
{
    for item in old.diff(new) {
        let (key, before, after) = match item {
            DiffItem::Add(key, value) => (key, None, Some(value)),
            DiffItem::Update {
                old: (key, before),
                new: (_, after),
            } => (key, Some(before), Some(after)),
            DiffItem::Remove(key, value) => (key, Some(value), None),
        };
        changes.push(RowChange {
            table,
            key: key_bytes(key),
            before: before.map(value_bytes),
            after: after.map(value_bytes),
        });
    }
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
        load_row(&mut state, table, &value)?;
    }
    Ok(state)
}

/// Reads one row into the state. Every row contains its own key.
fn load_row(state: &mut State, table: Table, value: &[u8]) -> Result<(), RowFault> {
    match table {
        Table::Settings => state.settings = Some(decode(table, value)?),
        Table::Counters => state.counters = decode(table, value)?,
        Table::Masters => {
            let row: crate::model::Master = decode(table, value)?;
            state.masters.insert(row.id, row);
        }
        Table::JoinTokens => {
            let row: crate::model::JoinToken = decode(table, value)?;
            state.join_tokens.insert(row.id, row);
        }
        Table::Workers => {
            let row: crate::model::Worker = decode(table, value)?;
            state.workers.insert(row.id, row);
        }
        Table::Users => state.put_user(decode(table, value)?),
        Table::Sessions => {
            let row: crate::model::Session = decode(table, value)?;
            state.sessions.insert(row.id, row);
        }
        Table::Images => state.put_image(decode(table, value)?),
        Table::ImageNames => {
            let row: (crate::name::Name, crate::id::Digest) = decode(table, value)?;
            state.image_names.insert(row.0.clone(), row);
        }
        Table::Networks => state.put_network(decode(table, value)?),
        Table::Vclusters => state.put_vcluster(decode(table, value)?),
        Table::Vnodes => state.put_vnode(decode(table, value)?),
        Table::Receipts => state.put_receipt(decode(table, value)?),
        Table::Autopilot => state.autopilot = Some(decode(table, value)?),
        Table::Replacements => {
            let row: crate::model::Replacement = decode(table, value)?;
            state.replacements.insert(row.old, row);
        }
        Table::Drills => state.put_drill(decode(table, value)?),
    }
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

/// Fingerprint of a whole state; equal on all masters at the same index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct StateHash(pub [u64; 4]);

impl StateHash {
    /// The fingerprint after `changes`.
    #[must_use]
    pub fn after(self, changes: &[RowChange]) -> Self {
        changes.iter().fold(self, |hash, change| {
            let hash = change.before.iter().fold(hash, |hash, value| {
                hash.combine(change.row_hash(value), u64::wrapping_sub)
            });
            change.after.iter().fold(hash, |hash, value| {
                hash.combine(change.row_hash(value), u64::wrapping_add)
            })
        })
    }

    fn combine(self, row: [u64; 4], with: fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|lane| with(self.0[lane], row[lane])))
    }
}

impl std::fmt::Display for StateHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|lane| write!(formatter, "{lane:016x}"))
    }
}

impl RowChange {
    fn row_hash(&self, value: &[u8]) -> [u64; 4] {
        let mut hasher = Sha256::new();
        hasher.update([self.table as u8]);
        hasher.update((self.key.len() as u64).to_be_bytes());
        hasher.update(&self.key);
        hasher.update(value);
        let digest: [u8; 32] = hasher.finalize().into();
        std::array::from_fn(|lane| {
            let bytes = std::array::from_fn(|byte| digest[lane * 8 + byte]);
            u64::from_be_bytes(bytes)
        })
    }
}
