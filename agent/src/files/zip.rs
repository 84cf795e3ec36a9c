//! Writing a zip as it goes: what is written is never gone back to, so sizes stand after contents, and all are of 64 bits.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

const VERSION: u16 = 45;
/// Made on Unix: the upper half of the attributes is the mode.
const VERSION_UNIX: u16 = (3 << 8) | VERSION;
/// Sizes come after the content; names are UTF-8.
const FLAGS: u16 = 0x0808;
const DEFLATED: u16 = 8;
const STORED: u16 = 0;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const ALL: u32 = u32::MAX;

/// What is said of one file.
pub(super) struct Item {
    /// From the directory that is packed on; of a directory with a slash at its end.
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) changed_s: u64,
}

struct Listed {
    item: Item,
    method: u16,
    crc: u32,
    packed: u64,
    bytes: u64,
    at: u64,
}

/// A zip that is being written.
pub(super) struct Zip<'w, W: Write> {
    to: Counted<'w, W>,
    listed: Vec<Listed>,
}

impl<'w, W: Write> Zip<'w, W> {
    pub(super) fn new(to: &'w mut W) -> Self {
        Self {
            to: Counted { to, bytes: 0 },
            listed: Vec::new(),
        }
    }

    pub(super) fn directory(&mut self, item: Item) -> io::Result<()> {
        self.add(item, STORED, |_| Ok(()))
    }

    /// A file whose content `write` gives.
    pub(super) fn file<E: From<io::Error>>(
        &mut self,
        item: Item,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        self.add(item, DEFLATED, write)
    }

    fn add<E: From<io::Error>>(
        &mut self,
        item: Item,
        method: u16,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let at = self.to.bytes;
        let head = local(&item, method);
        self.to.write_all(&head)?;
        let begun = self.to.bytes;
        let (crc, bytes) = if method == STORED {
            (0, 0)
        } else {
            let deflate = DeflateEncoder::new(&mut self.to, Compression::fast());
            let mut summed = Summed {
                to: deflate,
                crc: crc32fast::Hasher::new(),
                bytes: 0,
            };
            write(&mut summed)?;
            summed.to.finish()?;
            (summed.crc.finalize(), summed.bytes)
        };
        let packed = self.to.bytes - begun;
        let mut sizes = Vec::with_capacity(24);
        put32(&mut sizes, 0x0807_4b50);
        put32(&mut sizes, crc);
        put64(&mut sizes, packed);
        put64(&mut sizes, bytes);
        self.to.write_all(&sizes)?;
        self.listed.push(Listed {
            item,
            method,
            crc,
            packed,
            bytes,
            at,
        });
        Ok(())
    }

    /// The list of all that is in it.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let at = self.to.bytes;
        for listed in &self.listed {
            let record = central(listed);
            self.to.write_all(&record)?;
        }
        let (bytes, count) = (self.to.bytes - at, self.listed.len() as u64);
        let mut end = Vec::with_capacity(98);
        put32(&mut end, 0x0606_4b50);
        put64(&mut end, 44);
        put16(&mut end, VERSION_UNIX);
        put16(&mut end, VERSION);
        put32(&mut end, 0);
        put32(&mut end, 0);
        put64(&mut end, count);
        put64(&mut end, count);
        put64(&mut end, bytes);
        put64(&mut end, at);
        put32(&mut end, 0x0706_4b50);
        put32(&mut end, 0);
        put64(&mut end, at + bytes);
        put32(&mut end, 1);
        put32(&mut end, 0x0605_4b50);
        put16(&mut end, 0);
        put16(&mut end, 0);
        put16(&mut end, u16::MAX);
        put16(&mut end, u16::MAX);
        put32(&mut end, ALL);
        put32(&mut end, ALL);
        put16(&mut end, 0);
        self.to.write_all(&end)
    }
}

