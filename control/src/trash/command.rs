//! What can be asked of the trash, since version 3. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::id::VclusterId;
use crate::model::trash::TrashPolicy;

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
        }
    }
}
