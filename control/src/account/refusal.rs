//! Why something about accounts is refused.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AccountRefusal {
    #[error(
        "this cluster takes no requests for accounts: ask an admin, who makes one with `docklet user create` or opens it with `docklet user registration open`"
    )]
    RegistrationClosed,
    #[error(
        "the name \"{name}\" is taken, kept for the cluster, or looks like one that is: choose another"
    )]
    NameNotFree { name: String },
    #[error(
        "your request for an account waits: an admin has not decided yet. There is nothing to do until then"
    )]
    ApplicationWaits,
    #[error(
        "your request for an account was declined: {reason}. You can ask anew with what is missing"
    )]
    ApplicationDeclined { reason: String },
    #[error("this account is locked: {reason}. What it owns is as it was; ask an admin")]
    Locked { reason: String },
    #[error(
        "this account is being deleted: nobody can use it any more; ask an admin for a new one"
    )]
    Leaving,
    #[error(
        "you cannot {action} your own account: nothing was changed; another admin can, so that one is left"
    )]
    OwnAccount { action: String },
    #[error(
        "account \"{name}\" has {vclusters} vclusters and {images} images: nothing was changed. Delete those first, or repeat it with --with-data, which deletes them, too"
    )]
    HasData {
        name: String,
        vclusters: u64,
        images: u64,
    },
    #[error(
        "this account has a second factor: give the code that your device shows, or a recovery code"
    )]
    CodeNeeded,
    #[error(
        "this code is wrong, over, or was used already: wait for the next one, and check the clock of your device"
    )]
    CodeWrong,
    #[error("there is no second factor to {action}: begin with `docklet user factor begin`")]
    FactorMissing { action: String },
    #[error(
        "this account has a second factor already: remove it first with `docklet user factor remove`"
    )]
    FactorPresent,
    #[error(
        "this token may not {action}: it lacks the scope \"{needed}\", and nothing was changed; make another one with `docklet access-token create --scope {needed}`"
    )]
    ScopeMissing { action: String, needed: String },
    #[error("no token may {action}, whatever its scopes: log in with a password for that")]
    LoginNeeded { action: String },
    #[error("the scope \"{scope}\" is for admins: leave it out")]
    ScopeAboveRole { scope: String },
    #[error(
        "the account \"{name}\" was deleted: neither it nor anything of it can be used; for a while an admin can have it back with `docklet trash restore {name} --kind account`"
    )]
    Deleted { name: String },
}

impl AccountRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::RegistrationClosed => "registration_closed",
            Self::NameNotFree { .. } => "name_not_free",
            Self::ApplicationWaits => "application_waits",
            Self::ApplicationDeclined { .. } => "application_declined",
            Self::Locked { .. } => "account_locked",
            Self::Leaving => "account_leaving",
            Self::OwnAccount { .. } => "own_account",
            Self::HasData { .. } => "account_has_data",
            Self::CodeNeeded => "code_needed",
            Self::CodeWrong => "code_wrong",
            Self::FactorMissing { .. } => "factor_missing",
            Self::FactorPresent => "factor_present",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::LoginNeeded { .. } => "login_needed",
            Self::ScopeAboveRole { .. } => "scope_above_role",
            Self::Deleted { .. } => "account_deleted",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::CodeNeeded | Self::CodeWrong => RefusalClass::Unauthenticated,
            Self::RegistrationClosed
            | Self::ApplicationWaits
            | Self::ApplicationDeclined { .. }
            | Self::Locked { .. }
            | Self::Leaving
            | Self::ScopeMissing { .. }
            | Self::LoginNeeded { .. }
            | Self::ScopeAboveRole { .. }
            | Self::Deleted { .. } => RefusalClass::Forbidden,
            Self::NameNotFree { .. }
            | Self::OwnAccount { .. }
            | Self::HasData { .. }
            | Self::FactorMissing { .. }
            | Self::FactorPresent => RefusalClass::Conflict,
        }
    }
}
