//! The audit trail on disk: one row a line, by its number. It outlasts the history of the state, and a snapshot leaves it
//! as it is: what is missing before the snapshot, other masters give (see [`crate::trail`]).

use std::sync::Arc;

use docklet_control::audit::chain::{self, Broken, Chain, Line};
use docklet_control::id::{Digest, UnixMs};
use docklet_control::model::audit::AuditHead;
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::pace::Pace;
use super::rows::{META, RowStore};
use crate::fault::RaftFault;

const AUDIT: TableDefinition<'_, u64, &str> = TableDefinition::new("audit");
/// Where what is kept begins.
const BEGIN: &str = "audit_begin";
/// Bytes of all lines.
const BYTES: &str = "audit_bytes";

/// Bytes of lines that are kept; the oldest go first.
pub const BYTES_MAX: u64 = 1 << 30;
/// So long they are kept: more than a year.
pub const AGE_MS_MAX: u64 = 400 * 24 * 3_600_000;
/// The disk gives this much at once at most.
pub const PAGE_MAX: usize = 1_000;

/// The place in the trail after which this master has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Number of the record before, and its hash.
    pub after: u64,
    pub hash: Digest,
    /// Other masters may have what is before; otherwise it was dropped.
    pub wanted: bool,
}

impl Default for Begin {
    /// Of a trail that is kept from the first record on.
    fn default() -> Self {
        Self {
            after: 0,
            hash: AuditHead::default().hash,
            wanted: false,
        }
    }
}

/// Some lines in order, none missing in between, and what is before the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub after: u64,
    pub hash: Digest,
    pub lines: Vec<String>,
}

impl Page {
    /// Follows all lines; where they end, if each follows the one before.
    fn end(&self) -> Result<(u64, Digest), Broken> {
        let mut chain = Chain::after(self.after, self.hash);
        for line in &self.lines {
            chain.follow(line)?;
        }
        Ok((chain.number(), chain.hash()))
    }
}

impl RowStore {
    /// Up to `most` lines after the record `after`; what was dropped before is left out.
    ///
    /// # Errors
    /// The disk failed.
    pub fn trail_after(&self, after: u64, most: usize) -> Result<Page, RaftFault> {
        let transaction = self.database.begin_read()?;
        let begin = begin(&transaction.open_table(META)?)?;
        let from = begin.after.max(after);
        let Some(table) = table(&transaction)? else {
            return Ok(page(from, begin.hash, Vec::new()));
        };
        let rows = table.range(from + 1..)?.take(most.min(PAGE_MAX));
        let lines: Result<_, RaftFault> = rows.map(|row| Ok(row?.1.value().to_owned())).collect();
        let hash = hash_at(&table, &begin, from)?;
        Ok(page(from, hash, lines?))
    }

    /// The last lines up to the record `upto`, `most` at most.
    ///
    /// # Errors
    /// The disk failed.
    pub fn trail_upto(&self, upto: u64, most: usize) -> Result<Page, RaftFault> {
        let from = upto.saturating_sub(most.min(PAGE_MAX) as u64);
        let mut page = self.trail_after(from, most)?;
        let wanted = upto.saturating_sub(page.after);
        page.lines
            .truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        Ok(page)
    }

    /// Where what is kept begins.
    ///
    /// # Errors
    /// The disk failed.
    pub fn trail_begin(&self) -> Result<Begin, RaftFault> {
        let transaction = self.database.begin_read()?;
        begin(&transaction.open_table(META)?)
    }

    /// Puts what another master has before what is kept, if it leads exactly there; answers whether it does.
    ///
    /// # Errors
    /// The disk failed.
    pub fn fill_trail(&self, page: &Page) -> Result<bool, RaftFault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        let known = begin(&transaction.open_table(META)?)?;
        let leads_there = page.end() == Ok((known.after, known.hash));
        if page.lines.is_empty() || !leads_there {
            return Ok(false);
        }
        let mut bytes = read::<u64>(&transaction.open_table(META)?, BYTES)?.unwrap_or(0);
        let begin = {
            let mut table = transaction.open_table(AUDIT)?;
            for (number, line) in (page.after + 1..).zip(&page.lines) {
                bytes += put(&mut table, number, line)?;
            }
            // What was here before the gap goes on from there.
            meeting(&table, page)?
        };
        let mut meta = transaction.open_table(META)?;
        write_meta(&mut meta, BEGIN, &begin)?;
        write_meta(&mut meta, BYTES, &bytes)?;
        drop(meta);
        transaction.commit()?;
        Ok(true)
    }
}

