//! What can be asked of quotas. Names are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::model::QuotaChange;

/// Says how much somebody may have. What is not named stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum QuotaCommand {
    /// Everybody for whom nothing else is said.
    SetUsual { change: QuotaChange },
    /// One person.
    SetOfUser { user: String, change: QuotaChange },
    /// Each member of a group.
    SetOfGroup { group: String, change: QuotaChange },
    /// How much of what a group gives one member has.
    SetShare {
        group: String,
        user: String,
        change: QuotaChange,
    },
}

impl QuotaCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetUsual { .. } => "SetUsualQuota",
            Self::SetOfUser { .. } => "SetQuotaOfUser",
            Self::SetOfGroup { .. } => "SetQuotaOfGroup",
            Self::SetShare { .. } => "SetGroupShare",
        }
    }
}
