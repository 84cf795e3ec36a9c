//! What giver and taker say to each other: words as JSON, chunks and holes as binary messages.
//!
//! ```text
//! 1  zstd of: u32 N, N times (u32 FILE, u32 INDEX), the bytes of these chunks one after the other
//! 2  N times (u32 FILE, u32 FIRST, u32 COUNT): these chunks are holes now
//! ```
//!
//! FILE counts in the manifest, by which also the bytes of each chunk are known; all numbers are little-endian.

use std::io;

use docklet_control::id::LogIndex;
use serde::{Deserialize, Serialize};

use super::chunks::{CHUNK_SIZE, ChunkHash, HASH_BYTES, Root};
use super::names::FileName;
use crate::fault::AgentFault;

/// Longest message: a manifest of ten thousand files, or chunks that do not get smaller by packing.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// Chunks are collected until they have so many bytes, or are so many.
pub(super) const PARCEL_BYTES: usize = 1 << 20;
const PARCEL_CHUNKS_MAX: usize = 1_024;
/// What one parcel may come to when it is unpacked.
const UNPACKED_BYTES_MAX: usize = 4 + 8 * PARCEL_CHUNKS_MAX + PARCEL_BYTES + CHUNK_SIZE;
/// Runs of holes of one message.
const HOLES_MAX: usize = 4_096;
/// Hashes of one message.
pub(super) const HASHES_MAX: usize = (1 << 20) / HASH_BYTES;
/// Packs some 400 MB a second and core of what cannot be packed, and does not delay what can.
const ZSTD_LEVEL: i32 = 1;

const CHUNKS: u8 = 1;
const HOLES: u8 = 2;

/// What is asked for at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// One snapshot and its note, as far as they are there.
    Snapshot(LogIndex),
    /// The disk as it is by now.
    Disk,
    /// All that is not a snapshot, as soon as it stands still.
    Rest,
    /// What was written to of its memory since the round before, while it runs: nothing where the kernel does not say.
    Memory,
}

/// The taker's question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    pub part: Part,
    /// Files of which it says next what it has, and how long they are there.
    pub has: Vec<(FileName, u64)>,
}

/// What the giver says beside chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Manifest(Manifest),
    /// It is at work, and has read so many bytes of this part.
    At(u64),
    /// That was all.
    End(Root),
    /// It cannot be had, and why.
    Refused(String),
}

/// What belongs to a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub files: Vec<(FileName, u64)>,
    /// Bytes in them that are no holes.
    pub data_bytes: u64,
    /// The number of a round of memory, or on how many of them the image of the processes builds; 0 if there is none.
    #[serde(default)]
    pub rounds: u32,
}

/// Some chunks on their way.
#[derive(Default)]
pub struct Parcel {
    places: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

impl Parcel {
    /// Puts a chunk into it.
    pub fn put(&mut self, file: u32, index: u32, bytes: &[u8]) {
        self.places.push((file, index));
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether it shall go before more is put into it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PARCEL_BYTES || self.places.len() >= PARCEL_CHUNKS_MAX
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The message of it; it is empty afterwards.
    ///
    /// # Errors
    /// Packing fails.
    pub fn pack(&mut self, packer: &mut Packer) -> io::Result<Vec<u8>> {
        let plain = &mut packer.plain;
        plain.clear();
        plain.extend_from_slice(&length32(self.places.len())?.to_le_bytes());
        for (file, index) in self.places.drain(..) {
            plain.extend_from_slice(&file.to_le_bytes());
            plain.extend_from_slice(&index.to_le_bytes());
        }
        plain.extend_from_slice(&self.bytes);
        self.bytes.clear();
        let mut message = vec![CHUNKS];
        message.extend(packer.zstd.compress(plain)?);
        Ok(message)
    }
}

fn length32(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(io::Error::other)
}

/// Packs parcels.
pub struct Packer {
    zstd: zstd::bulk::Compressor<'static>,
    plain: Vec<u8>,
}

impl Packer {
    /// One for many parcels.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
            plain: Vec::new(),
        })
    }
}

/// Messages that say that these chunks are holes: file, first and count.
#[must_use]
pub fn holes(runs: &[(u32, u32, u32)]) -> Vec<Vec<u8>> {
    let message = |runs: &[(u32, u32, u32)]| {
        let mut message = vec![HOLES];
        for (file, first, count) in runs {
            for number in [file, first, count] {
                message.extend_from_slice(&number.to_le_bytes());
            }
        }
        message
    };
    runs.chunks(HOLES_MAX).map(message).collect()
}

/// What a binary message has.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    /// File, index and where the rest of the bytes are that follow them.
    Chunks(Vec<(u32, u32)>, Vec<u8>),
    Holes(Vec<(u32, u32, u32)>),
}

