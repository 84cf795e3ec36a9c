//! Why something about evening out workers is refused.

use serde::{Deserialize, Serialize};

use crate::rebalance::percent::percent;
use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RebalanceRefusal {
    #[error(
        "there is nothing to even out: of the most loaded worker {} more is promised than of the least loaded one, and {} may be; nothing was changed. Ask for less with --threshold to move something all the same", percent((*spread_permille).into()), percent((*threshold_permille).into())
    )]
    Even {
        spread_permille: u32,
        threshold_permille: u32,
    },
    #[error(
        "no move would make it more even: of the most loaded worker {} more is promised than of the least loaded one, and what it has fits nowhere better, lies where its rules want it, has GPUs, or was moved within the last hour; nothing was changed. `docklet explain VC/host-0` says where a vnode could be, and `docklet vc move` moves it", percent((*spread_permille).into())
    )]
    NothingHelps { spread_permille: u32 },
    #[error(
        "{able} of {all} workers can take part, and evening out needs two: workers that are up, take new vnodes and are not being drained; nothing was changed. `docklet worker list` says how they are"
    )]
    TooFewWorkers { able: u32, all: u32 },
}

impl RebalanceRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Even { .. } => "workers_even",
            Self::NothingHelps { .. } => "rebalance_nothing_helps",
            Self::TooFewWorkers { .. } => "rebalance_too_few_workers",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        RefusalClass::Conflict
    }
}
