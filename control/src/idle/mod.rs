//! Stopping what does nothing, after the idle time of its owner's quota. Workers say which vnodes do nothing and for how long;
//! the leader stops a vcluster when all of its vnodes have for long enough. Since version 3 (ADR 0035).

pub mod command;
pub mod due;
pub mod event;

use crate::id::UserId;
use crate::model::{Bound, ClusterVersion, QuotaItem};
use crate::quota;
use crate::state::State;

/// The version from which on workers are asked.
pub const SINCE: ClusterVersion = ClusterVersion(3);

/// After how many milliseconds without doing anything what somebody has is stopped; none if never.
#[must_use]
pub fn limit_ms(state: &State, owner: UserId) -> Option<u64> {
    let owner = state.users.get(&owner)?;
    match quota::limit(state, owner, QuotaItem::IdleMinutes).bound {
        Bound::AtMost(minutes) => Some(minutes.saturating_mul(60_000)),
        Bound::Unlimited => None,
    }
}
