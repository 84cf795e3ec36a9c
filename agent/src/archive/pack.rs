//! Writes a root file system so that equal files give equal bytes: sorted names, one thread, one form of header. What
//! users' root must not bring in, devices, pipes and attributes, is not in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use docklet_control::id::Digest;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::Unfit;
use super::stop::Stop;
use super::tree::{Meta, NodeKind, Tree};

/// Level 3 is zstd's own choice; higher ones take minutes for a few percent.
const LEVEL: i32 = 3;

/// A finished blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// SHA-256 of the blob.
    pub digest: Digest,
    pub blob_bytes: u64,
    /// Bytes of all files together.
    pub files_bytes: u64,
}

/// Packs the directory `root` into a new file `blob`. `told` hears how many files are done.
///
/// # Errors
/// A file cannot be read, or the blob not be written.
pub fn pack_dir(root: &Path, blob: &Path, told: impl Fn(u64)) -> Result<Packed, Unfit> {
    let mut packer = Packer::begin(blob, u64::MAX)?;
    let own = fs::symlink_metadata(root).map_err(Unfit::machine("read the root"))?;
    packer.dir(Path::new("./"), &meta(&own))?;
    // The first name of a file that has several, by its identity.
    let mut first: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
    for (done, path) in sorted(root)?.iter().enumerate() {
        let name = path.strip_prefix(root).unwrap_or(path);
        packer.entry(path, name, &mut first)?;
        told(done as u64 + 1);
    }
    packer.finish()
}

/// Packs a tree that was joined from layers, as long as it shall.
pub(super) fn pack_tree(tree: &Tree, blob: &Path, stop: &Stop) -> Result<Packed, Unfit> {
    let mut packer = Packer::begin(blob, tree.blob_bytes_max())?;
    packer.dir(Path::new("./"), tree.root())?;
    let mut first: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for (path, node) in tree.nodes() {
        stop.check()?;
        let name = PathBuf::from(std::ffi::OsString::from_vec(path.as_bytes().to_vec()));
        match &node.kind {
            NodeKind::Dir => packer.dir(&name, &node.meta)?,
            NodeKind::Symlink(target) => packer.symlink(&name, &node.meta, target)?,
            NodeKind::File { number, content } => match first.get(number) {
                Some(first) => packer.hardlink(&name, &node.meta, first)?,
                None => {
                    let content_bytes = content.bytes;
                    let content = stop.until(content.reader());
                    packer.file(&name, &node.meta, content_bytes, content)?;
                    first.insert(*number, name);
                }
            },
        }
    }
    packer.finish()
}

/// Everything below `root`, parents before children, in the order of names.
fn sorted(root: &Path) -> Result<Vec<PathBuf>, Unfit> {
    let named = Unfit::machine("list a directory");
    let list = |dir: &Path| -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(dir)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    let walk = || -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut waiting = vec![root.to_owned()];
        while let Some(dir) = waiting.pop() {
            for path in list(&dir)? {
                if fs::symlink_metadata(&path)?.is_dir() {
                    waiting.push(path.clone());
                }
                found.push(path);
            }
        }
        Ok(found)
    };
    let mut found = walk().map_err(named)?;
    found.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(found)
}

fn meta(metadata: &fs::Metadata) -> Meta {
    Meta {
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: u64::try_from(metadata.mtime()).unwrap_or(0),
    }
}

/// A blob that is being written.
struct Packer {
    archive: tar::Builder<zstd::stream::write::Encoder<'static, Hashing>>,
    files_bytes: u64,
    bytes_max: u64,
    is_full: Arc<AtomicBool>,
}