/// Where what is kept begins once a page is in: with it, or with lines of before the gap that lead to it.
fn meeting(table: &impl ReadableTable<u64, &'static str>, page: &Page) -> Result<Begin, RaftFault> {
    let mut begin = Begin {
        after: page.after,
        hash: page.hash,
        wanted: page.after > 0,
    };
    let hash_at = |number| -> Result<Option<Digest>, RaftFault> {
        let line = table.get(number)?;
        Ok(line.and_then(|line| chain::hash_of(line.value())))
    };
    while begin.after > 0 && hash_at(begin.after)? == Some(begin.hash) {
        if begin.after == 1 {
            return Ok(Begin::default());
        }
        let Some(hash) = hash_at(begin.after - 1)? else {
            break;
        };
        begin = Begin {
            after: begin.after - 1,
            hash,
            wanted: true,
        };
    }
    Ok(begin)
}

/// Adds the lines that some entries left; drops what is too much or too old.
pub(super) fn write(
    transaction: &WriteTransaction,
    lines: &[Arc<Line>],
    pace: &mut Pace,
) -> Result<(), RaftFault> {
    let Some(last) = lines.last() else {
        return Ok(());
    };
    let mut meta = transaction.open_table(META)?;
    let mut bytes = read::<u64>(&meta, BYTES)?.unwrap_or(0);
    let mut table = transaction.open_table(AUDIT)?;
    for line in lines {
        pace.step();
        bytes += put(&mut table, line.number, &line.text)?;
    }
    let mut dropped = None;
    while let Some((number, line)) = first(&table)? {
        let at = chain::read(&line).map_or(UnixMs(0), |record| record.at);
        let stays = bytes <= BYTES_MAX && last.at.since_ms(at) <= AGE_MS_MAX;
        if stays || number == last.number {
            break;
        }
        table.remove(number)?;
        bytes = bytes.saturating_sub(line.len() as u64);
        dropped = chain::hash_of(&line).map(|hash| (number, hash));
    }
    let known = begin(&meta)?;
    if let Some((after, hash)) = dropped.filter(|(number, _)| *number >= known.after) {
        let wanted = false;
        write_meta(
            &mut meta,
            BEGIN,
            &Begin {
                after,
                hash,
                wanted,
            },
        )?;
    }
    write_meta(&mut meta, BYTES, &bytes)
}

/// A snapshot brings a state without the lines that led to it.
pub(super) fn leave_gap(
    transaction: &WriteTransaction,
    head: Option<AuditHead>,
) -> Result<(), RaftFault> {
    let head = head.unwrap_or_default();
    let table = transaction.open_table(AUDIT)?;
    let has_it = table
        .get(head.records)?
        .is_some_and(|line| chain::hash_of(line.value()) == Some(head.hash));
    if has_it || head.records == 0 {
        return Ok(());
    }
    let begin = Begin {
        after: head.records,
        hash: head.hash,
        wanted: true,
    };
    write_meta(&mut transaction.open_table(META)?, BEGIN, &begin)
}

fn page(after: u64, hash: Digest, lines: Vec<String>) -> Page {
    Page { after, hash, lines }
}

/// A file of an older program has no such table until the first line comes.
fn table(
    transaction: &ReadTransaction,
) -> Result<Option<ReadOnlyTable<u64, &'static str>>, RaftFault> {
    match transaction.open_table(AUDIT) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

/// The hash of the record `number`, from which on lines are kept.
fn hash_at(
    table: &impl ReadableTable<u64, &'static str>,
    begin: &Begin,
    number: u64,
) -> Result<Digest, RaftFault> {
    let line = table.get(number)?;
    let known = line.and_then(|line| chain::hash_of(line.value()));
    Ok(known.filter(|_| number > begin.after).unwrap_or(begin.hash))
}

fn first(
    table: &impl ReadableTable<u64, &'static str>,
) -> Result<Option<(u64, String)>, RaftFault> {
    let first = table.first()?;
    Ok(first.map(|(number, line)| (number.value(), line.value().to_owned())))
}

/// Puts a line; answers how many bytes more that is.
fn put(
    table: &mut redb::Table<'_, u64, &'static str>,
    number: u64,
    line: &str,
) -> Result<u64, RaftFault> {
    let before = table.insert(number, line)?;
    let was = before.map_or(0, |line| line.value().len());
    Ok(line.len().saturating_sub(was) as u64)
}

fn begin(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Begin, RaftFault> {
    Ok(read(meta, BEGIN)?.unwrap_or_default())
}

fn read<T: serde::de::DeserializeOwned>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<T>, RaftFault> {
    let row = meta.get(key)?;
    let read = row.map(|bytes| postcard::from_bytes(bytes.value()));
    Ok(read.transpose()?)
}

fn write_meta<T: Serialize>(
    meta: &mut redb::Table<'_, &'static str, &'static [u8]>,
    key: &str,
    value: &T,
) -> Result<(), RaftFault> {
    let bytes = postcard::to_stdvec(value)?;
    meta.insert(key, bytes.as_slice())?;
    Ok(())
}
