//! Segments: files of a fixed length, filled with zeros ahead of use so that a sync has no file length to write.
//! Their names count up; the newest is written, older ones are sealed and only read.

use std::io;
use std::sync::Arc;

use super::record::{self, Found, HEADER_BYTES, Place, Record};
use crate::disk::{Disk, DiskFile};
use crate::fault::RaftFault;

/// First bytes of a segment: what it is, and the version of its records.
const MAGIC: [u8; 8] = *b"DKLTLOG\x01";
/// Where the first record stands.
pub const FIRST_RECORD: usize = MAGIC.len();

/// The file's name.
pub fn name(sequence: u64) -> String {
    format!("log-{sequence:016}")
}

/// The number in a file's name, if it is a segment's.
pub fn sequence_of(name: &str) -> Option<u64> {
    name.strip_prefix("log-")?.parse().ok()
}

/// A segment is filled with zeros in pieces of this length.
static BLOCK: [u8; 256 << 10] = [0; 256 << 10];

/// Makes a segment that is ready to be written.
pub fn prepare(
    disk: &dyn Disk,
    sequence: u64,
    segment_bytes: usize,
) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(&name(sequence))?;
    file.set_len(0)?;
    for offset in (0..segment_bytes).step_by(BLOCK.len()) {
        let len = BLOCK.len().min(segment_bytes - offset);
        file.write_at(offset as u64, &BLOCK[..len])?;
    }
    file.write_at(0, &MAGIC)?;
    file.sync_data()?;
    disk.sync_names()?;
    Ok(file)
}

/// The unused end of a segment is looked for in pieces of this length.
const ZEROS: [u8; 4_096] = [0; 4_096];

/// A segment's content up to its unused end.
pub struct Content {
    sequence: u64,
    bytes: Vec<u8>,
}

/// How the records of a segment end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// First byte after the last record.
    pub offset: usize,
    /// Whether the last record says that the next segment goes on.
    pub sealed: bool,
    /// Whether anything but zeros follows: the torn end of a write.
    pub torn: bool,
}

impl Content {
    /// Reads a segment's file.
    pub fn read(file: &dyn DiskFile, sequence: u64) -> io::Result<Self> {
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        file.read_at(0, &mut bytes)?;
        let used = bytes
            .chunks(ZEROS.len())
            .rposition(|chunk| *chunk != ZEROS[..chunk.len()]);
        bytes.truncate(used.map_or(0, |chunk| (chunk + 1) * ZEROS.len()));
        Ok(Self { sequence, bytes })
    }

    fn place(&self) -> Place {
        Place {
            sequence: self.sequence,
        }
    }

    /// Whether it was made ready: one that was not was never written to.
    pub fn is_prepared(&self) -> bool {
        self.bytes.starts_with(&MAGIC)
    }

    /// Shows every record and where it stands to `take`.
    ///
    /// # Errors
    /// A record in the middle cannot be read although it had been synced.
    pub fn scan<'c>(
        &'c self,
        mut take: impl FnMut(usize, Found<'c>) -> Result<(), RaftFault>,
    ) -> Result<End, RaftFault> {
        let mut offset = FIRST_RECORD;
        let mut sealed = false;
        if self.is_prepared() {
            while !sealed && let Some(found) = record::read(self.place(), &self.bytes, offset) {
                sealed = found.record == Record::Seal;
                take(offset, found)?;
                offset += found.len;
            }
        } else {
            offset = 0;
        }
        self.refuse_damage(offset)?;
        let rest = self.bytes.get(offset..).unwrap_or_default();
        Ok(End {
            offset: offset.max(FIRST_RECORD),
            sealed,
            torn: !sealed && rest.iter().any(|byte| *byte != 0),
        })
    }

    /// Where the records end, no later record may say that more had been synced.
    fn refuse_damage(&self, end: usize) -> Result<(), RaftFault> {
        let last = self.bytes.len().saturating_sub(HEADER_BYTES);
        let later = (end + 1..=last).find_map(|offset| {
            let found = record::read(self.place(), &self.bytes, offset)?;
            (found.synced > end).then_some(offset)
        });
        match later {
            None => Ok(()),
            Some(later) => Err(self.damaged(end, &format!("the record at {later} is later"))),
        }
    }

    /// The fault that names this segment and a place in it.
    pub fn damaged(&self, offset: usize, cause: &str) -> RaftFault {
        RaftFault::LogDamaged {
            segment: name(self.sequence),
            offset: offset as u64,
            cause: cause.to_owned(),
        }
    }
}