/// Unpacks messages.
pub struct Unpacker(zstd::bulk::Decompressor<'static>);

impl Unpacker {
    /// One for many messages.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self(zstd::bulk::Decompressor::new()?))
    }

    /// Reads a message. Whether its places exist, only the manifest tells.
    ///
    /// # Errors
    /// It is malformed, or has more than it may.
    pub fn unpack(&mut self, message: &[u8]) -> Result<Came, AgentFault> {
        let malformed = |what: &str| AgentFault::Protocol(what.to_owned());
        match message.split_first() {
            Some((&CHUNKS, packed)) => {
                let plain = self.0.decompress(packed, UNPACKED_BYTES_MAX);
                let plain = plain.map_err(|_| malformed("a message that cannot be unpacked"))?;
                chunks(&plain).ok_or_else(|| malformed("a message of chunks"))
            }
            Some((&HOLES, runs)) if runs.len() % 12 == 0 && runs.len() / 12 <= HOLES_MAX => {
                let run = |run: &[u8]| (number(run, 0), number(run, 4), number(run, 8));
                Ok(Came::Holes(runs.chunks(12).map(run).collect()))
            }
            Some(_) | None => Err(malformed("a binary message")),
        }
    }
}

fn chunks(plain: &[u8]) -> Option<Came> {
    let (head, rest) = plain.split_at_checked(4)?;
    let count = number(head, 0) as usize;
    if count > PARCEL_CHUNKS_MAX {
        return None;
    }
    let (places, bytes) = rest.split_at_checked(8 * count)?;
    let places = places.chunks(8).map(|at| (number(at, 0), number(at, 4)));
    Some(Came::Chunks(places.collect(), bytes.to_vec()))
}

/// The number at this place, where there are four bytes.
fn number(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    if let Some(found) = bytes.get(at..at + 4) {
        four.copy_from_slice(found);
    }
    u32::from_le_bytes(four)
}

/// Messages of hashes.
pub(super) fn hashes(list: &[ChunkHash]) -> impl Iterator<Item = Vec<u8>> + '_ {
    list.chunks(HASHES_MAX)
        .map(|part| part.iter().flat_map(|hash| hash.0).collect())
}

/// The hashes of such a message.
pub(super) fn read_hashes(
    message: &[u8],
) -> Result<impl Iterator<Item = ChunkHash> + '_, AgentFault> {
    let (hashes, rest) = message.as_chunks::<HASH_BYTES>();
    if !rest.is_empty() || hashes.is_empty() || hashes.len() > HASHES_MAX {
        return Err(AgentFault::Protocol("a message of hashes".to_owned()));
    }
    Ok(hashes.iter().map(|hash| ChunkHash(*hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(message: &[u8]) -> Result<Came, AgentFault> {
        Unpacker::new().expect("memory").unpack(message)
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut packer = Packer::new().expect("memory");
        let mut parcel = Parcel::default();
        parcel.put(3, 9, b"one");
        parcel.put(4, 0, b"two");
        let message = parcel.pack(&mut packer).expect("packed");
        assert!(parcel.is_empty());
        let wanted = Came::Chunks(vec![(3, 9), (4, 0)], b"onetwo".to_vec());
        assert_eq!(unpack(&message).expect("well"), wanted);
        let runs = vec![(0, 1, 2); HOLES_MAX + 1];
        let messages = holes(&runs);
        assert_eq!(messages.len(), 2);
        assert_eq!(
            unpack(&messages[1]).expect("well"),
            Came::Holes(vec![(0, 1, 2)])
        );
        let list = [ChunkHash([5; 16]), ChunkHash::HOLE];
        let message = hashes(&list).next().expect("one");
        assert!(read_hashes(&message).expect("well").eq(list));
    }

    #[test]
    fn the_largest_parcel_fits_into_a_message() {
        let mut noise = vec![0; CHUNK_SIZE];
        rand::fill(&mut noise[..]);
        let mut parcel = Parcel::default();
        parcel.put(0, 0, &noise[1..]);
        let mut index = 1;
        while !parcel.is_full() {
            parcel.put(0, index, &noise);
            index += 1;
        }
        let message = parcel
            .pack(&mut Packer::new().expect("memory"))
            .expect("packed");
        assert!(message.len() < MESSAGE_BYTES_MAX);
        assert!(unpack(&message).is_ok());
    }

    #[test]
    fn what_is_malformed_or_too_much_is_refused() {
        let packed = |plain: &[u8]| {
            let packed = zstd::bulk::compress(plain, 1).expect("packed");
            [&[CHUNKS][..], &packed].concat()
        };
        let bad = [
            Vec::new(),
            vec![0],
            vec![3, 0],
            vec![CHUNKS],
            vec![CHUNKS, 1, 2, 3],
            vec![HOLES, 1],
            vec![HOLES; 1 + 12 * (HOLES_MAX + 1)],
            packed(b""),
            packed(&[1, 0, 0]),
            packed(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            packed(&u32::MAX.to_le_bytes()),
            packed(&vec![0; UNPACKED_BYTES_MAX + 1]),
            packed(&vec![0; 64 << 20]),
        ];
        for message in bad {
            assert!(
                unpack(&message).is_err(),
                "{:?}",
                &message[..message.len().min(9)]
            );
        }
        assert!(read_hashes(&[]).is_err() && read_hashes(&[0; 17]).is_err());
    }
}
