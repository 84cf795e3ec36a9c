//! Why something about limits is refused.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LimitRefusal {
    #[error(
        "a bandwidth of {given} kbit/s is more than a vnode may {way} on this site, {most} kbit/s: ask for no more than that, or ask an admin to raise it with `docklet bandwidth ceiling`"
    )]
    AboveCeiling { way: String, given: u32, most: u32 },
    #[error(
        "nothing is to change: say what shall become another, of CPU, memory, processes, disk and bandwidth"
    )]
    NothingToChange,
}

impl LimitRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AboveCeiling { .. } => "above_bandwidth_ceiling",
            Self::NothingToChange => "nothing_to_change",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::AboveCeiling { .. } => RefusalClass::Conflict,
            Self::NothingToChange => RefusalClass::Invalid,
        }
    }
}
