//! What an archive is compressed with is told by its first bytes, never by a name. Decompression is bounded in memory,
//! in bytes and in what one byte may become.

use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Limits, Unfit};

/// Memory that a decoder may take for looking back: 128 MiB, as `zstd --long` and `xz -9e` need at most.
const WINDOW_LOG_MAX: u32 = 27;
const DICTIONARY_BYTES_MAX: usize = 1 << WINDOW_LOG_MAX;

const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const GZIP: &[u8] = &[0x1f, 0x8b];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];

/// The bytes of an archive after decompression, within the limits.
///
/// # Errors
/// It cannot be read, or not even begun to be decompressed.
pub fn open(compressed: impl Read + Send + 'static, limits: &Limits) -> Result<Bounded, Unfit> {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        inner: compressed,
        taken: taken.clone(),
    };
    let mut input = BufReader::with_capacity(64 << 10, counted);
    let first = first_bytes(&mut input)?;
    let plain: Box<dyn Read + Send> = if first.starts_with(ZSTD) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(input)
            .map_err(Unfit::machine("begin zstd"))?;
        decoder
            .window_log_max(WINDOW_LOG_MAX)
            .map_err(Unfit::machine("bound zstd's memory"))?;
        Box::new(decoder)
    } else if first.starts_with(GZIP) {
        Box::new(flate2::bufread::MultiGzDecoder::new(input))
    } else if first.starts_with(XZ) {
        Box::new(xz(input))
    } else {
        Box::new(input)
    };
    Ok(Bounded {
        inner: plain,
        taken,
        given: 0,
        limits: *limits,
    })
}

/// Reads ahead: the first read may give less than what is asked about.
fn first_bytes<R: Read>(input: &mut BufReader<R>) -> Result<Vec<u8>, Unfit> {
    let bytes = input.fill_buf().map_err(|error| Unfit::damaged(&error))?;
    Ok(bytes[..bytes.len().min(XZ.len())].to_vec())
}

fn xz(input: BufReader<Counted<impl Read + Send + 'static>>) -> impl Read + Send {
    const BUFFER: NonZeroUsize = NonZeroUsize::new(64 << 10).expect("not zero");
    let decoder = xz4rust::XzDecoder::in_heap_with_alloc_dict_size(1 << 16, DICTIONARY_BYTES_MAX);
    xz4rust::XzReader::new_with_buffer_size_and_decoder(input, BUFFER, decoder)
}

/// Counts what the decoder takes in.
struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.taken.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Bytes after decompression. Too many are an error, not an end: an end could be taken for the archive's.
pub struct Bounded {
    inner: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
    given: u64,
    limits: Limits,
}

impl Bounded {
    fn check(&self) -> io::Result<()> {
        let refused = |text: String| Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        if self.given > self.limits.bytes_max {
            return refused(format!("it is longer than {} bytes", self.limits.bytes_max));
        }
        let taken = self.taken.load(Ordering::Relaxed);
        let fair = taken.saturating_mul(self.limits.ratio_max);
        if self.given > Limits::RATIO_FREE_BYTES && self.given > fair {
            return refused(format!("{taken} bytes become more than {fair}"));
        }
        Ok(())
    }
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.given += length as u64;
        self.check()?;
        Ok(length)
    }
}
