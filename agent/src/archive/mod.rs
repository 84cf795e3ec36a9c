//! Archives from outside: read by one parser, within limits, whatever becomes of them.
//!
//! [`read`] gives the entries of a tar, each checked; nothing else looks at an archive's bytes. [`unpack`] makes files of
//! them below a directory that it holds open; [`tree`] makes a picture of them in memory, in which layers are joined
//! without a single path of the archive reaching the file system; [`pack`] writes such a picture, or a directory, always
//! the same way. So what was checked is what is unpacked.

pub mod import;
pub mod inside;
mod oci;
pub mod pack;
pub mod read;
pub mod save;
pub mod source;
mod spool;
pub mod stop;
mod tree;
pub mod unpack;
mod upper;

/// How much of an archive is taken. Each bound is one of memory, disk or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries, and files in the end.
    pub entries_max: u64,
    /// Bytes after decompression.
    pub bytes_max: u64,
    /// Bytes of all paths and targets together: they are kept in memory.
    pub names_bytes_max: u64,
    /// Beyond [`Self::RATIO_FREE_BYTES`], how many bytes one compressed byte may become.
    pub ratio_max: u64,
    /// Bytes of what is packed anew.
    pub blob_bytes_max: u64,
}

impl Limits {
    /// So much may come of a few bytes: an empty disk image in a small system is no attack.
    pub const RATIO_FREE_BYTES: u64 = 256 << 20;
}

impl Default for Limits {
    /// Ten times the largest images that are in use; systems are compressed to a half or a tenth.
    fn default() -> Self {
        Self {
            entries_max: 1_000_000,
            bytes_max: 64 << 30,
            names_bytes_max: 128 << 20,
            ratio_max: 200,
            blob_bytes_max: u64::MAX,
        }
    }
}

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is damaged, hostile or too large: whoever made it can mend that.
    #[error("{0}")]
    Content(String),
    /// What is packed of it is larger than whoever it is for may have.
    #[error("packed it has more than {most} bytes, and no more are allowed")]
    TooLarge { most: u64 },
    /// Whoever wanted it does not any more.
    #[error("it is not wanted any more")]
    Stopped,
    /// This machine failed.
    #[error("{act}")]
    Machine {
        act: &'static str,
        #[source]
        source: std::io::Error,
    },
}

impl Unfit {
    fn content(cause: impl Into<String>) -> Self {
        Self::Content(cause.into())
    }

    /// Names the act that the machine failed at.
    fn machine(act: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Machine { act, source }
    }

    fn system(act: &'static str) -> impl FnOnce(nix::errno::Errno) -> Self {
        move |errno| Self::Machine {
            act,
            source: errno.into(),
        }
    }

    /// Damage that a decoder found.
    fn damaged(error: &std::io::Error) -> Self {
        Self::Content(format!("it is damaged, or no such archive: {error}"))
    }

    /// The fault with its source.
    #[must_use]
    pub fn full_text(&self) -> String {
        match self {
            Self::Content(_) | Self::TooLarge { .. } | Self::Stopped => self.to_string(),
            Self::Machine { act, source } => format!("{act}: {source}"),
        }
    }
}

/// Bytes of an archive as they may be shown.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let cut: String = text.chars().take(80).collect();
    format!("\"{}\"", cut.escape_debug())
}
