//! Groups of people: whom something can be shared with at once.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use super::User;
use crate::id::{GroupId, UnixMs, UserId};
use crate::name::Name;

/// A group. What it lets its members have is in [`super::quota`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    /// Unique among groups.
    pub name: Name,
    /// One line for people.
    pub description: String,
    pub members: OrdSet<UserId>,
    pub created_at: UnixMs,
    /// Who says who else is in it, and how much of what it gives each has. They need not be in it.
    pub managers: OrdSet<UserId>,
}

impl Group {
    /// Groups of a cluster.
    pub const GROUPS_MAX: usize = 1_000;
    /// Members of one group.
    pub const MEMBERS_MAX: usize = 2_000;
    /// Managers of one group.
    pub const MANAGERS_MAX: usize = 100;

    /// Whether `person` may know of it: its members know each other, since they share things.
    #[must_use]
    pub fn is_shown_to(&self, person: &User) -> bool {
        person.is_admin() || self.concerns(person.id)
    }

    /// Whether `person` looks after it.
    #[must_use]
    pub fn is_managed_by(&self, person: &User) -> bool {
        person.is_admin() || self.managers.contains(&person.id)
    }

    /// Whether somebody is in it or looks after it.
    #[must_use]
    pub fn concerns(&self, user: UserId) -> bool {
        self.members.contains(&user) || self.managers.contains(&user)
    }
}
