//! A file as a list of chunks, each known by its hash.
//!
//! Chunks have 64 KiB: BLAKE3 is as fast as it gets from 16 KiB on, a list has 256 bytes a MiB, and a vnode that writes here
//! and there lets at most 16 times the bytes be sent that it wrote, in blocks of 4 KiB. What is zero throughout is a hole, whether the
//! file system knows it or not.

use std::io;

use serde::{Deserialize, Serialize};

use super::names::FileName;

/// Bytes of a chunk; the last of a file may have fewer.
pub const CHUNK_BYTES: u64 = CHUNK_SIZE as u64;
/// The same, in memory.
pub(super) const CHUNK_SIZE: usize = 64 << 10;
/// Bytes of a hash.
pub const HASH_BYTES: usize = 16;

static ZEROS: [u8; 4_096] = [0; 4_096];

/// By what a chunk is known. Whoever makes two chunks of one hash, with 2^64 attempts, has them in a disk of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHash(pub [u8; HASH_BYTES]);

impl ChunkHash {
    /// Nothing but zeros.
    pub const HOLE: Self = Self([0; HASH_BYTES]);
    /// Nobody knows what is there.
    pub const UNKNOWN: Self = Self([0xff; HASH_BYTES]);

    /// That of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if is_zero(bytes) {
            return Self::HOLE;
        }
        let mut kept = [0; HASH_BYTES];
        kept.copy_from_slice(&blake3::hash(bytes).as_bytes()[..HASH_BYTES]);
        Self(kept)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(ZEROS.len())
        .all(|part| *part == ZEROS[..part.len()])
}

/// How many chunks a file of this length has.
///
/// # Errors
/// More than can be numbered: the file has 256 TiB.
pub fn count(length: u64) -> io::Result<u32> {
    u32::try_from(length.div_ceil(CHUNK_BYTES)).map_err(io::Error::other)
}

/// Where a chunk begins.
#[must_use]
pub fn offset(index: u32) -> u64 {
    u64::from(index) * CHUNK_BYTES
}

/// Bytes of a chunk of a file of this length; none beyond its end.
#[must_use]
pub fn bytes_of(length: u64, index: u32) -> usize {
    let bytes = length.saturating_sub(offset(index)).min(CHUNK_BYTES);
    usize::try_from(bytes).unwrap_or_default()
}

/// A file's chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    length: u64,
    /// Those from the first on, as many as are known.
    hashes: Vec<ChunkHash>,
}

impl Chunks {
    /// A file of this length of which nothing is known yet.
    #[must_use]
    pub fn unknown(length: u64) -> Self {
        Self {
            length,
            hashes: Vec::new(),
        }
    }

    /// One hole of this length.
    ///
    /// # Errors
    /// The file is too long.
    pub fn hole(length: u64) -> io::Result<Self> {
        Ok(Self {
            length,
            hashes: vec![ChunkHash::HOLE; count(length)? as usize],
        })
    }

    /// Bytes of the file.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// All that are known.
    #[must_use]
    pub fn hashes(&self) -> &[ChunkHash] {
        &self.hashes
    }

    /// That of one chunk. Beyond the end there is a hole.
    #[must_use]
    pub fn get(&self, index: u32) -> ChunkHash {
        let beyond = if offset(index) < self.length {
            ChunkHash::UNKNOWN
        } else {
            ChunkHash::HOLE
        };
        self.hashes.get(index as usize).copied().unwrap_or(beyond)
    }

    /// Learns some, from `first` on.
    pub fn learn(&mut self, first: u32, hashes: &[ChunkHash]) {
        let from = first as usize;
        let end = from + hashes.len();
        if let Some(place) = self.hashes.get_mut(from..end) {
            place.copy_from_slice(hashes);
        }
    }

    /// Learns the next one.
    pub fn push(&mut self, hash: ChunkHash) {
        self.hashes.push(hash);
    }

    /// The file gets another length, as `set_len` does it: what is new is a hole.
    ///
    /// # Errors
    /// The file is too long.
    pub fn resize(&mut self, length: u64) -> io::Result<()> {
        if length == self.length {
            return Ok(());
        }
        let cut = self.length.min(length);
        self.hashes.resize(count(length)? as usize, ChunkHash::HOLE);
        // A part of a chunk has another hash than the whole.
        if !cut.is_multiple_of(CHUNK_BYTES)
            && let Some(last) = self.hashes.get_mut(count(cut)? as usize - 1)
            && *last != ChunkHash::HOLE
        {
            *last = ChunkHash::UNKNOWN;
        }
        self.length = length;
        Ok(())
    }
}

/// What a round came to, as 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Root(String);

impl Root {
    /// That of these files, in this order.
    #[must_use]
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a FileName, &'a Chunks)>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (name, chunks) in files {
            let name = name.to_string();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&chunks.length.to_le_bytes());
            for hash in &chunks.hashes {
                hasher.update(&hash.0);
            }
        }
        Self(hasher.finalize().to_hex().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_of_zeros_of_any_length_is_a_hole() {
        for bytes in [0, 1, 4_095, 4_097, 65_536] {
            assert_eq!(ChunkHash::of(&vec![0; bytes]), ChunkHash::HOLE);
        }
        let mut last = vec![0; 65_536];
        last[65_535] = 1;
        assert_ne!(ChunkHash::of(&last), ChunkHash::HOLE);
        assert_ne!(ChunkHash::of(&last), ChunkHash::of(&last[1..]));
    }

    #[test]
    fn a_file_that_changes_its_length_forgets_the_chunk_that_was_cut() {
        let known = ChunkHash([7; HASH_BYTES]);
        let mut chunks = Chunks::hole(3 * CHUNK_BYTES).expect("short");
        chunks.learn(0, &[known, known, known]);
        chunks.resize(CHUNK_BYTES + 5).expect("short");
        assert_eq!(chunks.hashes(), [known, ChunkHash::UNKNOWN]);
        chunks.resize(2 * CHUNK_BYTES).expect("short");
        chunks.learn(1, &[known]);
        chunks.resize(4 * CHUNK_BYTES).expect("short");
        assert_eq!(
            chunks.hashes(),
            [known, known, ChunkHash::HOLE, ChunkHash::HOLE]
        );
        assert_eq!(chunks.get(9), ChunkHash::HOLE);
        assert_eq!(Chunks::unknown(10).get(0), ChunkHash::UNKNOWN);
    }

    #[test]
    fn every_part_of_what_came_is_in_the_root() {
        let disk = Chunks::hole(CHUNK_BYTES).expect("short");
        let longer = Chunks::hole(CHUNK_BYTES + 1).expect("short");
        let mut other = disk.clone();
        other.learn(0, &[ChunkHash([1; HASH_BYTES])]);
        let roots = [
            Root::of([(&FileName::Disk, &disk)]),
            Root::of([(&FileName::Meter, &disk)]),
            Root::of([(&FileName::Disk, &longer)]),
            Root::of([(&FileName::Disk, &other)]),
            Root::of([(&FileName::Disk, &disk), (&FileName::Meter, &disk)]),
        ];
        for (at, root) in roots.iter().enumerate() {
            assert!(!roots[..at].contains(root));
        }
    }
}
