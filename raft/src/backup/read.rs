//! Reading a backup: whatever the file is, memory stays bounded, and nothing of it is believed before all of it was
//! seen to be whole.

use std::io::{ErrorKind, Read};

use docklet_control::model::ClusterVersion;
use docklet_control::rows::{self, StateHash, Table};
use docklet_control::{State, invariants};
use sha2::{Digest, Sha256};

use super::fault::BackupFault;
use super::format::{
    self, BLOCK_HEAD_BYTES, BLOCK_RAW_MAX, BackupHeader, End, FORMAT, FORMAT_OLDEST, HEAD_BYTES,
    HEADER_BYTES_MAX, KEY_BYTES_MAX, Kind, MAGIC, RATIO_MAX, RAW_BYTES_MAX, ROW_HEAD_BYTES,
    SUM_BYTES, VALUE_BYTES_MAX,
};
use super::{Backup, Tables};

/// Reads a whole backup and says what is in it.
///
/// # Errors
/// It is no backup, is not whole, or holds what this program cannot read.
pub fn verify(from: impl Read) -> Result<Backup, BackupFault> {
    read(from, rows::check)
}

/// Reads a whole backup and the state in it. Verify the file first: then a hostile one costs no memory.
///
/// # Errors
/// As [`verify`]; or no Docklet ever had such a state.
pub fn load(from: impl Read) -> Result<(Backup, State), BackupFault> {
    let mut state = State::default();
    let backup = read(from, |table, value| rows::put(&mut state, table, value))?;
    let mut broken = invariants::broken(&state);
    // Rows that came twice, or whose key is not their own.
    if StateHash::of(&state) != backup.header.hash {
        broken.push("its rows give another state".to_owned());
    }
    match broken.pop() {
        None => Ok((backup, state)),
        Some(broken) => Err(BackupFault::Unsound { broken }),
    }
}

type TakeRow<'t> = &'t mut dyn FnMut(Table, &[u8]) -> Result<(), rows::RowFault>;

fn read(
    from: impl Read,
    mut take: impl FnMut(Table, &[u8]) -> Result<(), rows::RowFault>,
) -> Result<Backup, BackupFault> {
    let mut source = Source {
        from,
        sum: Sha256::new(),
        offset: 0,
    };
    let header = read_header(&mut source)?;
    let mut rows = Rows::default();
    let mut unpacker = zstd::bulk::Decompressor::new().map_err(BackupFault::Read)?;
    for number in 0.. {
        let begun = source.offset;
        let block = read_block(&mut source, number)?;
        match block.kind {
            Kind::End => {
                check_end(&block.body, &header, &rows).map_err(|cause| damaged(begun, cause))?;
                break;
            }
            Kind::Plain => rows.take(&block.body, begun, &mut take)?,
            Kind::Packed => {
                let unpacked = unpacker.decompress(&block.body, block.raw);
                let unpacked = unpacked
                    .ok()
                    .filter(|unpacked| unpacked.len() == block.raw)
                    .ok_or_else(|| damaged(begun, "a block does not unpack to what it should"))?;
                rows.take(&unpacked, begun, &mut take)?;
            }
        }
    }
    let sha256 = check_sum(&mut source)?;
    Ok(Backup {
        header,
        sha256,
        bytes: source.offset,
        raw_bytes: rows.seen.raw_bytes,
        tables: rows.tables,
    })
}

fn damaged(offset: u64, cause: impl Into<String>) -> BackupFault {
    BackupFault::Damaged {
        offset,
        cause: cause.into(),
    }
}

/// The file, with a sum of what was read of it.
struct Source<R> {
    from: R,
    sum: Sha256,
    offset: u64,
}

impl<R: Read> Source<R> {
    /// The next `count` bytes.
    fn take(&mut self, count: usize, what: &'static str) -> Result<Vec<u8>, BackupFault> {
        let bytes = self.take_unsummed(count, what)?;
        self.sum.update(&bytes);
        Ok(bytes)
    }

    fn take_unsummed(&mut self, count: usize, what: &'static str) -> Result<Vec<u8>, BackupFault> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.from.read(&mut bytes[filled..]) {
                Ok(0) => {
                    let offset = self.offset + filled as u64;
                    return Err(BackupFault::Truncated { offset, what });
                }
                Ok(more) => filled += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(BackupFault::Read(error)),
            }
        }
        self.offset += count as u64;
        Ok(bytes)
    }
}

/// The little-endian number at `from`.
fn number(bytes: &[u8], from: usize) -> u32 {
    let four: [u8; 4] = bytes[from..from + 4].try_into().expect("four bytes");
    u32::from_le_bytes(four)
}

fn bounded(offset: u64, what: &'static str, given: u32, most: u64) -> Result<usize, BackupFault> {
    let given = u64::from(given);
    if given <= most {
        return Ok(usize::try_from(given).expect("limits fit into memory"));
    }
    Err(BackupFault::TooLong {
        offset,
        what,
        given,
        most,
    })
}

