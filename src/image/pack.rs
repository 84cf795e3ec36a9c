//! Packing a root file system so that equal files give equal bytes: sorted names, no times, one thread.

use std::fs::File;
use std::io::{BufWriter, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest, Sha256};

/// Packs `root` into `blob`; answers the blob's SHA-256 as hexadecimal digits.
pub fn pack(root: &Path, blob: &Path) -> anyhow::Result<String> {
    let file = File::create(blob).with_context(|| format!("make {}", blob.display()))?;
    let encoder = zstd::stream::write::Encoder::new(BufWriter::new(file), 3)?;
    let mut archive = tar::Builder::new(encoder);
    archive.follow_symlinks(false);
    for path in sorted(root)? {
        append(&mut archive, root, &path).with_context(|| format!("pack {}", path.display()))?;
    }
    archive
        .into_inner()?
        .finish()?
        .into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()?;
    digest(blob)
}

/// Everything below `root`, parents before children, in the order of names.
fn sorted(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        let entries = std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.symlink_metadata()?.is_dir() {
                waiting.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn append<W: std::io::Write>(
    archive: &mut tar::Builder<W>,
    root: &Path,
    path: &Path,
) -> anyhow::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let metadata = path.symlink_metadata()?;
    let kind = metadata.file_type();
    if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
        return Ok(());
    }
    let name = path.strip_prefix(root)?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata_in_mode(&metadata, tar::HeaderMode::Complete);
    header.set_mtime(0);
    if kind.is_symlink() {
        header.set_size(0);
        archive.append_link(&mut header, name, std::fs::read_link(path)?)?;
    } else if kind.is_dir() {
        header.set_size(0);
        archive.append_data(&mut header, name, std::io::empty())?;
    } else {
        header.set_size(metadata.len());
        archive.append_data(&mut header, name, File::open(path)?)?;
    }
    Ok(())
}

fn digest(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&chunk[..length]);
    }
}
