//! The form of a backup file. All numbers are little-endian.
//!
//! ```text
//! "DKLTBKUP" | format u16 | header length u32 | crc32 u32 | header
//! kind u8 | number u32 | raw length u32 | length u32 | crc32 u32 | body        blocks, counted from 0
//! sha256 of everything before it
//! ```
//!
//! The bodies of row blocks, unpacked and joined, are the rows in order, each as
//! `table u8 | key length u32 | value length u32 | key | value`. The last block is the end, which says how many rows
//! there were and what hash they have; nothing follows on the sum. So a file that was cut off anywhere has no end.
//! Every length is limited, and a block unpacks to at most [`RATIO_MAX`] times its own length.

use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::model::ClusterId;
use docklet_control::rows::StateHash;
use serde::{Deserialize, Serialize};

/// First bytes of a backup.
pub const MAGIC: [u8; 8] = *b"DKLTBKUP";
/// Version of the form that this code writes.
pub const FORMAT: u16 = 1;
/// Oldest form that this code reads.
pub const FORMAT_OLDEST: u16 = 1;
/// Magic, format, length and checksum.
pub const HEAD_BYTES: usize = 8 + 2 + 4 + 4;
/// Longest header.
pub const HEADER_BYTES_MAX: u64 = 4_096;
/// What stands before a block's body.
pub const BLOCK_HEAD_BYTES: usize = 1 + 4 + 4 + 4 + 4;
/// A block holds at most this much of the rows.
pub const BLOCK_RAW_MAX: usize = 1 << 20;
/// Bytes of a row before its key.
pub const ROW_HEAD_BYTES: usize = 1 + 4 + 4;
/// Longest key and longest value of a row; those of real rows are far shorter.
pub const KEY_BYTES_MAX: u64 = 1 << 16;
pub const VALUE_BYTES_MAX: u64 = 64 << 20;
/// What compresses better than this is written plainly; so what claims to do so in a file was not written by us.
pub const RATIO_MAX: usize = 250;
/// Rows of a state, unpacked. A state is held in memory, so a larger one cannot be real.
pub const RAW_BYTES_MAX: u64 = 64 << 30;
/// Length of the sum at the end.
pub const SUM_BYTES: usize = 32;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Rows, compressed with zstd.
    Packed = 1,
    /// Rows as they are.
    Plain = 2,
    /// An encoded [`End`].
    End = 3,
}

impl Kind {
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Packed, Self::Plain, Self::End]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHeader {
    pub cluster: ClusterId,
    pub cluster_name: String,
    /// The entry after which the state was so.
    pub index: LogIndex,
    /// When the backup was begun.
    pub at: UnixMs,
    /// Fingerprint of the state.
    pub hash: StateHash,
    pub rows: u64,
    /// What whoever restores it must know.
    pub cluster_version: u16,
    /// Version of the program that wrote it, for people.
    pub program: String,
}

/// What the end says again, counted while the rows were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub rows: u64,
    /// Bytes of all rows, unpacked.
    pub raw_bytes: u64,
    pub hash: StateHash,
}

/// Head and header.
pub fn head(header: &BackupHeader) -> Vec<u8> {
    let header =
        postcard::to_stdvec(header).expect("plain data of known length, which postcard encodes");
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend(length(header.len()));
    bytes.extend(checksum(&[&bytes, &header]));
    bytes.extend(header);
    bytes
}

/// One block.
pub fn block(kind: Kind, number: u32, raw: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind as u8];
    bytes.extend(number.to_le_bytes());
    bytes.extend(length(raw));
    bytes.extend(length(body.len()));
    bytes.extend(checksum(&[&bytes, body]));
    bytes.extend(body);
    bytes
}

fn length(bytes: usize) -> [u8; 4] {
    let bytes = u32::try_from(bytes).expect("parts are far shorter than 4 GiB");
    bytes.to_le_bytes()
}

/// CRC-32 of parts as if joined.
pub fn checksum(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_le_bytes()
}
