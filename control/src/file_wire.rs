//! What masters ask workers about files of vnodes, and what those say. A worker's word is what its vnode let it see: whoever
//! reads it takes no name and no number in it for more than a stranger's.

use serde::{Deserialize, Serialize};

use crate::file_path::FilePath;

/// Bytes of one message of content, at most.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;
/// Names that one answer lists, at most.
pub const ENTRIES_MAX: usize = 1_000;

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAsk {
    /// What is there, and what is in it if that is a directory, after this name. The vnode's home without a path.
    Look {
        path: Option<FilePath>,
        after: Option<String>,
    },
    /// The content of a file, or a part of it, which counts only for the file as it was.
    Read {
        path: FilePath,
        range: Option<ByteRange>,
        of: Option<String>,
    },
    /// All files below a directory, as a zip.
    Zip {
        path: FilePath,
    },
    MakeDirectory {
        path: FilePath,
        may_exist: bool,
    },
    Move {
        from: FilePath,
        to: FilePath,
        replace: bool,
    },
    /// With all that is in it, if it is a directory that is not empty.
    Delete {
        path: FilePath,
        all: bool,
    },
    /// A whole file of so many bytes, which follow.
    Put {
        path: FilePath,
        bytes: u64,
        guard: Guard,
    },
    /// Begins to bring a file in parts.
    Begin {
        path: FilePath,
        upload: UploadId,
    },
    /// How much of it is there.
    Resume {
        path: FilePath,
        upload: UploadId,
    },
    /// The next part, which follows and may break off anywhere.
    Append {
        path: FilePath,
        upload: UploadId,
        offset: u64,
    },
    /// It is whole, and gets its name.
    Finish {
        path: FilePath,
        upload: UploadId,
        bytes: u64,
        guard: Guard,
    },
    /// It is not wanted after all.
    Abandon {
        path: FilePath,
        upload: UploadId,
    },
    /// What is left in these directories of uploads with which nobody went on for so many seconds goes. Workers ask it of
    /// themselves.
    Sweep {
        directories: Vec<FilePath>,
        older_s: u64,
    },
}

impl FileAsk {
    /// Whether bytes follow it.
    #[must_use]
    pub fn brings(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Append { .. })
    }
}

/// Which bytes: from the first on to the last one, or that many at the end if there is no first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    pub first: Option<u64>,
    pub last: Option<u64>,
}

impl ByteRange {
    /// Where it begins and how long it is, of so many bytes; none if none of these are meant.
    #[must_use]
    pub fn of(self, bytes: u64) -> Option<(u64, u64)> {
        let (first, end) = match (self.first, self.last) {
            (Some(first), last) => {
                let end = last.map_or(bytes, |last| last.saturating_add(1).min(bytes));
                (first, end)
            }
            (None, Some(count)) => (bytes.saturating_sub(count), bytes),
            (None, None) => return None,
        };
        (first < end).then(|| (first, end - first))
    }
}

/// What must be so for a file to take its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// There is nothing of that name.
    New,
    /// Whatever file is there is replaced.
    Replace,
    /// It is there as it was, by its mark.
    Unchanged(String),
}

/// By which the parts of a file that is brought know each other: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UploadId(String);

impl UploadId {
    /// One of these digits.
    #[must_use]
    pub fn of(random: u128) -> Self {
        Self(format!("{random:032x}"))
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = text.len() == 32 && text.bytes().all(digit);
        fits.then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for UploadId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no upload's number"))
    }
}

crate::schema::text!(UploadId, "^[0-9a-f]{32}$");

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    Directory,
    File,
    Link,
    /// A device, a pipe or a socket: nothing that is read or written here.
    Other,
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FileFacts {
    pub name: String,
    /// Whether it can be named here: what is no text cannot.
    pub named: bool,
    pub kind: FileKind,
    pub bytes: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub changed_ms: u64,
    /// Another one as soon as content or name changes.
    pub mark: String,
    /// What a link says, and what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<FileKind>,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSaid {
    Found(FileListing),
    /// These bytes follow.
    Content {
        file: FileFacts,
        first: u64,
        bytes: u64,
    },
    /// The bytes of a zip follow.
    Zipped,
    /// So much of an upload is there.
    Held {
        bytes: u64,
    },
    Written {
        file: FileFacts,
    },
    /// It is still at it.
    Progress {
        count: u64,
    },
    /// So many files were made, moved or deleted.
    Done {
        count: u64,
    },
    /// All bytes that were to follow did.
    End,
    Refused(FileRefused),
    /// In these directories there are uploads still.
    Swept {
        left: Vec<FilePath>,
    },
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FileListing {
    pub path: FilePath,
    pub file: FileFacts,
    /// In the order of their names; of a directory only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<FileFacts>>,
    /// How many there are in all.
    pub count: u64,
    /// There are others after the last one.
    pub more: bool,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRefused {
    pub why: FileWhy,
    pub cause: String,
    /// How many bytes there are, where that is what was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// The same for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileWhy {
    NotFound,
    Exists,
    NotADirectory,
    IsADirectory,
    /// No file that can be read or written here.
    NotAFile,
    /// It is not as it was.
    Changed,
    /// The upload is not so long.
    Offset,
    /// No byte of it was meant.
    Range,
    NoRoom,
    NotAllowed,
    /// On another file system.
    Elsewhere,
    TooMany,
    /// The vnode does not run here.
    Absent,
    Fault,
}

impl FileWhy {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NotFound,
        Self::Exists,
        Self::NotADirectory,
        Self::IsADirectory,
        Self::NotAFile,
        Self::Changed,
        Self::Offset,
        Self::Range,
        Self::NoRoom,
        Self::NotAllowed,
        Self::Elsewhere,
        Self::TooMany,
        Self::Absent,
        Self::Fault,
    ];

    /// Stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotFound => "file_not_found",
            Self::Exists => "file_exists",
            Self::NotADirectory => "not_a_directory",
            Self::IsADirectory => "is_a_directory",
            Self::NotAFile => "not_a_file",
            Self::Changed => "file_changed",
            Self::Offset => "upload_offset",
            Self::Range => "range",
            Self::NoRoom => "no_room",
            Self::NotAllowed => "file_not_allowed",
            Self::Elsewhere => "other_file_system",
            Self::TooMany => "too_many_files",
            Self::Absent => "vnode_not_running",
            Self::Fault => "file_fault",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_what_there_is() {
        let of = |first, last, bytes| ByteRange { first, last }.of(bytes);
        assert_eq!(of(Some(0), Some(0), 10), Some((0, 1)));
        assert_eq!(of(Some(3), None, 10), Some((3, 7)));
        assert_eq!(of(Some(3), Some(99), 10), Some((3, 7)));
        assert_eq!(of(Some(3), Some(u64::MAX), 10), Some((3, 7)));
        assert_eq!(of(None, Some(4), 10), Some((6, 4)));
        assert_eq!(of(None, Some(40), 10), Some((0, 10)));
        for none in [
            of(Some(10), None, 10),
            of(Some(4), Some(3), 10),
            of(None, Some(0), 10),
            of(None, None, 10),
            of(Some(0), Some(0), 0),
        ] {
            assert_eq!(none, None);
        }
    }

    #[test]
    fn an_upload_is_known_by_digits_only() {
        let id = UploadId::of(7);
        assert_eq!(UploadId::parse(id.as_str()), Some(id));
        for bad in [
            "",
            "7",
            "../../../../../../../../etc/abc",
            "ABCDEF00000000000000000000000000",
        ] {
            assert_eq!(UploadId::parse(bad), None, "{bad}");
        }
    }
}
