//! The one parser of tar archives. It goes through raw headers, so that nothing is read into memory unbounded and no
//! size is told twice; every path is checked before anybody sees it.

use std::io::Read;

use tar::{Archive, EntryType, Header};

use super::inside::Inside;
use super::{Limits, Unfit, shown};

/// Longest record of names and attributes before an entry.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;
/// Ids beyond this have no place in a vnode.
const IDS: u64 = 65_536;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it is; none for the root itself.
    pub path: Option<Inside>,
    pub kind: Kind,
    /// Permissions, with the bits for setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Dir,
    File {
        bytes: u64,
    },
    /// Its target is text: it means something inside a vnode only, and nothing here follows it.
    Symlink(Vec<u8>),
    /// Another name of an earlier entry.
    Hardlink(Inside),
    /// A device, pipe or socket: a vnode has its own, and an image brings none.
    LeftOut,
}

/// Calls `take` with each entry and its content, in order.
///
/// # Errors
/// The archive is damaged, hostile or too large, or `take` failed.
pub fn each(
    input: impl Read,
    limits: &Limits,
    mut take: impl FnMut(Item, &mut dyn Read) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    let mut archive = Archive::new(input);
    let entries = archive.entries().map_err(|error| Unfit::damaged(&error))?;
    let (mut ahead, mut count, mut names_bytes) = (Ahead::default(), 0, 0);
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|error| Unfit::damaged(&error))?;
        count += 1;
        if count > limits.entries_max {
            let text = format!("it has more than {} entries", limits.entries_max);
            return Err(Unfit::content(text));
        }
        let header = entry.header().clone();
        if ahead.takes(&header, &mut entry)? {
            continue;
        }
        let item = std::mem::take(&mut ahead).item(&header)?;
        names_bytes += item.names_bytes();
        if names_bytes > limits.names_bytes_max {
            let most = limits.names_bytes_max;
            return Err(Unfit::content(format!(
                "its names take more than {most} bytes"
            )));
        }
        take(item, &mut entry)?;
    }
    if ahead != Ahead::default() {
        return Err(Unfit::content(
            "it ends with names of an entry that does not come",
        ));
    }
    Ok(())
}

impl Item {
    fn names_bytes(&self) -> u64 {
        let path = self.path.as_ref().map_or(0, |path| path.as_bytes().len());
        let target = match &self.kind {
            Kind::Symlink(target) => target.len(),
            Kind::Hardlink(target) => target.as_bytes().len(),
            Kind::Dir | Kind::File { .. } | Kind::LeftOut => 0,
        };
        (path + target) as u64
    }
}

/// What headers before an entry say of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ahead {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
}

