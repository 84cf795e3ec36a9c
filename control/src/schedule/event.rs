//! What happened to what the scheduler goes by, since version 3.

use serde::{Deserialize, Serialize};

use crate::event::VclusterRef;
use crate::model::{Role, Rules, User, WorkerTraits};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScheduleEvent {
    /// What is said of a worker is this from now on.
    WorkerDescribed { traits: WorkerTraits },
    /// What an owner wants of the workers of a vcluster is this from now on.
    RulesSet { about: VclusterRef, rules: Rules },
}

impl ScheduleEvent {
    /// Whether `asker` may be told of it: of workers admins only, of a vcluster its owner too.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        let own = match self {
            Self::WorkerDescribed { .. } => false,
            Self::RulesSet { about, .. } => about.owner == asker.id,
        };
        own || asker.role == Role::Admin
    }
}
