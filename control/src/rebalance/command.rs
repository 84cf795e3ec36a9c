//! What can be asked about evening out workers.

use serde::{Deserialize, Serialize};

use crate::model::RebalancePolicy;

/// How far it is to go. What is not said is as the policy says, also while that is off.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Extent {
    /// How far shares may be apart afterwards, in thousandths.
    pub threshold_permille: Option<u32>,
    /// Moves, at most.
    pub moves_max: Option<u32>,
}

/// Asks for something about evening out workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RebalanceCommand {
    /// What the leader does by itself is this from now on.
    SetPolicy { policy: RebalancePolicy },
    /// Begins the moves that would even out workers now.
    Apply { extent: Extent },
    /// The leader's duty: whether workers are loaded more unevenly than the policy wants is another matter than before.
    Note,
}

impl RebalanceCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetPolicy { .. } => "SetRebalancePolicy",
            Self::Apply { .. } => "Rebalance",
            Self::Note => "NoteUnevenness",
        }
    }
}
