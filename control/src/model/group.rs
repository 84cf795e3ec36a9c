//! Groups of people: whom something can be shared with at once.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use super::{Role, User};
use crate::id::{GroupId, UnixMs, UserId};
use crate::name::Name;

/// A group. What a group may have, and who looks after it beside admins, has tables of its own one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    /// Unique among groups.
    pub name: Name,
    /// One line for people.
    pub description: String,
    pub members: OrdSet<UserId>,
    pub created_at: UnixMs,
}

impl Group {
    /// Groups of a cluster.
    pub const GROUPS_MAX: usize = 1_000;
    /// Members of one group.
    pub const MEMBERS_MAX: usize = 2_000;

    /// Whether `person` may know of it: its members know each other, since they share things.
    #[must_use]
    pub fn is_shown_to(&self, person: &User) -> bool {
        person.role == Role::Admin || self.members.contains(&person.id)
    }
}
