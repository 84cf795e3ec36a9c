//! What can be asked of beans, since version 3. Texts are unchecked: decide checks them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, VclusterId, WorkerId};
use crate::model::BeanSettings;
use crate::report::Reading;

/// Asks for something of beans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BeanCommand {
    /// How the site uses them. What is none stays.
    Set(SettingsChange),
    /// What things cost. What is none stays.
    SetRates(RatesChange),
    /// Gives somebody beans: of nowhere, or of the purse of a group.
    Grant {
        to: Receiver,
        beans: u64,
        reason: String,
        from: Option<String>,
    },
    /// Asks for beans.
    Request { beans: u64, reason: String },
    /// Gives what was asked for: of nowhere, or of the purse of a group.
    Approve {
        request: LogIndex,
        from: Option<String>,
        reason: String,
    },
    /// Does not.
    Decline { request: LogIndex, reason: String },
    /// What vnodes used. Told twice, it is charged once.
    Meter {
        worker: WorkerId,
        readings: Vec<Reading>,
    },
    /// Everybody who has none gets a purse.
    OpenPurses,
    /// Stops what its owner has had no beans for, for long enough.
    Stop { vcluster: VclusterId },
    /// Asks for them no longer.
    Withdraw { request: LogIndex },
    /// Takes beans out of a purse.
    TakeBack {
        of: Receiver,
        beans: u64,
        reason: String,
    },
    /// How the site uses them and what things cost, all of it: for going back to what that was.
    SetAll { settings: BeanSettings },
}

/// Who is given something, or of whom something is taken, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Receiver {
    User(String),
    Group(String),
}

/// What is to become another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    pub on: Option<bool>,
    pub birth: Option<u64>,
    pub grace_ms: Option<u64>,
    pub thresholds: Option<Vec<u64>>,
    pub every_ms: Option<u64>,
}

/// What is to become another. A model of GPUs with none costs what is usual again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatesChange {
    pub cpu_s: Option<u64>,
    pub cpu_s_mib: Option<u64>,
    pub memory_mib_h: Option<u64>,
    pub disk_mib_h: Option<u64>,
    pub port_h: Option<u64>,
    pub network_bytes: Option<u64>,
    pub gpu_h: Option<u64>,
    #[serde(default)]
    pub gpus: BTreeMap<String, Option<u64>>,
    pub whole_hours: Option<bool>,
}

impl BeanCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set(_) => "SetBeans",
            Self::SetRates(_) => "SetBeanRates",
            Self::Grant { .. } => "GrantBeans",
            Self::Request { .. } => "RequestBeans",
            Self::Approve { .. } => "ApproveBeans",
            Self::Decline { .. } => "DeclineBeans",
            Self::Meter { .. } => "MeterVnodes",
            Self::OpenPurses => "OpenPurses",
            Self::Stop { .. } => "StopWithoutBeans",
            Self::Withdraw { .. } => "WithdrawBeanRequest",
            Self::TakeBack { .. } => "TakeBackBeans",
            Self::SetAll { .. } => "SetBeanSettings",
        }
    }

    /// Readings keep their own account of what was charged, and there are many of them.
    #[must_use]
    pub fn leaves_receipt(&self) -> bool {
        !matches!(self, Self::Meter { .. })
    }
}
