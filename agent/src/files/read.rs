//! The content of a file, as it is passed on.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{ByteRange, CHUNK_BYTES_MAX, FileSaid, FileWhy};

use super::frame::Frames;
use super::held::Held;
use super::look::facts;
use super::unfit::{Unfit, failed};

/// Says what comes, and lets it come: as many bytes as were said, or it breaks off.
pub(super) fn read<W: Write>(
    held: &Held,
    path: &FilePath,
    range: Option<ByteRange>,
    of: Option<&str>,
    frames: &mut Frames<'_, W>,
) -> Result<(), Unfit> {
    let (file, stat) = held.file(path)?;
    let known = facts(path.name().as_bytes(), &stat);
    // A part of another file than they have the rest of is of no use: they get all of it.
    let range = range.filter(|_| of.is_none_or(|of| of == known.mark));
    let (first, bytes) = match range {
        None => (0, known.bytes),
        Some(range) => range.of(known.bytes).ok_or_else(|| {
            let cause = format!("{path}: it has {} bytes, and none of those", known.bytes);
            Unfit::sized(FileWhy::Range, cause, known.bytes)
        })?,
    };
    frames.tell(&FileSaid::Content {
        file: known,
        first,
        bytes,
    })?;
    copy(&File::from(file), first, bytes, path, frames)
}

/// So many bytes from the first on.
pub(super) fn copy(
    file: &File,
    first: u64,
    bytes: u64,
    path: &FilePath,
    to: &mut impl Write,
) -> Result<(), Unfit> {
    let mut chunk = vec![0; CHUNK_BYTES_MAX];
    let mut at = first;
    let end = first.saturating_add(bytes);
    while at < end {
        let wanted = usize::try_from(end - at)
            .unwrap_or(usize::MAX)
            .min(chunk.len());
        let length = file.read_at(&mut chunk[..wanted], at);
        let length = length.map_err(failed(&path.to_string()))?;
        if length == 0 {
            let cause = format!("{path}: it became shorter while it was read: fetch it again");
            return Err(Unfit::new(FileWhy::Changed, cause));
        }
        to.write_all(&chunk[..length]).map_err(Unfit::Unheard)?;
        at += length as u64;
    }
    Ok(())
}
