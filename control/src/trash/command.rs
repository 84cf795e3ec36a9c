//! What can be asked of the trash, since version 3. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, LogIndex, NoticeId, UserId, VclusterId};
use crate::model::kept::KeptKind;
use crate::model::trash::TrashPolicy;
use crate::snapshot::command::SnapshotOf;

/// Asks for something of the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrashCommand {
    /// Puts a vcluster there: it stands still, and nobody sees it.
    Discard { vcluster: VclusterId },
    /// Takes it out again, as it was; under another name if one is given.
    Undelete {
        vcluster: VclusterId,
        name: Option<String>,
    },
    /// It goes for good now.
    Purge { vcluster: VclusterId },
    /// How long what was deleted is kept, and what is released.
    SetPolicy { policy: TrashPolicy },
    /// The leader's duty: what has been there for long enough goes for good.
    Empty,
    /// The leader's duty: owners of what stands still are told that it will go.
    Warn { vclusters: Vec<VclusterId> },
    /// The leader's duty: what stands still for too long goes into the trash.
    Release { vclusters: Vec<VclusterId> },
    /// Deletes something else than a vcluster, so that it can be had back.
    Keep { thing: Thing },
    /// Has it back, as it was; under another name if one is given.
    Recover {
        kind: KeptKind,
        number: LogIndex,
        name: Option<String>,
    },
    /// It is gone for good now.
    Drop { kind: KeptKind, number: LogIndex },
}

/// What is deleted, as the command says that deletes it for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    Image {
        image: String,
    },
    ImageVersion {
        image: String,
        version: Digest,
    },
    Snapshots {
        of: SnapshotOf,
        name: String,
    },
    Group {
        group: String,
    },
    Template {
        template: String,
    },
    /// Without `with_data` only if it owns nothing.
    Account {
        user: UserId,
        with_data: bool,
    },
    Notice {
        notice: NoticeId,
    },
}

impl Thing {
    #[must_use]
    pub fn kind(&self) -> KeptKind {
        match self {
            Self::Image { .. } => KeptKind::Image,
            Self::ImageVersion { .. } => KeptKind::ImageVersion,
            Self::Snapshots { .. } => KeptKind::Snapshot,
            Self::Group { .. } => KeptKind::Group,
            Self::Template { .. } => KeptKind::Template,
            Self::Account { .. } => KeptKind::Account,
            Self::Notice { .. } => KeptKind::Notice,
        }
    }
}

impl TrashCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Discard { .. } => "DiscardVcluster",
            Self::Undelete { .. } => "UndeleteVcluster",
            Self::Purge { .. } => "PurgeVcluster",
            Self::SetPolicy { .. } => "SetTrashPolicy",
            Self::Empty => "EmptyTrash",
            Self::Warn { .. } => "WarnOfRelease",
            Self::Release { .. } => "ReleaseVclusters",
            Self::Keep { thing } => match thing.kind() {
                KeptKind::Image => "DiscardImage",
                KeptKind::ImageVersion => "DiscardImageVersion",
                KeptKind::Snapshot => "DiscardSnapshots",
                KeptKind::Group => "DiscardGroup",
                KeptKind::Template => "DiscardTemplate",
                KeptKind::Account => "DiscardUser",
                KeptKind::Notice => "DiscardNotice",
            },
            Self::Recover { .. } => "RecoverDeleted",
            Self::Drop { .. } => "DropDeleted",
        }
    }
}
