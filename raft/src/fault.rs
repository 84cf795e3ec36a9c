//! Everything that can go wrong with the replicated store.

use docklet_control::Refusal;
use docklet_control::id::LogIndex;
use docklet_control::rows::RowFault;
use docklet_link::LinkFault;

/// A fault of the store, the disk or the other masters.
#[derive(Debug, thiserror::Error)]
pub enum RaftFault {
    #[error("redb failed")]
    Disk(#[from] redb::Error),
    #[error("stored bytes cannot be decoded")]
    Decode(#[from] postcard::Error),
    #[error("a stored row cannot be read")]
    Row(#[from] RowFault),
    #[error(
        "the state on disk has hash {found}, its rows give {computed}: the file is damaged, rebuild this master"
    )]
    HashDiffers { found: String, computed: String },
    #[error(
        "the log is damaged in {segment} at byte {offset} ({cause}): what was acknowledged may be missing, so this master must not go on with it; rebuild it under a new identity"
    )]
    LogDamaged {
        segment: String,
        offset: u64,
        cause: String,
    },
    #[error(
        "this master's state is damaged and no other master is known to take it from: restore a backup into a new cluster"
    )]
    NobodyToAsk,
    #[error("file or thread")]
    Io(#[from] std::io::Error),
    #[error("link to another master")]
    Link(#[from] LinkFault),
    #[error("Raft refused: {0}")]
    Raft(String),
    #[error("what became of the request is not known any more")]
    Forgotten(#[source] Refusal),
    #[error("no leader answered within {0} ms: fewer than half of the masters can be reached")]
    NoLeader(u64),
    #[error("this master has applied entry {applied}, not yet {wanted}")]
    Behind { wanted: LogIndex, applied: LogIndex },
    #[error("{0}")]
    Stopped(String),
    /// The cluster has agreed on what this program does not know.
    #[error(transparent)]
    TooOld(Refusal),
}

impl RaftFault {
    /// What went wrong on another thread, as it went wrong there.
    pub(crate) fn of_thread(error: std::io::Error) -> Self {
        error.downcast().unwrap_or_else(Self::Io)
    }

    /// Whether the rows on disk are to blame: then the state can be taken anew from the other masters.
    pub(crate) fn is_of_rows(&self) -> bool {
        if let Self::Io(error) = self {
            let inner = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<Self>());
            return inner.is_some_and(Self::is_of_rows);
        }
        matches!(
            self,
            Self::HashDiffers { .. } | Self::Row(_) | Self::Disk(redb::Error::Corrupted(_))
        )
    }
}

/// Turns each of redb's error types into one.
macro_rules! from_redb {
    ($($name:ident),*) => {
        $(impl From<redb::$name> for RaftFault {
            fn from(error: redb::$name) -> Self {
                Self::Disk(error.into())
            }
        })*
    };
}

from_redb!(
    DatabaseError,
    TransactionError,
    TableError,
    StorageError,
    CommitError,
    SetDurabilityError
);

/// Why a proposal has no effect that this master knows of.
#[derive(Debug, thiserror::Error)]
pub enum ProposeFault {
    /// The fold refused it. Nothing changed.
    #[error(transparent)]
    Refused(Refusal),
    /// Whether it took effect is not known. The same request id may be used to find out.
    #[error("no answer from the masters: {0}")]
    Unknown(#[source] RaftFault),
}

impl From<Refusal> for ProposeFault {
    fn from(refusal: Refusal) -> Self {
        // What is too old may have taken effect at its first time.
        if refusal == Refusal::RequestTooOld {
            Self::Unknown(RaftFault::Forgotten(refusal))
        } else {
            Self::Refused(refusal)
        }
    }
}
