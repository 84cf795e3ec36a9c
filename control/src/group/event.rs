//! What happened to groups of people, since version 3.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::model::{Group, User};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupEvent {
    /// It is so from now on. `left` were members or managers until now.
    Formed {
        group: Group,
        left: BTreeSet<UserId>,
    },
    /// It is gone, as it was.
    Dissolved { group: Group },
}

impl GroupEvent {
    /// Whether `asker` may be told of it: who is in the group or looks after it, was or did, or is an admin.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        let theirs = match self {
            Self::Formed { group, left } => group.concerns(asker.id) || left.contains(&asker.id),
            Self::Dissolved { group } => group.concerns(asker.id),
        };
        theirs || asker.is_admin()
    }
}
