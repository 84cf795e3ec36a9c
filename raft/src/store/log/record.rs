//! What stands in a segment: records, each with its length and a checksum that also covers where it stands.
//!
//! ```text
//! length u32 | crc32 u32 | synced u32 | kind u8 | body        little-endian
//! ```
//!
//! `synced` is how much of the segment was certainly on disk when the record was written. A record that cannot be
//! read is the torn end of a write that nobody was told of, unless a later record says that it had been synced:
//! then the file is damaged, and must not be taken for a shorter log.

/// Bytes before the body.
pub const HEADER_BYTES: usize = 13;
/// Longest body: an entry is far shorter, so a longer one is not a record.
const BODY_BYTES_MAX: usize = 80 << 20;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'b> {
    /// An entry of the log, encoded.
    Entry { index: u64, bytes: &'b [u8] },
    /// The vote, encoded.
    Vote(&'b [u8]),
    /// Entries from this index on are no longer part of the log.
    TruncateFrom(u64),
    /// Entries up to this index are in the state and gone; the log id, encoded.
    Purged { index: u64, bytes: &'b [u8] },
    /// The last entry known to be committed, encoded; only shortens a restart.
    Committed(&'b [u8]),
    /// The segment ends here and the next one goes on.
    Seal,
}

impl<'b> Record<'b> {
    fn kind(&self) -> u8 {
        match self {
            Self::Entry { .. } => 1,
            Self::Vote(_) => 2,
            Self::TruncateFrom(_) => 3,
            Self::Purged { .. } => 4,
            Self::Committed(_) => 5,
            Self::Seal => 6,
        }
    }

    fn parse(kind: u8, body: &'b [u8]) -> Option<Self> {
        let numbered = || {
            let (number, bytes) = body.split_first_chunk::<8>()?;
            Some((u64::from_le_bytes(*number), bytes))
        };
        match kind {
            1 => numbered().map(|(index, bytes)| Self::Entry { index, bytes }),
            2 => Some(Self::Vote(body)),
            3 => numbered().map(|(index, _)| Self::TruncateFrom(index)),
            4 => numbered().map(|(index, bytes)| Self::Purged { index, bytes }),
            5 => Some(Self::Committed(body)),
            6 => Some(Self::Seal),
            _ => None,
        }
    }

    /// The index, if it is an entry.
    pub fn entry_index(&self) -> Option<u64> {
        match self {
            Self::Entry { index, .. } => Some(*index),
            Self::Vote(_)
            | Self::TruncateFrom(_)
            | Self::Purged { .. }
            | Self::Committed(_)
            | Self::Seal => None,
        }
    }

    /// Bytes that it takes in a segment.
    pub fn len(&self) -> usize {
        HEADER_BYTES
            + match self {
                Self::Entry { bytes, .. } | Self::Purged { bytes, .. } => 8 + bytes.len(),
                Self::Vote(bytes) | Self::Committed(bytes) => bytes.len(),
                Self::TruncateFrom(_) => 8,
                Self::Seal => 0,
            }
    }

    /// Appends it to `out`, whose first byte stands at `base` of the segment.
    pub fn write(&self, place: Place, synced: usize, base: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; HEADER_BYTES]);
        match self {
            Self::Entry { index, bytes } | Self::Purged { index, bytes } => {
                out.extend(index.to_le_bytes());
                out.extend(*bytes);
            }
            Self::Vote(bytes) | Self::Committed(bytes) => out.extend(*bytes),
            Self::TruncateFrom(index) => out.extend(index.to_le_bytes()),
            Self::Seal => {}
        }
        let body = out.len() - start - HEADER_BYTES;
        let four = |number: usize| {
            let number = u32::try_from(number).expect("a segment is far shorter than 4 GiB");
            number.to_le_bytes()
        };
        out[start..start + 4].copy_from_slice(&four(body));
        out[start + 8..start + 12].copy_from_slice(&four(synced));
        out[start + 12] = self.kind();
        let crc = place.checksum(base + start, &out[start..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Which segment a record is of: what was written elsewhere or before is no record here.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub sequence: u64,
}

impl Place {
    fn checksum(self, offset: usize, record: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.sequence.to_le_bytes());
        hasher.update(&(offset as u64).to_le_bytes());
        hasher.update(&record[..4]);
        hasher.update(&record[8..]);
        hasher.finalize()
    }
}

/// A record as it was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'b> {
    pub record: Record<'b>,
    pub synced: usize,
    /// Bytes that it takes.
    pub len: usize,
}

/// The record at `offset` of a segment, if there is one.
pub fn read(place: Place, bytes: &[u8], offset: usize) -> Option<Found<'_>> {
    parse(place, bytes.get(offset..)?, offset)
}

/// The record that `bytes` begin with, and which stands at `offset` of its segment.
pub fn parse(place: Place, rest: &[u8], offset: usize) -> Option<Found<'_>> {
    let header = rest.get(..HEADER_BYTES)?;
    let number = |from: usize| {
        let four: [u8; 4] = header[from..from + 4].try_into().expect("four bytes");
        u32::from_le_bytes(four)
    };
    let body = number(0) as usize;
    if header[12] == 0 || body > BODY_BYTES_MAX {
        return None;
    }
    let whole = rest.get(..HEADER_BYTES + body)?;
    if place.checksum(offset, whole) != number(4) {
        return None;
    }
    Some(Found {
        record: Record::parse(header[12], &whole[HEADER_BYTES..])?,
        synced: number(8) as usize,
        len: whole.len(),
    })
}
