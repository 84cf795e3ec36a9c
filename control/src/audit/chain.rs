//! The chain: each line's hash is over the line and the hash of the line before it, so nothing can be changed, left out,
//! put in or moved without all that follows being another.

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::record::Record;
use crate::id::{Digest, LogIndex, UnixMs};
use crate::model::audit::AuditHead;

/// What a line ends with, around the hash.
const BEFORE_HASH: &str = r#","hash":""#;
const AFTER_HASH: &str = "\"}";
const HASH_LEN: usize = 64;

/// One line as it is kept and exported: the record as JSON, with the hash for its last field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The record's place in the trail.
    pub number: u64,
    /// The entry that left it, and when it was stamped.
    pub index: LogIndex,
    pub at: UnixMs,
    pub hash: Digest,
    pub text: String,
}

impl Line {
    /// The line of `record` after a trail that ends with `head`.
    pub(super) fn after(head: &AuditHead, record: &Record) -> Self {
        let text = serde_json::to_string(record).expect("plain data has a JSON form");
        let hash = hash(head.hash, &text);
        let open = text.strip_suffix('}').expect("it is an object");
        Self {
            number: record.number,
            index: record.index,
            at: record.at,
            hash,
            text: format!("{open}{BEFORE_HASH}{hash}{AFTER_HASH}"),
        }
    }
}

/// SHA-256 over the hash before and the record's text without its own hash.
fn hash(before: Digest, record: &str) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(before.0);
    hasher.update(record.as_bytes());
    Digest(hasher.finalize().into())
}

/// What is wrong with a trail.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    #[error("record {number} cannot be read as one: {cause}")]
    Unreadable { number: u64, cause: String },
    #[error(
        "after record {after} comes record {found}: what is between them is missing, or was moved"
    )]
    OutOfOrder { after: u64, found: u64 },
    #[error(
        "record {number} is not what was written: its hash is not that of its text and of what came before"
    )]
    HashWrong { number: u64 },
}

/// Follows a trail line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    number: u64,
    hash: Digest,
}

impl Chain {
    /// From after the record of this number, whose hash is known.
    #[must_use]
    pub fn after(number: u64, hash: Digest) -> Self {
        Self { number, hash }
    }

    /// The last record that was followed.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// Takes the next line; answers its record.
    ///
    /// # Errors
    /// It is not what follows.
    pub fn follow(&mut self, line: &str) -> Result<Record, Broken> {
        let number = self.number + 1;
        let unreadable = |cause: &str| Broken::Unreadable {
            number,
            cause: cause.to_owned(),
        };
        let (record, said) =
            split(line).ok_or_else(|| unreadable("it does not end with a hash"))?;
        let text = format!("{record}}}");
        let parsed: Record =
            serde_json::from_str(&text).map_err(|fault| unreadable(&fault.to_string()))?;
        if parsed.number != number {
            return Err(Broken::OutOfOrder {
                after: self.number,
                found: parsed.number,
            });
        }
        let computed = hash(self.hash, &text);
        if computed.to_string() != said {
            return Err(Broken::HashWrong { number });
        }
        self.number = number;
        self.hash = computed;
        Ok(parsed)
    }
}

/// The record without its closing brace, and the hash as it stands there.
fn split(line: &str) -> Option<(&str, &str)> {
    let open = line.strip_suffix(AFTER_HASH)?;
    let (rest, hash) = open.split_at_checked(open.len().checked_sub(HASH_LEN)?)?;
    Some((rest.strip_suffix(BEFORE_HASH)?, hash))
}

/// The record of a line that is known to be whole.
///
/// # Errors
/// It is not one.
pub fn read(line: &str) -> Result<Record, serde_json::Error> {
    serde_json::from_str(line)
}

/// The hash that a line ends with.
#[must_use]
pub fn hash_of(line: &str) -> Option<Digest> {
    let (_, hash) = split(line)?;
    hash.parse().ok()
}
