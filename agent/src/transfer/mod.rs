//! A vnode's files on their way from one worker to another, most of them while the vnode runs.
//!
//! The worker that it leaves gives ([`give`](mod@give)), the one that it comes to takes ([`arrival`]) into a directory of its own, and puts that in
//! place when all of it is there ([`adopt`](mod@adopt)). Nothing here decides that a vnode moves, stops or starts: [`departures`] says which
//! vnode leaves to whom, and from when on its files stand still.
//!
//! **Rounds.** A file is a list of chunks, each known by its hash ([`chunks`]). The taker says what it has, the giver reads its
//! file, and sends the chunks that differ and where there are holes now. A file that is written to meanwhile gives a copy that is no moment of
//! it, which the next round mends; the last round is answered only while the files stand still. Both sides then compute one
//! root over all that belongs to the round, the taker's from the bytes that came and were written.
//!
//! **Memory** comes ahead in rounds, too, where the giver's kernel tells what was written to: each is an image by CRIU that builds on the one before.
//! They are worth something to this conversation only: whoever begins another has none, and gets with the rest those on which the last image builds.
//!
//! **What breaks** costs little: chunks stay where they are written. The taker keeps its lists in memory, over broken connections too, and
//! hashes what is on its disk when it was killed. The giver keeps the disk's list as long as the connection lasts: to tell it
//! anew is 256 bytes a MiB.
//!
//! **The messages** ([`wire`]) on `/moves/VNODE/NUMBER`, beginning with the taker: text `{"part":…,"has":[[NAME,LENGTH],…]}`, binary messages of the
//! hashes of those files; text `{"manifest":…}`, binary messages of chunks and holes in any order, now and then text `{"at":BYTES}` so that
//! nobody is taken for dead, text `{"end":ROOT}`; and again. Or text `{"refused":CAUSE}`.
//!
//! **The hash** is BLAKE3, of which 16 bytes are kept for a chunk and 32 for a root: both sides may rely on it whoever chose the bytes. To
//! read and hash 1 GiB that is in memory took one thread 480 ms and two 230 ms, with SHA-256 880 and 440, with XXH3 190 and 95, of
//! which 65 are the reading (AVX2, two cores). The vnode stands still meanwhile, so the giver uses XXH3 to know again what it read before
//! ([`scan`]), and BLAKE3 for what is new. It hashes nothing ahead of that: what stood still and when, only reading it then tells.

pub mod adopt;
pub mod arrival;
pub mod chunks;
pub mod departures;
pub(crate) mod give;
mod incoming;
mod link;
mod moving;
pub mod names;
mod pace;
mod scan;
mod staging;
pub mod wire;

pub use adopt::{Whole, adopt, arrived, whole};
pub use arrival::{Arrival, Progress, Stage};
pub use departures::{Departure, Departures};
pub use moving::{Moving, Source};
pub use pace::Pace;
pub use staging::{arrivals, forget};

use std::time::Duration;

/// Rounds of memory are no more than these.
pub(crate) const MEMORY_ROUNDS_MAX: u32 = 8;
/// A peer that says nothing for so long while it should is given up; what came is kept.
const SILENCE_MAX: Duration = Duration::from_secs(30);
