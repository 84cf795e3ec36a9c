//! The file of one subject: rings of slots, from seconds to hours, of a fixed size. `docs/adr/0016-meters.md` has the
//! format.
//!
//! A coarse slot is made of the finer ones in the file, never of memory, so that a killed agent has lost nothing but
//! the seconds in which it did not run. Nothing is synced: after a loss of power some slots are missing or torn, and a
//! torn one does not count.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use docklet_control::meter::{Measure, Series, Span, Values};

use super::slot::{SLOT_BYTES, Slot, joined};

/// Ten minutes, four hours, a day, a month and a year.
const SECONDS: Ring = Ring::new(1, 600, HEAD_BYTES as u64);
const TENS: Ring = Ring::new(10, 1_440, SECONDS.end());
const MINUTES: Ring = Ring::new(60, 1_440, TENS.end());
const TEN_MINUTES: Ring = Ring::new(600, 4_464, MINUTES.end());
const HOURS: Ring = Ring::new(3_600, 8_784, TEN_MINUTES.end());

/// The finest first.
const RINGS: [Ring; 5] = [SECONDS, TENS, MINUTES, TEN_MINUTES, HOURS];

/// Bytes of a file.
pub const FILE_BYTES: u64 = HOURS.end();

const HEAD_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"DKMETER1";

/// One ring's place in the file.
#[derive(Clone, Copy)]
struct Ring {
    step_s: u32,
    slots: u32,
    offset: u64,
}

impl Ring {
    const fn new(step_s: u32, slots: u32, offset: u64) -> Self {
        Self {
            step_s,
            slots,
            offset,
        }
    }

    const fn end(self) -> u64 {
        self.offset + self.slots as u64 * SLOT_BYTES as u64
    }

    /// Where the slot that begins then is.
    fn place(self, begin_s: u32) -> u64 {
        let number = (begin_s / self.step_s) % self.slots;
        self.offset + u64::from(number) * SLOT_BYTES as u64
    }

    /// Begin of the slot in which `at_s` is.
    fn begin(self, at_s: u32) -> u32 {
        at_s - at_s % self.step_s
    }

    /// Begins of the finer slots that the one beginning then is made of.
    fn parts(self, finer: Self, begin_s: u32) -> impl Iterator<Item = u32> + Clone {
        (begin_s..begin_s + self.step_s).step_by(finer.step_s as usize)
    }
}

/// A ring as it was in the file.
struct Whole {
    ring: Ring,
    bytes: Vec<u8>,
}

impl Whole {
    /// The slot that begins then, if it is there.
    fn slot(&self, begin_s: u32) -> Option<Slot> {
        let from = usize::try_from(self.ring.place(begin_s) - self.ring.offset).ok()?;
        let bytes = self.bytes.get(from..from + SLOT_BYTES)?.try_into().ok()?;
        Slot::decode(bytes).filter(|slot| slot.begin_s == begin_s)
    }
}

/// The first 64 bytes: what the file holds, so that another format is never taken for this one.
fn head() -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&MAGIC);
    let mut words = vec![SLOT_BYTES as u64, Measure::COUNT as u64];
    words.extend(
        RINGS
            .iter()
            .flat_map(|ring| [u64::from(ring.step_s), u64::from(ring.slots)]),
    );
    for (place, word) in head[8..].chunks_exact_mut(4).zip(words) {
        let word = u32::try_from(word).expect("sizes are small");
        place.copy_from_slice(&word.to_le_bytes());
    }
    head
}

/// An open file.
pub struct History {
    file: File,
    /// Second of the newest slot, or of when it was opened.
    last_s: u32,
}

impl History {
    /// Opens the file, or makes it; what an agent before did not finish is finished. Directories are never made: when
    /// a vnode's is gone its history is.
    ///
    /// # Errors
    /// The file cannot be made or read.
    pub fn open(path: &Path, now_s: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut found = [0; HEAD_BYTES];
        let known = file.read_exact_at(&mut found, 0).is_ok() && found == head();
        if !known {
            file.set_len(0)?;
            file.write_all_at(&head(), 0)?;
        }
        // The file is sparse: what was never measured takes no room.
        file.set_len(FILE_BYTES)?;
        let history = Self {
            file,
            last_s: now_s,
        };
        if known {
            history.catch_up(now_s)?;
        }
        Ok(history)
    }

