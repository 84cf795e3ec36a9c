//! How far the audit trail has come.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, LogIndex};

/// The last line of the trail. As it is in the state, masters whose trails differ have states that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Its number, which is how many there have been.
    pub records: u64,
    /// The entry that left it.
    pub index: LogIndex,
    pub hash: Digest,
}

impl Default for AuditHead {
    /// Of a trail that has not begun.
    fn default() -> Self {
        Self {
            records: 0,
            index: LogIndex(0),
            hash: Digest([0; 32]),
        }
    }
}
