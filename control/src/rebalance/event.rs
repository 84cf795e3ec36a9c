//! What happened to the evening out of workers.

use serde::{Deserialize, Serialize};

use crate::model::RebalancePolicy;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RebalanceEvent {
    /// What the leader does by itself is this from now on.
    PolicySet { policy: RebalancePolicy },
    /// Workers are loaded more unevenly than the policy wants from now on.
    BecameUneven,
    /// They are not any more.
    BecameEven,
}