fn read_header<R: Read>(source: &mut Source<R>) -> Result<BackupHeader, BackupFault> {
    let magic = source.take(MAGIC.len(), "its first bytes");
    let magic = match magic {
        Err(BackupFault::Truncated { .. }) => return Err(BackupFault::NotABackup),
        magic => magic?,
    };
    if magic != MAGIC {
        return Err(BackupFault::NotABackup);
    }
    let rest = source.take(HEAD_BYTES - MAGIC.len(), "its header")?;
    let head = [magic, rest].concat();
    let found = u16::from_le_bytes([head[8], head[9]]);
    if found > FORMAT {
        return Err(BackupFault::FormatNewer { found });
    }
    if found < FORMAT_OLDEST {
        return Err(BackupFault::FormatOlder { found });
    }
    let length = bounded(10, "header", number(&head, 10), HEADER_BYTES_MAX)?;
    let body = source.take(length, "its header")?;
    if format::checksum(&[&head[..14], &body]) != head[14..18] {
        return Err(damaged(0, "the header has another checksum"));
    }
    let header: BackupHeader = postcard::from_bytes(&body)
        .map_err(|error| damaged(HEAD_BYTES as u64, format!("the header is none ({error})")))?;
    let known = ClusterVersion::CURRENT.0;
    if header.cluster_version > known {
        let found = header.cluster_version;
        return Err(BackupFault::ClusterNewer { found, known });
    }
    Ok(header)
}

struct Block {
    kind: Kind,
    /// Bytes of rows in it.
    raw: usize,
    body: Vec<u8>,
}

fn read_block<R: Read>(source: &mut Source<R>, wanted: u32) -> Result<Block, BackupFault> {
    let begun = source.offset;
    let head = source.take(BLOCK_HEAD_BYTES, "the rows: its end is missing")?;
    let kind = Kind::from_number(head[0]).ok_or_else(|| damaged(begun, "no block begins here"))?;
    let raw = bounded(begun, "block", number(&head, 5), BLOCK_RAW_MAX as u64)?;
    // What does not get shorter by packing is plain.
    let length = bounded(begun, "packed block", number(&head, 9), raw as u64)?;
    if kind == Kind::Packed && length * RATIO_MAX < raw {
        return Err(BackupFault::TooLong {
            offset: begun,
            what: "block for its packed length",
            given: raw as u64,
            most: (length * RATIO_MAX) as u64,
        });
    }
    let body = source.take(length, "the rows: its end is missing")?;
    if format::checksum(&[&head[..13], &body]) != head[13..17] {
        return Err(damaged(begun, "a block has another checksum"));
    }
    if number(&head, 1) != wanted {
        return Err(damaged(begun, "blocks are missing or in another order"));
    }
    if kind != Kind::Packed && length != raw {
        return Err(damaged(begun, "a block has two lengths"));
    }
    Ok(Block { kind, raw, body })
}

/// Rows as they come out of the blocks.
#[derive(Default)]
struct Rows {
    /// The beginning of a row whose rest is in the next block.
    pending: Vec<u8>,
    seen: End,
    tables: Tables,
}

impl Rows {
    /// Takes what a block that begins at `offset` of the file holds.
    fn take(&mut self, raw: &[u8], offset: u64, take: TakeRow<'_>) -> Result<(), BackupFault> {
        self.seen.raw_bytes += raw.len() as u64;
        if self.seen.raw_bytes > RAW_BYTES_MAX {
            return Err(BackupFault::TooLong {
                offset,
                what: "state",
                given: self.seen.raw_bytes,
                most: RAW_BYTES_MAX,
            });
        }
        self.pending.extend(raw);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while let Some(taken) = self.row(rest, offset, take)? {
            rest = &rest[taken..];
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    /// Takes one row if it is all there; answers how long it is.
    fn row(
        &mut self,
        bytes: &[u8],
        offset: u64,
        take: TakeRow<'_>,
    ) -> Result<Option<usize>, BackupFault> {
        let Some(head) = bytes.get(..ROW_HEAD_BYTES) else {
            return Ok(None);
        };
        let key_end = ROW_HEAD_BYTES + bounded(offset, "key", number(head, 1), KEY_BYTES_MAX)?;
        let end = key_end + bounded(offset, "row", number(head, 5), VALUE_BYTES_MAX)?;
        let Some(row) = bytes.get(..end) else {
            return Ok(None);
        };
        let number = head[0];
        let table = Table::from_number(number).ok_or(BackupFault::UnknownTable { number })?;
        let (key, value) = (&row[ROW_HEAD_BYTES..key_end], &row[key_end..]);
        let unreadable = |source| BackupFault::Row { offset, source };
        take(table, value).map_err(unreadable)?;
        self.seen.rows += 1;
        self.seen.hash = self.seen.hash.with_row(table, key, value);
        *self.tables.entry(table).or_default() += 1;
        Ok(Some(end))
    }
}

/// The end must say what was seen, and the header must have promised it.
fn check_end(body: &[u8], header: &BackupHeader, rows: &Rows) -> Result<(), String> {
    let end: End =
        postcard::from_bytes(body).map_err(|error| format!("the end is none ({error})"))?;
    if !rows.pending.is_empty() {
        return Err("the last row is not complete".to_owned());
    }
    if end != rows.seen {
        return Err(format!(
            "{} rows were to come, {} came",
            end.rows, rows.seen.rows
        ));
    }
    if (end.rows, end.hash) != (header.rows, header.hash) {
        return Err("the header promises another state".to_owned());
    }
    Ok(())
}

fn check_sum<R: Read>(source: &mut Source<R>) -> Result<[u8; SUM_BYTES], BackupFault> {
    let begun = source.offset;
    let found = source.take_unsummed(SUM_BYTES, "its last sum")?;
    let computed: [u8; SUM_BYTES] = source.sum.clone().finalize().into();
    if found != computed {
        return Err(damaged(begun, "it has another SHA-256 than it says"));
    }
    let mut more = [0];
    match source.from.read(&mut more) {
        Ok(0) => Ok(computed),
        Ok(_) => Err(damaged(source.offset, "something follows on its end")),
        Err(error) => Err(BackupFault::Read(error)),
    }
}