/// Writes, and computes the digest of what it writes.
struct Hashing {
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
    bytes_max: u64,
    /// Whether there were to be more: what is written passes through others, who know their own errors only.
    is_full: Arc<AtomicBool>,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes + bytes.len() as u64 > self.bytes_max {
            self.is_full.store(true, Ordering::Release);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let length = self.file.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Packer {
    fn begin(blob: &Path, bytes_max: u64) -> Result<Self, Unfit> {
        let file = File::create_new(blob).map_err(Unfit::machine("make the blob"))?;
        let is_full = Arc::<AtomicBool>::default();
        let hashing = Hashing {
            file: BufWriter::with_capacity(256 << 10, file),
            hasher: Sha256::new(),
            bytes: 0,
            bytes_max,
            is_full: is_full.clone(),
        };
        let encoder = zstd::stream::write::Encoder::new(hashing, LEVEL)
            .map_err(Unfit::machine("begin zstd"))?;
        Ok(Self {
            archive: tar::Builder::new(encoder),
            files_bytes: 0,
            bytes_max,
            is_full,
        })
    }

    /// What an error means that came out of writing.
    fn failed(is_full: &AtomicBool, bytes_max: u64) -> impl FnOnce(io::Error) -> Unfit {
        let is_full = is_full.load(Ordering::Acquire);
        move |error| {
            if is_full {
                Unfit::TooLarge { most: bytes_max }
            } else {
                Unfit::machine("write the blob")(error)
            }
        }
    }

    /// What is at `path`, under the name `name`.
    fn entry(
        &mut self,
        path: &Path,
        name: &Path,
        first: &mut BTreeMap<(u64, u64), PathBuf>,
    ) -> Result<(), Unfit> {
        let metadata = fs::symlink_metadata(path).map_err(Unfit::machine("read a file"))?;
        let (kind, meta) = (metadata.file_type(), meta(&metadata));
        if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
            return Ok(());
        }
        if kind.is_dir() {
            return self.dir(name, &meta);
        }
        if kind.is_symlink() {
            let target = fs::read_link(path).map_err(Unfit::machine("read a symbolic link"))?;
            return self.symlink(name, &meta, target.as_os_str().as_bytes());
        }
        let identity = (metadata.dev(), metadata.ino());
        if let Some(first) = first.get(&identity) {
            return self.hardlink(name, &meta, first);
        }
        if metadata.nlink() > 1 {
            first.insert(identity, name.to_owned());
        }
        let file = File::open(path).map_err(Unfit::machine("read a file"))?;
        self.file(name, &meta, metadata.len(), file)
    }

    fn dir(&mut self, name: &Path, meta: &Meta) -> Result<(), Unfit> {
        let mut header = header(meta, EntryType::Directory, 0);
        self.append(|archive| archive.append_data(&mut header, name, io::empty()))
    }

    fn symlink(&mut self, name: &Path, meta: &Meta, target: &[u8]) -> Result<(), Unfit> {
        let mut header = header(meta, EntryType::Symlink, 0);
        let target = Path::new(std::ffi::OsStr::from_bytes(target));
        self.append(|archive| archive.append_link(&mut header, name, target))
    }

    fn hardlink(&mut self, name: &Path, meta: &Meta, first: &Path) -> Result<(), Unfit> {
        let mut header = header(meta, EntryType::Link, 0);
        self.append(|archive| archive.append_link(&mut header, name, first))
    }

    fn file(
        &mut self,
        name: &Path,
        meta: &Meta,
        bytes: u64,
        content: impl Read,
    ) -> Result<(), Unfit> {
        let mut header = header(meta, EntryType::Regular, bytes);
        self.files_bytes += bytes;
        // A file that grows or shrinks meanwhile must not shift what comes after it.
        let whole = content.take(bytes).chain(io::repeat(0)).take(bytes);
        self.append(|archive| archive.append_data(&mut header, name, whole))
    }

    fn append(
        &mut self,
        append: impl FnOnce(
            &mut tar::Builder<zstd::stream::write::Encoder<'static, Hashing>>,
        ) -> io::Result<()>,
    ) -> Result<(), Unfit> {
        let appended = append(&mut self.archive);
        appended.map_err(Self::failed(&self.is_full, self.bytes_max))
    }

    fn finish(self) -> Result<Packed, Unfit> {
        let archive = self.archive;
        let finish = || -> io::Result<(Hashing, File)> {
            let mut hashing = archive.into_inner()?.finish()?;
            hashing.flush()?;
            let file = hashing.file.get_ref().try_clone()?;
            Ok((hashing, file))
        };
        let finished = finish();
        let (hashing, file) = finished.map_err(Self::failed(&self.is_full, self.bytes_max))?;
        file.sync_all().map_err(Unfit::machine("sync the blob"))?;
        Ok(Packed {
            digest: Digest(hashing.hasher.finalize().into()),
            blob_bytes: hashing.bytes,
            files_bytes: self.files_bytes,
        })
    }
}

fn header(meta: &Meta, kind: EntryType, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(meta.mode);
    header.set_uid(u64::from(meta.uid));
    header.set_gid(u64::from(meta.gid));
    header.set_mtime(meta.mtime);
    header.set_size(bytes);
    header
}
