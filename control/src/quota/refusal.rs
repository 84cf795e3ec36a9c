//! Why something about quotas is refused.

use serde::{Deserialize, Serialize};

use crate::model::QuotaItem;
use crate::refusal::RefusalClass;

/// One item of which there would be too much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Over {
    pub item: QuotaItem,
    pub used: u64,
    pub wanted: u64,
    pub limit: u64,
    /// Whence the limit comes.
    pub whence: String,
}

impl Over {
    /// As a part of a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let words = |amount| self.item.words(amount);
        format!(
            "{}: {} used, {} more wanted, {} allowed ({})",
            self.item.word(),
            words(self.used),
            words(self.wanted),
            words(self.limit),
            self.whence,
        )
    }
}

fn listed(over: &[Over]) -> String {
    let parts: Vec<String> = over.iter().map(Over::words).collect();
    parts.join("; ")
}

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum QuotaRefusal {
    #[error(
        "the quota of \"{whose}\" is not enough. {}. Nothing was changed: delete or shrink something, which counts until its worker says that it is gone, or ask a manager of your group or an admin for more; `docklet quota show` lists what is used",
        listed(over)
    )]
    Exceeded { whose: String, over: Vec<Over> },
    #[error(
        "group \"{group}\" says nothing of {}, so no member has a part of that: have an admin set it for the group first, with `docklet quota set --group {group}`", item.word()
    )]
    GroupSaysNothing { group: String, item: QuotaItem },
    #[error(
        "group \"{group}\" gives its members {} of {} at most, and {} is more: give no more than that, or ask an admin to raise it for the group", item.words(*most), item.word(), given.map_or_else(|| "no limit".to_owned(), |given| item.words(given))
    )]
    AboveGroup {
        group: String,
        item: QuotaItem,
        given: Option<u64>,
        most: u64,
    },
    #[error(
        "a manager of group \"{group}\" does not do that for themselves: ask another manager of it, or an admin"
    )]
    ForOneself { group: String },
    #[error(
        "in group \"{group}\" user \"{user}\" would have less of {} than now, and nobody is put at a disadvantage that way: have an admin add them, or raise it for the group", item.word()
    )]
    WouldHaveLess {
        group: String,
        user: String,
        item: QuotaItem,
    },
    #[error(
        "a bandwidth of {given} kbit/s is more than each vnode of \"{whose}\" may have, {most} kbit/s ({whence}): ask for no more than that, or ask a manager of your group or an admin to raise it"
    )]
    BandwidthAbove {
        whose: String,
        given: u32,
        most: u64,
        whence: String,
    },
    #[error("a home has a size: give one, as 20GiB, and not \"none\"")]
    HomeWithoutSize,
    #[error("nothing is to change: say of which items, as --vnodes 8 --memory 2GiB")]
    NothingToChange,
}

impl QuotaRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exceeded { .. } => "quota_exceeded",
            Self::GroupSaysNothing { .. } => "quota_not_of_group",
            Self::AboveGroup { .. } => "quota_above_group",
            Self::ForOneself { .. } => "not_for_oneself",
            Self::WouldHaveLess { .. } => "quota_would_fall",
            Self::BandwidthAbove { .. } => "quota_bandwidth",
            Self::HomeWithoutSize => "home_without_size",
            Self::NothingToChange => "quota_unchanged",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::Exceeded { .. } | Self::GroupSaysNothing { .. } | Self::AboveGroup { .. } => {
                RefusalClass::Conflict
            }
            Self::WouldHaveLess { .. } | Self::BandwidthAbove { .. } => RefusalClass::Conflict,
            Self::ForOneself { .. } => RefusalClass::Forbidden,
            Self::HomeWithoutSize | Self::NothingToChange => RefusalClass::Invalid,
        }
    }
}
