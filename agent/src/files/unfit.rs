//! Why an act on files was not done, or not to its end.

use std::io;

use docklet_control::file_wire::{FileRefused, FileWhy};
use rustix::io::Errno;

/// Why.
#[derive(Debug)]
pub(super) enum Unfit {
    Refused(FileRefused),
    /// Nobody is there to hear it.
    Unheard(io::Error),
}

impl Unfit {
    pub(super) fn new(why: FileWhy, cause: impl Into<String>) -> Self {
        Self::Refused(FileRefused {
            why,
            cause: cause.into(),
            bytes: None,
        })
    }

    /// What is wrong is how many bytes there are.
    pub(super) fn sized(why: FileWhy, cause: impl Into<String>, bytes: u64) -> Self {
        Self::Refused(FileRefused {
            why,
            cause: cause.into(),
            bytes: Some(bytes),
        })
    }

    /// What the kernel refused, of `what`.
    pub(super) fn of(what: &str, errno: Errno) -> Self {
        let (why, cause) = match errno {
            Errno::NOENT => (
                FileWhy::NotFound,
                "there is no such file: list the directory and check the spelling",
            ),
            Errno::EXIST | Errno::NOTEMPTY => (
                FileWhy::Exists,
                "something of that name is there already: choose another one, or say that it is replaced",
            ),
            Errno::NOTDIR => (
                FileWhy::NotADirectory,
                "a part of it is no directory: list the directory above",
            ),
            Errno::ISDIR => (FileWhy::IsADirectory, "it is a directory: name a file"),
            // What a link of /proc or one without end comes to.
            Errno::LOOP => (
                FileWhy::NotAllowed,
                "it leads round in links, or by a link of the kernel's own: name the file itself",
            ),
            Errno::NOSPC | Errno::DQUOT => (
                FileWhy::NoRoom,
                "the disk that it is on is full, or the share of it that is yours: delete something, or make the vnode's disk larger",
            ),
            Errno::FBIG => (FileWhy::NoRoom, "it is larger than a file may be there"),
            Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::BUSY | Errno::TXTBSY => (
                FileWhy::NotAllowed,
                "the vnode's own root may not do that there, or it is in use: nothing was changed",
            ),
            Errno::XDEV => (
                FileWhy::Elsewhere,
                "it is on another file system: copy it in a terminal, or fetch it and bring it back",
            ),
            Errno::AGAIN => (
                FileWhy::Changed,
                "what is on the way to it changes all the time: stop what changes it and try again",
            ),
            Errno::NAMETOOLONG => (
                FileWhy::NotFound,
                "a name in it is too long for that file system",
            ),
            Errno::MLINK => (FileWhy::TooMany, "the directory cannot have more in it"),
            _ => (FileWhy::Fault, ""),
        };
        if cause.is_empty() {
            return Self::new(why, format!("{what}: {}", io::Error::from(errno)));
        }
        Self::new(why, format!("{what}: {cause}"))
    }
}

/// Names what the kernel refused.
pub(super) fn of(what: &str) -> impl Fn(Errno) -> Unfit + '_ {
    move |errno| Unfit::of(what, errno)
}

/// The same of what the standard library refused.
pub(super) fn failed(what: &str) -> impl Fn(io::Error) -> Unfit + '_ {
    move |error| match Errno::from_io_error(&error) {
        Some(errno) => Unfit::of(what, errno),
        None => Unfit::new(FileWhy::Fault, format!("{what}: {error}")),
    }
}
