//! Why the files of a master that does not run are left as they are.

use std::io;
use std::path::PathBuf;

use docklet_control::Refusal;
use docklet_control::id::LogIndex;
use docklet_link::LinkFault;

use crate::backup::BackupFault;
use crate::fault::RaftFault;

/// Nothing was made or changed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineFault {
    #[error(transparent)]
    Backup(#[from] BackupFault),
    #[error("{dir} is not empty: choose another directory, or remove what is in it")]
    Used { dir: PathBuf },
    #[error(
        "{dir} is there already: another restore is under way, or one was killed; if none is, remove it"
    )]
    Staged { dir: PathBuf },
    #[error("{dir} has no name: give the directory that is to be made")]
    Nameless { dir: PathBuf },
    #[error("the backup changed while it was read: copy it to where nobody writes to it")]
    Changed,
    #[error(
        "{dir} holds no master: give the directory that was given to `docklet master init` or `join`"
    )]
    NoMaster { dir: PathBuf },
    #[error(
        "master {master} of {dir} is not among the masters that its own state knows: it was removed; recover another one"
    )]
    NotAMember { dir: PathBuf, master: u64 },
    #[error("master \"{name}\" is the only voter, so its quorum is not lost: run it")]
    NotNeeded { name: String },
    #[error(
        "master \"{name}\" answers at {addr}, so it is not lost: stop it first if it must stay behind; otherwise start the others again, and nothing needs to be recovered"
    )]
    Answers { name: String, addr: String },
    #[error(
        "the log ends with entry {last}, not with {given}: accept that what came after {last} is lost with --accept-loss-after {last}"
    )]
    AcceptDiffers { given: LogIndex, last: LogIndex },
    #[error(
        "the log has no entry: this master never was part of a cluster, and knows nothing to go on from"
    )]
    Empty,
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("the store cannot be used")]
    Store(#[from] RaftFault),
    #[error("credentials cannot be used")]
    Link(#[from] LinkFault),
    #[error("{what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the restored cluster is not what the backup says: {0}")]
    Differs(String),
    #[error("it was ended before it was done")]
    EndedEarly,
}

impl OfflineFault {
    /// Names the act and the file that an I/O error is about.
    pub(super) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