    /// Records one second, and what is complete with it.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn record(&mut self, at_s: u32, values: &Values) -> io::Result<()> {
        let last_s = std::mem::replace(&mut self.last_s, at_s);
        for (finer, ring) in RINGS.iter().zip(&RINGS[1..]) {
            if ring.begin(last_s) != ring.begin(at_s) {
                self.roll_up(*finer, *ring, ring.begin(last_s))?;
            }
        }
        let slot = Slot {
            begin_s: at_s,
            measured_s: 1,
            values: *values,
        };
        self.write(SECONDS, &slot)
    }

    /// Makes every complete slot that is missing and that finer ones still tell of.
    fn catch_up(&self, now_s: u32) -> io::Result<()> {
        for (finer, ring) in RINGS.iter().zip(&RINGS[1..]) {
            let reach_s = finer.slots * finer.step_s;
            let first = ring.begin(now_s.saturating_sub(reach_s)) + ring.step_s;
            let complete = (first..ring.begin(now_s)).step_by(ring.step_s as usize);
            let (fine, present) = (self.whole(*finer)?, self.whole(*ring)?);
            for begin_s in complete.filter(|begin_s| present.slot(*begin_s).is_none()) {
                let parts = ring.parts(*finer, begin_s);
                let parts = parts.filter_map(|part_s| fine.slot(part_s));
                if let Some(slot) = joined(begin_s, parts) {
                    self.write(*ring, &slot)?;
                }
            }
        }
        Ok(())
    }

    /// A ring in one read: thousands of slots one by one would cost an agent with many vnodes a second of its start.
    fn whole(&self, ring: Ring) -> io::Result<Whole> {
        let mut bytes = vec![0; ring.slots as usize * SLOT_BYTES];
        self.file.read_exact_at(&mut bytes, ring.offset)?;
        Ok(Whole { ring, bytes })
    }

    fn roll_up(&self, finer: Ring, ring: Ring, begin_s: u32) -> io::Result<()> {
        let mut parts = Vec::with_capacity((ring.step_s / finer.step_s) as usize);
        for part_s in ring.parts(finer, begin_s) {
            parts.extend(self.read(finer, part_s)?);
        }
        match joined(begin_s, parts.into_iter()) {
            Some(slot) => self.write(ring, &slot),
            None => Ok(()),
        }
    }

    fn write(&self, ring: Ring, slot: &Slot) -> io::Result<()> {
        self.file
            .write_all_at(&slot.encode(), ring.place(slot.begin_s))
    }

    /// The slot that begins then, if it was written and nothing took its place since.
    fn read(&self, ring: Ring, begin_s: u32) -> io::Result<Option<Slot>> {
        let mut bytes = [0; SLOT_BYTES];
        self.file.read_exact_at(&mut bytes, ring.place(begin_s))?;
        Ok(Slot::decode(&bytes).filter(|slot| slot.begin_s == begin_s))
    }

    /// Values of a span that ends now, one for each step; the last may be of a step that still goes on.
    ///
    /// # Errors
    /// The disk fails.
    pub fn span(&self, span: Span, now_s: u32) -> io::Result<Vec<Option<Values>>> {
        let at = RINGS.iter().position(|ring| ring.step_s == span.step_s());
        let at = at.expect("every span has a ring");
        let ring = RINGS[at];
        begins(span, now_s)
            .map(|begin_s| {
                let slot = self.read(ring, begin_s)?;
                let slot = match slot {
                    None if begin_s == ring.begin(now_s) && at > 0 => {
                        self.so_far(&RINGS[..at], begin_s, now_s)?
                    }
                    slot => slot,
                };
                Ok(slot.map(|slot| slot.values))
            })
            .collect()
    }

    /// What finer rings tell of a step that is not complete.
    fn so_far(&self, finer: &[Ring], begin_s: u32, now_s: u32) -> io::Result<Option<Slot>> {
        let mut parts = Vec::new();
        let mut from_s = begin_s;
        for ring in finer.iter().rev() {
            // The second that is now is complete; a longer step is once another one has begun.
            let complete = |from_s| from_s + ring.step_s <= now_s + u32::from(ring.step_s == 1);
            while complete(from_s) {
                parts.extend(self.read(*ring, from_s)?);
                from_s += ring.step_s;
            }
        }
        Ok(joined(begin_s, parts.into_iter()))
    }
}

/// When each value of a span begins, the oldest first.
pub fn begins(span: Span, now_s: u32) -> impl Iterator<Item = u32> {
    let last = now_s - now_s % span.step_s();
    let count = span.slots();
    (0..count).map(move |number| last.saturating_sub((count - 1 - number) * span.step_s()))
}

