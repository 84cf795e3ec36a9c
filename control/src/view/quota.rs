//! How many bytes of images people have and may have.

use serde::{Deserialize, Serialize};

use crate::image::quota;
use crate::model::image::ImageQuota;
use crate::model::{QuotaItem, User};
use crate::state::State;

/// What holds of everybody, and what each of those has whom who looks may see.
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

/// All people for an admin, for anybody else themselves.
#[must_use]
pub fn show(state: &State, asker: &User) -> QuotasView {
    let people = state.users.values();
    let people = people.filter(|user| asker.is_admin() || user.id == asker.id);
    QuotasView {
        everybody: state.image_quota(),
        people: people.map(|user| of(state, user)).collect(),
    }
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
