//! Why something about beans is refused.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BeanRefusal {
    #[error(
        "\"{whose}\" has {balance} beans, and without beans nothing new is made, started, restored or enlarged; nothing was changed. Ask for beans with `docklet beans request`, or ask a manager of your group or an admin; `docklet beans statement` says what they were spent on"
    )]
    Spent { whose: String, balance: String },
    #[error(
        "this site does not use beans, so nobody has, gets or needs any: an admin turns them on with `docklet beans set --on`"
    )]
    Off,
    #[error(
        "you have asked for {beans} beans already, in request {number}, and nobody has decided yet: wait for that"
    )]
    Pending { number: u64, beans: u64 },
    #[error(
        "request {number} was {verdict} by {by} already, and is decided once: have them ask anew, or give beans with `docklet beans grant`"
    )]
    Decided {
        number: u64,
        verdict: String,
        by: String,
    },
    #[error(
        "the purse of group \"{group}\" has {balance} beans, and {beans} are more: give no more than that, or ask an admin for beans for the group"
    )]
    NotEnough {
        group: String,
        balance: String,
        beans: u64,
    },
    #[error("{whose} has {balance} beans, and {beans} are more: take back no more than there are")]
    TooMany {
        whose: String,
        balance: String,
        beans: u64,
    },
    #[error("nobody gives beans to themselves: ask another manager, or an admin")]
    ForOneself,
    #[error("beans of a group go to its members: name a user who is in group \"{group}\"")]
    NotToGroups { group: String },
    #[error("nothing is to change: say what, as --on or --birth 150")]
    NothingToChange,
}

impl BeanRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Spent { .. } => "beans_spent",
            Self::Off => "beans_off",
            Self::Pending { .. } => "beans_pending",
            Self::Decided { .. } => "beans_decided",
            Self::NotEnough { .. } => "beans_not_enough",
            Self::TooMany { .. } => "beans_too_many",
            Self::ForOneself => "beans_for_oneself",
            Self::NotToGroups { .. } => "beans_not_to_groups",
            Self::NothingToChange => "beans_unchanged",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::Spent { .. }
            | Self::Off
            | Self::Pending { .. }
            | Self::Decided { .. }
            | Self::NotEnough { .. }
            | Self::TooMany { .. } => RefusalClass::Conflict,
            Self::ForOneself => RefusalClass::Forbidden,
            Self::NotToGroups { .. } | Self::NothingToChange => RefusalClass::Invalid,
        }
    }
}
