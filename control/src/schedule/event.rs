//! What happened to what the scheduler goes by, since version 3.

use serde::{Deserialize, Serialize};

use crate::event::{VclusterRef, VnodeRef};
use crate::id::LogIndex;
use crate::model::{Placement, Rules, User, VnodeFence, WorkerTraits};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScheduleEvent {
    /// What is said of a worker is this from now on.
    WorkerDescribed { traits: WorkerTraits },
    /// What an owner wants of the workers of a vcluster is this from now on.
    RulesSet {
        about: VclusterRef,
        rules: Rules,
        /// The entry since which `rules.on_lost` holds.
        on_lost_since: LogIndex,
    },
    /// A vnode's worker ends it by itself when it is cut off.
    VnodeFenced { about: VnodeRef, fence: VnodeFence },
    /// A vnode begins anew elsewhere: what was on its disk stays behind on a worker that is lost.
    VnodeLost { about: VnodeRef, lost: Placement },
}

impl ScheduleEvent {
    /// Whether `asker` may be told of it: of workers operators only, of a vcluster its owner too.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        let own = match self {
            Self::WorkerDescribed { .. } => false,
            Self::RulesSet { about, .. } => about.owner == asker.id,
            Self::VnodeFenced { about, .. } | Self::VnodeLost { about, .. } => {
                about.owner == asker.id
            }
        };
        own || asker.operates()
    }
}