impl Ahead {
    /// Takes in a header that is about the next entry; answers whether it is one.
    fn takes(&mut self, header: &Header, content: &mut impl Read) -> Result<bool, Unfit> {
        let kind = header.entry_type();
        if kind.is_gnu_longname() {
            put(&mut self.path, until_nul(extension(header, content)?))?;
        } else if kind.is_gnu_longlink() {
            put(&mut self.target, until_nul(extension(header, content)?))?;
        } else if kind.is_pax_local_extensions() {
            self.records(&extension(header, content)?)?;
        } else if kind.is_pax_global_extensions() {
            // It may only say of all entries what is not used of any.
            let mut of_all = Self::default();
            of_all.records(&extension(header, content)?)?;
            if of_all != Self::default() {
                return Err(Unfit::content("it gives all entries the same name or size"));
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn records(&mut self, mut bytes: &[u8]) -> Result<(), Unfit> {
        while !bytes.is_empty() {
            let Record { key, value, rest } = Record::first(bytes)?;
            bytes = rest;
            match key {
                b"path" => put(&mut self.path, value.to_vec())?,
                b"linkpath" => put(&mut self.target, value.to_vec())?,
                b"size" => put(&mut self.size, number(value)?)?,
                b"uid" => put(&mut self.uid, number(value)?)?,
                b"gid" => put(&mut self.gid, number(value)?)?,
                b"mtime" => put(&mut self.mtime, seconds(value)?)?,
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(Unfit::content(
                        "it has a sparse file: pack it without --sparse",
                    ));
                }
                // Attributes, security.capability among them, are left out: an image grants nothing by them.
                _ => {}
            }
        }
        Ok(())
    }

    fn item(self, header: &Header) -> Result<Item, Unfit> {
        let path = self
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let is_dir = header.entry_type().is_dir() || path.ends_with(b"/");
        let path = Inside::parse(&path)?;
        let named = |what: &str| {
            let path = path
                .as_ref()
                .map_or_else(|| "the root".to_owned(), Inside::shown);
            Unfit::content(format!("{path} {what}"))
        };
        let field = |value: std::io::Result<u64>| value.map_err(|_| named("has a bad header"));
        let bytes = field(header.entry_size())?;
        if self.size.is_some_and(|size| size != bytes) {
            return Err(named("has two sizes"));
        }
        let target = self
            .target
            .or_else(|| header.link_name_bytes().map(|t| t.into_owned()));
        let kind = kind(header.entry_type(), is_dir, bytes, target)?.ok_or_else(|| {
            named("is a sparse file or of an unknown kind: pack it as a plain file")
        })?;
        let id = |given: Option<u64>, own: std::io::Result<u64>| {
            let id = given.map_or_else(|| field(own), Ok)?;
            let small = u32::try_from(id).ok().filter(|_| id < IDS);
            small.ok_or_else(|| named("belongs to an id beyond 65,535"))
        };
        if path.is_none() && kind != Kind::Dir {
            return Err(Unfit::content("the root itself is no directory in it"));
        }
        Ok(Item {
            kind,
            mode: header.mode().map_err(|_| named("has a bad header"))? & 0o7777,
            uid: id(self.uid, header.uid())?,
            gid: id(self.gid, header.gid())?,
            // Times before 1970 are written as large numbers.
            mtime: self
                .mtime
                .map_or_else(|| field(header.mtime()), Ok)?
                .min(u64::from(u32::MAX)),
            path,
        })
    }
}

/// None for what is not understood: guessing would be a second parser.
fn kind(
    kind: EntryType,
    is_dir: bool,
    bytes: u64,
    target: Option<Vec<u8>>,
) -> Result<Option<Kind>, Unfit> {
    let link_target = || {
        let target = target.clone().filter(|target| !target.is_empty());
        target.ok_or_else(|| Unfit::content("a link has no target"))
    };
    let is_file = kind.is_file() || kind.is_contiguous();
    let special = kind.is_block_special() || kind.is_character_special() || kind.is_fifo();
    Ok(if kind.is_dir() || is_file && is_dir && bytes == 0 {
        Some(Kind::Dir)
    } else if is_file {
        Some(Kind::File { bytes })
    } else if kind.is_symlink() {
        Some(Kind::Symlink(symlink_target(link_target()?)?))
    } else if kind.is_hard_link() {
        let target = Inside::parse(&link_target()?)?;
        let target = target.ok_or_else(|| Unfit::content("a hard link means the root"))?;
        Some(Kind::Hardlink(target))
    } else {
        special.then_some(Kind::LeftOut)
    })
}

fn symlink_target(target: Vec<u8>) -> Result<Vec<u8>, Unfit> {
    if target.len() > 4_095 || target.contains(&0) {
        let text = format!("a symbolic link to {} cannot be made", shown(&target));
        return Err(Unfit::content(text));
    }
    Ok(target)
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), Unfit> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Unfit::content("it tells the same of one entry twice")),
    }
}

fn extension(header: &Header, content: &mut impl Read) -> Result<Vec<u8>, Unfit> {
    let bytes = header
        .entry_size()
        .map_err(|error| Unfit::damaged(&error))?;
    if bytes > EXTENSION_BYTES_MAX {
        let text =
            format!("an entry's names and attributes take more than {EXTENSION_BYTES_MAX} bytes");
        return Err(Unfit::content(text));
    }
    let mut whole = Vec::new();
    content
        .read_to_end(&mut whole)
        .map_err(|error| Unfit::damaged(&error))?;
    if whole.len() as u64 != bytes {
        return Err(Unfit::content("it ends within an entry"));
    }
    Ok(whole)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes
}

/// One record of an extension, and what follows it.
struct Record<'b> {
    key: &'b [u8],
    value: &'b [u8],
    rest: &'b [u8],
}

impl<'b> Record<'b> {
    /// The first of records `LENGTH KEY=VALUE\n`; its length counts itself and must end exactly there.
    fn first(bytes: &'b [u8]) -> Result<Self, Unfit> {
        let bad = || Unfit::content("it has a bad PAX record");
        let space = bytes
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or_else(bad)?;
        let length = usize::try_from(number(&bytes[..space])?).map_err(|_| bad())?;
        let whole = bytes.get(..length).ok_or_else(bad)?;
        let body = whole.get(space + 1..).ok_or_else(bad)?;
        let body = body.strip_suffix(b"\n").ok_or_else(bad)?;
        let equals = body.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
        Ok(Self {
            key: &body[..equals],
            value: &body[equals + 1..],
            rest: &bytes[length..],
        })
    }
}

fn number(text: &[u8]) -> Result<u64, Unfit> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits);
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Unfit::content("it has a bad number in a PAX record"))
}

/// Times have fractions, and may be before 1970.
fn seconds(text: &[u8]) -> Result<u64, Unfit> {
    if text.starts_with(b"-") {
        return Ok(0);
    }
    number(text.split(|byte| *byte == b'.').next().unwrap_or(text))
}
