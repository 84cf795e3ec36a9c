//! What people's homes may hold.

use serde::{Deserialize, Serialize};

use crate::amount::DiskMib;
use crate::model::{QuotaItem, User};
use crate::permit;
use crate::quota;
use crate::state::State;

/// One person's home as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    let users = state.users.values();
    let seen = users.filter(|user| permit::owns(asker, user.id));
    seen.map(|user| HomeView {
        user: user.name.to_string(),
        disk_mib: state.home_of(user.id),
        whence: quota::whence(state, quota::limit(state, user, QuotaItem::HomeMib)),
    })
    .collect()
}
