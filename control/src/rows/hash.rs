//! The fingerprint of a state.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{RowChange, Table, iter};
use crate::state::State;

/// Fingerprint of a whole state; equal on all masters at the same index.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct StateHash(pub [u64; 4]);

impl StateHash {
    /// The fingerprint after `changes`.
    #[must_use]
    pub fn after(self, changes: &[RowChange]) -> Self {
        changes.iter().fold(self, |hash, change| {
            let before = change.before.iter().fold(hash, |hash, value| {
                hash.combine(
                    row_hash(change.table, &change.key, value),
                    u64::wrapping_sub,
                )
            });
            let after = change.after.iter();
            after.fold(before, |hash, value| {
                hash.with_row(change.table, &change.key, value)
            })
        })
    }

    /// The fingerprint with one more row.
    #[must_use]
    pub fn with_row(self, table: Table, key: &[u8], value: &[u8]) -> Self {
        self.combine(row_hash(table, key, value), u64::wrapping_add)
    }

    /// The fingerprint of a whole state, computed from all its rows.
    #[must_use]
    pub fn of(state: &State) -> Self {
        iter(state).fold(Self::default(), |hash, (table, key, value)| {
            hash.with_row(table, &key, &value)
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

fn row_hash(table: Table, key: &[u8], value: &[u8]) -> [u64; 4] {
    let mut hasher = Sha256::new();
    hasher.update([table as u8]);
    hasher.update((key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    let digest: [u8; 32] = hasher.finalize().into();
    std::array::from_fn(|lane| {
        let bytes = std::array::from_fn(|byte| digest[lane * 8 + byte]);
        u64::from_be_bytes(bytes)
    })
}
