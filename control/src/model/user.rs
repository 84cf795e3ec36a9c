//! People with an account.

use serde::{Deserialize, Serialize};

use crate::id::{UnixMs, UserId};
use crate::name::Name;

/// What a person may do beyond using their own things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Uses their own vclusters.
    User,
    /// Also sees and changes everybody's, the masters and the workers.
    Admin,
    /// Also looks after masters and workers, and sees what lies where. Enters nobody's vnodes, and has no say in people,
    /// roles, quotas, settings and backups. Since version 3.
    Operator,
}

impl Role {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// How much it allows: each rank allows all that is below it.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::User => 0,
            Self::Operator => 1,
            Self::Admin => 2,
        }
    }
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Identity; also decides the range of host user ids of this person's containers.
    pub id: UserId,
    /// What the person types to log in.
    pub name: Name,
    /// What the person may do.
    pub role: Role,
    /// Argon2id in PHC string form; made at the door, never by the fold.
    pub password_hash: String,
    /// When the account was made.
    pub created_at: UnixMs,
}

impl User {
    /// Host user ids given to each person: a whole 16-bit range, so that any distribution's ids fit.
    pub const UID_RANGE: u32 = 65_536;
    /// First host user id given out; below it live the machine's own users.
    pub const UID_BASE: u32 = 1_000_000;
    /// With this many accounts the last range still ends below 2^32.
    pub const ID_MAX: u64 = 65_000;

    /// Whether they may do everything.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role.rank() >= Role::Admin.rank()
    }

    /// Whether they look after the machines.
    #[must_use]
    pub fn operates(&self) -> bool {
        self.role.rank() >= Role::Operator.rank()
    }

    /// First host user id of this person's containers; ranges of two people never overlap.
    #[must_use]
    pub fn uid_base(&self) -> u32 {
        let slot = u32::try_from(self.id.0).expect("decide refuses accounts beyond ID_MAX");
        Self::UID_BASE + slot * Self::UID_RANGE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::UnixMs;

    fn range(id: u64) -> std::ops::Range<u64> {
        let user = User {
            id: UserId(id),
            name: Name::parse("user", "somebody").expect("a name"),
            role: Role::User,
            password_hash: String::new(),
            created_at: UnixMs(0),
        };
        let base = u64::from(user.uid_base());
        base..base + u64::from(User::UID_RANGE)
    }

    /// Ids near both ends, and all between.
    fn ids() -> impl Strategy<Value = u64> {
        prop_oneof![0..4_u64, User::ID_MAX - 3..=User::ID_MAX, 0..=User::ID_MAX]
    }

    proptest! {
        #[test]
        fn ranges_of_two_people_never_overlap_and_end_below_the_last_id(one in ids(), other in ids()) {
            let (a, b) = (range(one), range(other));
            prop_assert!(a.start >= u64::from(User::UID_BASE));
            // The last number means "no id" to the kernel.
            prop_assert!(a.end < u64::from(u32::MAX));
            prop_assert_eq!(a.start < b.end && b.start < a.end, one == other);
        }
    }
}
