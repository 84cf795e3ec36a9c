//! Why something about a drill is refused.

use serde::{Deserialize, Serialize};

use crate::id::DrillId;
use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DrillRefusal {
    #[error(
        "drill {drill} is under way, and there is one at a time: wait until it ends, or abort it with `docklet drill abort {drill}`"
    )]
    Running { drill: DrillId },
    #[error(
        "the cluster is not well enough for a drill: {cause}; see `docklet master list`, mend that, then ask again"
    )]
    Unwell { cause: String },
    #[error(
        "the drill would stop writes for about {estimate_ms} ms ({basis}) and you accept {accepted_ms} ms: accept more with --max-gap, or shorten a loss of quorum with --for"
    )]
    CostsMore {
        estimate_ms: u64,
        accepted_ms: u64,
        basis: String,
    },
    #[error("drill {drill} has ended: `docklet drill show {drill}` says how")]
    Ended { drill: DrillId },
    #[error("drill {drill} is not that far: {cause}")]
    NotNow { drill: DrillId, cause: String },
    #[error(
        "{vnodes} of the vnodes of {worker} would begin anew elsewhere, as their vclusters' rules say: without what is on their disks, after about {estimate_ms} ms, and you accept {accepted_ms} ms: accept more with --max-gap, or let them wait with `docklet vc rules VC --on-lost wait`"
    )]
    RestartsVnodes {
        worker: String,
        vnodes: u32,
        estimate_ms: u64,
        accepted_ms: u64,
    },
}

impl DrillRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Running { .. } => "drill_running",
            Self::Unwell { .. } => "drill_unwell",
            Self::CostsMore { .. } => "drill_costs_more",
            Self::Ended { .. } => "drill_ended",
            Self::NotNow { .. } => "drill_not_now",
            Self::RestartsVnodes { .. } => "drill_restarts_vnodes",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        RefusalClass::Conflict
    }
}