/// The columns of `measures`, of values at the times of a span.
#[must_use]
pub fn series(span: Span, now_s: u32, measures: &[Measure], rows: &[Option<Values>]) -> Series {
    let column = |measure: &Measure| {
        let values = rows.iter().map(|row| row.and_then(|row| row.get(*measure)));
        (*measure, values.collect())
    };
    Series {
        step_s: span.step_s(),
        times: begins(span, now_s).map(u64::from).collect(),
        columns: measures.iter().map(column).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round hour.
    const T: u32 = 1_700_002_800;

    fn cpu(milli: f32) -> Values {
        let mut values = Values::default();
        values.set(Measure::CpuMilli, milli);
        values
    }

    fn path() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("meter");
        (dir, path)
    }

    fn known(history: &History, span: Span, now_s: u32) -> Vec<f32> {
        let rows = history.span(span, now_s).expect("read");
        let values = rows.into_iter().flatten();
        values
            .filter_map(|row| row.get(Measure::CpuMilli))
            .collect()
    }

    #[test]
    fn seconds_become_hours_and_the_file_never_grows() {
        let (_dir, path) = path();
        let mut history = History::open(&path, T).expect("made");
        for second in 0..7_300 {
            let milli = if second < 3_600 { 100.0 } else { 300.0 };
            history.record(T + second, &cpu(milli)).expect("recorded");
        }
        let now = T + 7_299;
        assert_eq!(known(&history, Span::TenMinutes, now), [300.0; 600]);
        assert_eq!(known(&history, Span::FourHours, now).len(), 730);
        assert_eq!(known(&history, Span::Day, now).len(), 122);
        assert_eq!(known(&history, Span::Month, now).len(), 13);
        assert_eq!(known(&history, Span::Year, now), [100.0, 300.0, 300.0]);
        let length = std::fs::metadata(&path).expect("a file").len();
        assert_eq!(length, FILE_BYTES);
    }

    /// The agent is killed in the middle of a step: what it had not made yet is made of what is on the disk.
    #[test]
    fn what_a_killed_agent_had_not_rolled_up_is_when_the_next_one_opens() {
        let (_dir, path) = path();
        let mut killed = History::open(&path, T).expect("made");
        for second in 0..3_595 {
            killed.record(T + second, &cpu(100.0)).expect("recorded");
        }
        drop(killed);
        let later = T + 3_700;
        let mut next = History::open(&path, later).expect("opened");
        assert_eq!(
            known(&next, Span::Year, later),
            [100.0],
            "an hour that nobody ended"
        );
        let hour = next.read(HOURS, T).expect("read").expect("there");
        assert_eq!(hour.measured_s, 3_595, "to the last second");
        next.record(later, &cpu(5.0)).expect("recorded");
        let minutes = known(&next, Span::Day, later);
        assert_eq!(minutes.len(), 61, "sixty minutes, and the one that goes on");
    }

    #[test]
    fn a_torn_slot_does_not_count_and_a_foreign_file_is_begun_anew() {
        let (_dir, path) = path();
        let mut history = History::open(&path, T).expect("made");
        for second in 0..3 {
            history.record(T + second, &cpu(1.0)).expect("recorded");
        }
        let middle = SECONDS.place(T + 1) + 20;
        history.file.write_all_at(&[0xee; 9], middle).expect("torn");
        assert_eq!(known(&history, Span::TenMinutes, T + 2).len(), 2);
        drop(history);
        std::fs::write(&path, b"something else").expect("written");
        let history = History::open(&path, T + 3).expect("opened");
        assert_eq!(known(&history, Span::TenMinutes, T + 3).len(), 0);
    }

    #[test]
    fn a_slot_of_a_year_ago_is_not_taken_for_one_of_today() {
        let (_dir, path) = path();
        let mut history = History::open(&path, T).expect("made");
        history.record(T, &cpu(1.0)).expect("recorded");
        let later = T + 600;
        assert_eq!(SECONDS.place(T), SECONDS.place(later));
        assert_eq!(known(&history, Span::TenMinutes, later + 599).len(), 0);
    }

    #[test]
    fn a_clock_that_jumps_loses_no_more_than_it_must() {
        let (_dir, path) = path();
        let mut history = History::open(&path, T).expect("made");
        for at in [T, T + 1, T - 5_000, T + 90_000_010, T + 2] {
            history.record(at, &cpu(7.0)).expect("recorded");
        }
        assert_eq!(known(&history, Span::TenMinutes, T + 2).len(), 3);
    }
}
