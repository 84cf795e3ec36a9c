//! The last bytes that a terminal printed, with the position of each in all that it ever printed.

use std::collections::VecDeque;

/// A bounded scroll-back.
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    end: u64,
    bytes_max: usize,
}

impl Ring {
    /// Keeps at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            end: 0,
            bytes_max,
        }
    }

    /// Appends, and forgets the oldest beyond the bound.
    pub(super) fn push(&mut self, new: &[u8]) {
        self.bytes.extend(new);
        self.end += new.len() as u64;
        let excess = self.bytes.len().saturating_sub(self.bytes_max);
        self.bytes.drain(..excess);
    }

    /// Position of the oldest byte kept.
    pub(super) fn oldest(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Position after the newest byte.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Up to `limit` bytes from `from` on, and the position of the first: later than `from` if that is forgotten.
    pub(super) fn read(&self, from: u64, limit: usize) -> (u64, Vec<u8>) {
        let from = from.clamp(self.oldest(), self.end);
        let skip = usize::try_from(from - self.oldest()).unwrap_or(usize::MAX);
        (
            from,
            self.bytes.iter().skip(skip).take(limit).copied().collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_once_by_a_reader_that_keeps_up() {
        let mut ring = Ring::new(8);
        let mut got = Vec::new();
        let mut from = 0;
        for chunk in [&b"abc"[..], b"", b"defghi", b"j"] {
            ring.push(chunk);
            let (start, bytes) = ring.read(from, 100);
            assert_eq!(start, from);
            from = start + bytes.len() as u64;
            got.extend(bytes);
        }
        assert_eq!(got, b"abcdefghij");
    }

    #[test]
    fn a_reader_that_lags_is_told_where_the_rest_begins() {
        let mut ring = Ring::new(4);
        ring.push(b"abcdefghij");
        assert_eq!(ring.read(2, 100), (6, b"ghij".to_vec()));
        assert_eq!(ring.read(7, 2), (7, b"hi".to_vec()));
        assert_eq!(ring.read(99, 100), (10, Vec::new()));
        assert_eq!((ring.oldest(), ring.end()), (6, 10));
    }
}
