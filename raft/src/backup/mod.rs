//! Backups: the whole state after one entry, as a file that says of itself whether it is whole.
//!
//! Secrets are in it: whoever has the file has the password hashes and may try logins and networks at leisure.

mod fault;
mod format;
mod read;
mod stream;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use docklet_control::rows::Table;

pub use fault::BackupFault;
pub use format::BackupHeader;
pub use read::{load, verify};
pub use stream::stream;
pub use write::write;

/// Rows by table.
pub type Tables = BTreeMap<Table, u64>;

/// A backup that was written or read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    pub header: BackupHeader,
    /// SHA-256 of everything but the sum itself; `sha256sum` of the file gives another.
    pub sha256: [u8; 32],
    /// Length of the file.
    pub bytes: u64,
    /// Bytes of the rows, unpacked.
    pub raw_bytes: u64,
    /// How many rows there are of each table.
    pub tables: Tables,
}
