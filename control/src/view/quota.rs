//! How many bytes of images people have and may have.

use serde::{Deserialize, Serialize};

use crate::image::quota;
use crate::model::image::ImageQuota;
use crate::model::{QuotaItem, User};
use crate::name::Name;
use crate::permit;
use crate::state::State;
use crate::view::part::{Part, Wanted};

/// What holds of everybody, and what each of those has whom who looks may see: part of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct QuotasView {
    /// Of whoever has none of their own, and is no admin.
    pub everybody: ImageQuota,
    pub people: Vec<QuotaView>,
}

/// One person's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct QuotaView {
    pub user: String,
    pub used_bytes: u64,
    /// None if they may have as many as they like.
    pub bytes: Option<u64>,
    /// Whence that comes: own, admin, usual, or which group.
    pub whence: String,
}

/// Part of all people for an admin, for anybody else themselves; by name.
#[must_use]
pub fn part(state: &State, asker: &User, wanted: &Wanted) -> Part<QuotaView> {
    let people = permit::people::owned_by(state, asker);
    let found = people.filter(|person| wanted.finds(person.name.as_str()));
    let rows = found.map(|person| (&person.name, person));
    let read = |text: &str| Name::parse("user", text).ok();
    wanted.of_ordered(rows, read, Name::to_string, |person| of(state, person))
}

/// One person's.
#[must_use]
pub fn of(state: &State, person: &User) -> QuotaView {
    let limit = crate::quota::limit(state, person, QuotaItem::ImageBytes);
    QuotaView {
        user: person.name.to_string(),
        used_bytes: quota::used(state, person.id),
        bytes: quota::of(state, person).bytes,
        whence: crate::quota::whence(state, limit),
    }
}
