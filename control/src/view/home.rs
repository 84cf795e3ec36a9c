//! What people's homes may hold.

use serde::{Deserialize, Serialize};

use crate::amount::DiskMib;
use crate::id::UserId;
use crate::model::{QuotaItem, User};
use crate::permit;
use crate::quota;
use crate::state::State;
use crate::view::part::{Part, Wanted};

/// One person's home as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HomeView {
    pub user: String,
    /// What it may hold.
    pub disk_mib: DiskMib,
    /// Whence that comes: own, usual, or which group.
    pub whence: String,
}

/// Homes that `asker` may see, by the order in which people came.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<HomeView> {
    part(state, asker, &Wanted::all()).rows
}

/// Part of that list.
#[must_use]
pub fn part(state: &State, asker: &User, wanted: &Wanted) -> Part<HomeView> {
    let users = state.users.values();
    let seen =
        users.filter(|user| wanted.finds(user.name.as_str()) && permit::owns(asker, user.id));
    let rows = seen.map(|user| (&user.id, user));
    let read = |text: &str| text.parse().ok().map(UserId);
    wanted.of_ordered(rows, read, UserId::to_string, |user| HomeView {
        user: user.name.to_string(),
        disk_mib: state.home_of(user.id),
        whence: quota::whence(state, quota::limit(state, user, QuotaItem::HomeMib)),
    })
}
