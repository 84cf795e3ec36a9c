//! What happened to quotas.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::model::{GroupQuota, GroupShare, Quota, User, UserQuota};

/// One fact. A quota that bounds nothing is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuotaEvent {
    /// Everybody has this, where nothing else is said.
    UsualSet { quota: Quota },
    /// One person has this.
    OfUserSet { set: UserQuota },
    /// A group gives its members this; they and its managers are told.
    OfGroupSet {
        set: GroupQuota,
        told: BTreeSet<UserId>,
    },
    /// A group gives one member no more than this; its managers are told.
    ShareSet {
        set: GroupShare,
        told: BTreeSet<UserId>,
    },
}

impl QuotaEvent {
    /// Whether `asker` may be told of it: who may have more or less of something by it, who looks after them, and admins.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        let theirs = match self {
            Self::UsualSet { .. } => true,
            Self::OfUserSet { set } => set.user == asker.id,
            Self::OfGroupSet { told, .. } => told.contains(&asker.id),
            Self::ShareSet { set, told } => set.user == asker.id || told.contains(&asker.id),
        };
        theirs || asker.is_admin()
    }
}