fn local(item: &Item, method: u16) -> Vec<u8> {
    let mut head = Vec::with_capacity(80 + item.name.len());
    put32(&mut head, 0x0403_4b50);
    put16(&mut head, VERSION);
    put16(&mut head, FLAGS);
    put16(&mut head, method);
    put32(&mut head, dos_time(item.changed_s));
    put32(&mut head, 0);
    put32(&mut head, ALL);
    put32(&mut head, ALL);
    put16(&mut head, length(&item.name));
    put16(&mut head, 20 + 9);
    head.extend_from_slice(item.name.as_bytes());
    // Sizes of 64 bits, of which the ones after the content are meant.
    put16(&mut head, 1);
    put16(&mut head, 16);
    put64(&mut head, 0);
    put64(&mut head, 0);
    put_time(&mut head, item.changed_s);
    head
}

fn central(listed: &Listed) -> Vec<u8> {
    let item = &listed.item;
    let mut record = Vec::with_capacity(120 + item.name.len());
    put32(&mut record, 0x0201_4b50);
    put16(&mut record, VERSION_UNIX);
    put16(&mut record, VERSION);
    put16(&mut record, FLAGS);
    put16(&mut record, listed.method);
    put32(&mut record, dos_time(item.changed_s));
    put32(&mut record, listed.crc);
    put32(&mut record, ALL);
    put32(&mut record, ALL);
    put16(&mut record, length(&item.name));
    put16(&mut record, 28 + 9);
    put16(&mut record, 0);
    put16(&mut record, 0);
    put16(&mut record, 0);
    let is_directory = item.name.ends_with('/');
    let kind = if is_directory { DIRECTORY } else { REGULAR };
    put32(
        &mut record,
        ((kind | item.mode) << 16) | u32::from(is_directory) << 4,
    );
    put32(&mut record, ALL);
    record.extend_from_slice(item.name.as_bytes());
    put16(&mut record, 1);
    put16(&mut record, 24);
    put64(&mut record, listed.bytes);
    put64(&mut record, listed.packed);
    put64(&mut record, listed.at);
    put_time(&mut record, item.changed_s);
    record
}

/// Names are checked before: they are shorter than any path.
fn length(name: &str) -> u16 {
    u16::try_from(name.len()).unwrap_or(u16::MAX)
}

/// Of Unix, since that of DOS knows no time zone.
fn put_time(to: &mut Vec<u8>, changed_s: u64) {
    put16(to, 0x5455);
    put16(to, 5);
    to.push(1);
    put32(
        to,
        u32::try_from(changed_s.min(i32::MAX.unsigned_abs().into())).unwrap_or(0),
    );
}

fn put16(to: &mut Vec<u8>, number: u16) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn put32(to: &mut Vec<u8>, number: u32) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn put64(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_le_bytes());
}

/// Seconds since 1970 as DOS has them, in UTC: two seconds a step, from 1980 to 2107.
fn dos_time(seconds: u64) -> u32 {
    const FIRST: u64 = 315_532_800;
    const LAST: u64 = 4_354_819_198;
    let seconds = seconds.clamp(FIRST, LAST);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of year 0, whose years end with the day that some of them lack.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let date = ((year - 1_980) << 9) | (month << 5) | day;
    let time = ((of_day / 3_600) << 11) | ((of_day / 60 % 60) << 5) | (of_day % 60 / 2);
    u32::try_from((date << 16) | time).unwrap_or(0)
}

struct Counted<'w, W: Write> {
    to: &'w mut W,
    bytes: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

struct Summed<W: Write> {
    to: W,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_dos() {
        let told = |seconds| {
            let dos = dos_time(seconds);
            let (date, time) = (dos >> 16, dos & 0xffff);
            (
                1980 + (date >> 9),
                date >> 5 & 15,
                date & 31,
                time >> 11,
                time >> 5 & 63,
                (time & 31) * 2,
            )
        };
        assert_eq!(told(0), (1980, 1, 1, 0, 0, 0));
        assert_eq!(told(951_782_400), (2000, 2, 29, 0, 0, 0));
        assert_eq!(told(1_735_689_599), (2024, 12, 31, 23, 59, 58));
        assert_eq!(told(u64::MAX), (2107, 12, 31, 23, 59, 58));
    }
}
