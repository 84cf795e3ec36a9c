//! The evening out of workers.

use crate::model::RebalancePolicy;
use crate::state::State;

impl State {
    /// What the leader does by itself.
    #[must_use]
    pub fn rebalance_policy(&self) -> RebalancePolicy {
        let row = self.rebalance.as_ref();
        row.map(|row| row.policy).unwrap_or_default()
    }
}
