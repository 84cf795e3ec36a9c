//! The files of a vnode that are carried, and nothing else: a name that is none of these is no name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use docklet_control::id::LogIndex;
use serde::{Deserialize, Serialize};

use crate::fault::AgentFault;

/// Where the image of the processes is, if there is one.
pub const CHECKPOINT: &str = "checkpoint";
/// Where the memory is that was written ahead of it, round by round.
pub const AHEAD: &str = "ahead";
/// So many files may it have, and each round of memory, of so long names.
pub const CHECKPOINT_FILES_MAX: usize = 10_000;
const NAME_LEN_MAX: usize = 100;
/// Longest notes, and longest file of what was measured.
const NOTE_BYTES_MAX: u64 = 64 << 10;
const METER_BYTES_MAX: u64 = 16 << 20;

/// One of them. Its text is where it is in the vnode's directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FileName {
    Disk,
    Snapshot(LogIndex),
    SnapshotNote(LogIndex),
    Restored,
    Meter,
    /// A file of the image of the processes.
    Checkpoint(String),
    /// A file of the so manyeth round of memory.
    Ahead(u32, String),
}

impl FileName {
    /// Where it is below this directory.
    #[must_use]
    pub fn within(&self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    /// Whether only what changed of it is sent, and not all of it each time.
    pub(super) fn is_disk(&self) -> bool {
        matches!(self, Self::Disk | Self::Snapshot(_))
    }

    /// Bytes that it may have, if a disk may have `disk` and the image of the processes `checkpoint`.
    pub(super) fn bytes_max(&self, disk: u64, checkpoint: u64) -> u64 {
        match self {
            Self::Disk | Self::Snapshot(_) => disk,
            Self::SnapshotNote(_) | Self::Restored => NOTE_BYTES_MAX,
            Self::Meter => METER_BYTES_MAX,
            Self::Checkpoint(_) | Self::Ahead(..) => checkpoint,
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => formatter.write_str("disk.img"),
            Self::Snapshot(number) => write!(formatter, "snapshots/{number}.img"),
            Self::SnapshotNote(number) => write!(formatter, "snapshots/{number}.json"),
            Self::Restored => formatter.write_str("restored.json"),
            Self::Meter => formatter.write_str("meter"),
            Self::Checkpoint(name) => write!(formatter, "{CHECKPOINT}/{name}"),
            Self::Ahead(round, name) => write!(formatter, "{AHEAD}/{round}/{name}"),
        }
    }
}

impl FromStr for FileName {
    type Err = AgentFault;

    fn from_str(text: &str) -> Result<Self, AgentFault> {
        parse(text).ok_or_else(|| AgentFault::Unfit {
            what: "a file of a vnode".to_owned(),
            value: text
                .chars()
                .take(NAME_LEN_MAX)
                .collect::<String>()
                .escape_debug()
                .to_string(),
        })
    }
}

fn parse(text: &str) -> Option<FileName> {
    match text {
        "disk.img" => return Some(FileName::Disk),
        "restored.json" => return Some(FileName::Restored),
        "meter" => return Some(FileName::Meter),
        _ => {}
    }
    match text.split_once('/')? {
        ("snapshots", name) => {
            let (number, kind) = name.split_once('.')?;
            let number = LogIndex(strict_number(number)?);
            match kind {
                "img" => Some(FileName::Snapshot(number)),
                "json" => Some(FileName::SnapshotNote(number)),
                _ => None,
            }
        }
        (CHECKPOINT, name) if is_plain(name) => Some(FileName::Checkpoint(name.to_owned())),
        (AHEAD, rest) => {
            let (round, name) = rest.split_once('/')?;
            let round = u32::try_from(strict_number(round)?).ok()?;
            is_plain(name).then(|| FileName::Ahead(round, name.to_owned()))
        }
        _ => None,
    }
}

fn is_plain(name: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_LEN_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(usual)
}

/// A number that is written in the one way in which numbers are.
pub(crate) fn strict_number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text)
}

impl TryFrom<String> for FileName {
    type Error = AgentFault;

    fn try_from(text: String) -> Result<Self, AgentFault> {
        text.parse()
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_they_are_written_as() {
        let names = [
            FileName::Disk,
            FileName::Snapshot(LogIndex(41)),
            FileName::SnapshotNote(LogIndex(0)),
            FileName::Restored,
            FileName::Meter,
            FileName::Checkpoint("pages-1.img".to_owned()),
            FileName::Ahead(2, "pages-1.img".to_owned()),
        ];
        for name in names {
            assert_eq!(name.to_string().parse::<FileName>().ok(), Some(name));
        }
    }

    #[test]
    fn what_is_no_file_of_a_vnode_is_no_name() {
        let long = format!("checkpoint/{}", "x".repeat(NAME_LEN_MAX + 1));
        let texts = [
            "",
            ".",
            "..",
            "/",
            "disk.img/",
            "/disk.img",
            "./disk.img",
            "placed.json",
            "surroundings.json",
            "whole.json",
            "snapshots",
            "snapshots/",
            "snapshots/41",
            "snapshots/041.img",
            "snapshots/+41.img",
            "snapshots/-1.img",
            "snapshots/41.img.new",
            "snapshots/../disk.img",
            "snapshots/99999999999999999999.img",
            "checkpoint",
            "checkpoint/",
            "checkpoint/.",
            "checkpoint/..",
            "checkpoint/../meter",
            "checkpoint/a/b",
            "checkpoint/a\0",
            "checkpoint/a b",
            "checkpoint/ä",
            "checkpoint//a",
            "disk.img\n",
            long.as_str(),
        ];
        for text in texts {
            assert!(text.parse::<FileName>().is_err(), "{text:?}");
        }
    }
}
