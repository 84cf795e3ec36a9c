//! Writing a backup of a frozen state: row by row, in bounded memory, while the cluster goes on.

use std::io::{self, Write};

use docklet_control::id::UnixMs;
use docklet_control::rows::{self, StateHash};
use sha2::{Digest, Sha256};

use super::Backup;
use super::fault::BackupFault;
use super::format::{self, BLOCK_RAW_MAX, BackupHeader, End, Kind, RATIO_MAX, SUM_BYTES};
use crate::store::Frozen;

/// zstd's own default: stronger levels win little on rows and cost much time.
const LEVEL: i32 = 3;

/// Writes a backup of `frozen`, begun at `at`. Each call to `out` gets a whole part, of about a MiB at most.
///
/// # Errors
/// `out` failed, or there is no cluster yet.
pub fn write(frozen: &Frozen, at: UnixMs, out: &mut impl Write) -> Result<Backup, BackupFault> {
    write_in_blocks(frozen, at, BLOCK_RAW_MAX, out)
}

/// The same with shorter blocks, so that a test has many.
pub(super) fn write_in_blocks(
    frozen: &Frozen,
    at: UnixMs,
    block_bytes: usize,
    out: &mut impl Write,
) -> Result<Backup, BackupFault> {
    let header = header(frozen, at)?;
    let mut writer = Writer::begin(&header, block_bytes, out).map_err(BackupFault::Write)?;
    for (table, key, value) in rows::iter(&frozen.state) {
        writer
            .row(table, &key, &value)
            .map_err(BackupFault::Write)?;
    }
    writer.end(header).map_err(BackupFault::Write)
}

fn header(frozen: &Frozen, at: UnixMs) -> Result<BackupHeader, BackupFault> {
    let settings = frozen.state.settings.as_ref();
    let settings = settings.ok_or(BackupFault::NoCluster)?;
    Ok(BackupHeader {
        cluster: settings.cluster,
        cluster_name: settings.name.to_string(),
        index: frozen.index,
        at,
        hash: frozen.hash(),
        rows: rows::count(&frozen.state),
        cluster_version: frozen.state.version().0,
        program: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

struct Writer<'o, W> {
    out: &'o mut W,
    sum: Sha256,
    packer: zstd::bulk::Compressor<'static>,
    block_bytes: usize,
    /// Rows that are in no block yet.
    raw: Vec<u8>,
    blocks: u32,
    bytes: u64,
    end: End,
    tables: super::Tables,
}

impl<'o, W: Write> Writer<'o, W> {
    fn begin(header: &BackupHeader, block_bytes: usize, out: &'o mut W) -> io::Result<Self> {
        let mut writer = Self {
            out,
            sum: Sha256::new(),
            packer: zstd::bulk::Compressor::new(LEVEL)?,
            block_bytes,
            raw: Vec::with_capacity(block_bytes),
            blocks: 0,
            bytes: 0,
            end: End::default(),
            tables: super::Tables::default(),
        };
        writer.put(&format::head(header))?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn row(&mut self, table: rows::Table, key: &[u8], value: &[u8]) -> io::Result<()> {
        let length = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            Ok::<_, io::Error>(length.to_le_bytes())
        };
        self.fill(&[table as u8])?;
        self.fill(&length(key)?)?;
        self.fill(&length(value)?)?;
        self.fill(key)?;
        self.fill(value)?;
        self.end.rows += 1;
        self.end.hash = StateHash::with_row(self.end.hash, table, key, value);
        *self.tables.entry(table).or_default() += 1;
        Ok(())
    }

    /// Takes bytes into the block that is being filled.
    fn fill(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.end.raw_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.block_bytes - self.raw.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.raw.extend(now);
            bytes = later;
            if self.raw.len() == self.block_bytes {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.raw);
        let packed = self.packer.compress(&raw)?;
        let worth_it = packed.len() < raw.len() && packed.len() * RATIO_MAX >= raw.len();
        if worth_it {
            self.block(Kind::Packed, raw.len(), &packed)?;
        } else {
            self.block(Kind::Plain, raw.len(), &raw)?;
        }
        self.raw = raw;
        self.raw.clear();
        Ok(())
    }

    fn block(&mut self, kind: Kind, raw: usize, body: &[u8]) -> io::Result<()> {
        let block = format::block(kind, self.blocks, raw, body);
        self.blocks += 1;
        self.put(&block)
    }

    fn end(mut self, header: BackupHeader) -> Result<Backup, io::Error> {
        self.flush()?;
        let (end, written) = (self.end, (header.rows, header.hash));
        assert_eq!((end.rows, end.hash), written, "a frozen state changed");
        let body = postcard::to_stdvec(&end).map_err(io::Error::other)?;
        self.block(Kind::End, body.len(), &body)?;
        let sha256: [u8; SUM_BYTES] = self.sum.finalize().into();
        self.out.write_all(&sha256)?;
        self.out.flush()?;
        Ok(Backup {
            header,
            sha256,
            bytes: self.bytes + sha256.len() as u64,
            raw_bytes: end.raw_bytes,
            tables: self.tables,
        })
    }
}
