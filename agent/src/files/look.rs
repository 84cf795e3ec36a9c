//! What is there.

use std::os::fd::{AsFd, OwnedFd};

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{
    ENTRIES_MAX, FileFacts, FileKind, FileListing, FileSaid, FileWhy,
};
use rustix::fs::{AtFlags, Dir, FileType, Stat, readlinkat, statat};
use rustix::io::Errno;

use super::held::Held;
use super::unfit::{Unfit, of};
use super::upload::PREFIX;

/// Names of one directory that are looked at, at most.
const NAMES_MAX: usize = 200_000;

pub(super) fn look(held: &Held, path: FilePath, after: Option<&str>) -> Result<FileSaid, Unfit> {
    let (_, stat) = held.find(&path)?;
    let file = facts(path.name().as_bytes(), &stat);
    let mut listing = FileListing {
        path: path.clone(),
        file,
        entries: None,
        count: 0,
        more: false,
    };
    if listing.file.kind == FileKind::Directory {
        let dir = held.directory(&path)?;
        let mut names = names(&dir).map_err(of(&path.to_string()))?;
        names.retain(|name| !name.starts_with(PREFIX.as_bytes()));
        listing.count = u64::try_from(names.len()).unwrap_or(u64::MAX);
        let begin = after.map_or(0, |after| {
            names.partition_point(|name| name.as_slice() <= after.as_bytes())
        });
        let shown = names[begin..].iter().take(ENTRIES_MAX);
        listing.more = names.len() - begin > ENTRIES_MAX;
        listing.entries = Some(
            shown
                .filter_map(|name| entry(held, &path, &dir, name))
                .collect(),
        );
    }
    Ok(FileSaid::Found(listing))
}

/// One of a directory; none if it went meanwhile.
fn entry(held: &Held, path: &FilePath, dir: &OwnedFd, name: &[u8]) -> Option<FileFacts> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let mut facts = facts(name, &stat);
    if facts.kind == FileKind::Link {
        let target = readlinkat(dir, name, Vec::new()).ok()?;
        facts.target = Some(target.to_string_lossy().into_owned());
        let there = path.join(&facts.name).ok().filter(|_| facts.named);
        let there = there.and_then(|path| held.find(&path).ok());
        facts.leads_to = there.map(|(_, stat)| kind(&stat));
    }
    Some(facts)
}

pub(super) fn facts(name: &[u8], stat: &Stat) -> FileFacts {
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    FileFacts {
        name: String::from_utf8_lossy(name).into_owned(),
        named: std::str::from_utf8(name).is_ok_and(|name| FilePath::root().join(name).is_ok()),
        kind: kind(stat),
        bytes: positive(stat.st_size),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        changed_ms: positive(stat.st_mtime) * 1_000 + stat.st_mtime_nsec / 1_000_000,
        mark: format!(
            "{:x}-{:x}-{:x}.{:x}-{:x}.{:x}",
            stat.st_ino,
            stat.st_size,
            stat.st_mtime,
            stat.st_mtime_nsec,
            stat.st_ctime,
            stat.st_ctime_nsec
        ),
        target: None,
        leads_to: None,
    }
}

pub(super) fn kind(stat: &Stat) -> FileKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => FileKind::Directory,
        FileType::RegularFile => FileKind::File,
        FileType::Symlink => FileKind::Link,
        FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Fifo
        | FileType::Socket
        | FileType::Unknown => FileKind::Other,
    }
}

/// Names in a directory, in order.
pub(super) fn names(dir: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if !matches!(&name[..], b"." | b"..") {
            names.push(name);
        }
        if names.len() > NAMES_MAX {
            return Err(Errno::MLINK);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Refuses what is not as somebody knew it.
pub(super) fn check_mark(path: &FilePath, stat: &Stat, known: &str) -> Result<(), Unfit> {
    if facts(b"", stat).mark == known {
        return Ok(());
    }
    let cause = format!("{path}: it was changed meanwhile: look at it again before you decide");
    Err(Unfit::new(FileWhy::Changed, cause))
}
