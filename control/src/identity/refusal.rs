//! Why a login by others' word is refused.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum IdentityRefusal {
    #[error(
        "this cluster knows no OpenID provider: log in with name and password; an admin sets one with `docklet oidc set`"
    )]
    NoProvider,
    #[error(
        "this comes from another OpenID provider than the one that this cluster trusts: nothing was changed; begin the login anew"
    )]
    IssuerWrong,
    #[error(
        "nobody logs in by PAM here: use a password of this cluster; an admin turns it on with `docklet pam set`"
    )]
    PamOff,
    #[error(
        "{label} knows you, and this cluster has no account for you: none was made; ask an admin for one"
    )]
    NewcomersRefused { label: String },
    #[error(
        "{label} does not say that your mail address is verified: no account was made or used; verify it there, then log in anew"
    )]
    MailUnverified { label: String },
    #[error(
        "mail addresses of \"{domain}\" are not admitted here: no account was made or used; log in with an address of your organisation, or ask an admin"
    )]
    DomainRefused { domain: String },
    #[error("this login was begun too long ago: nothing was changed; begin it anew")]
    LoginTooOld,
    #[error("this login has ended already: nothing was changed; begin another one")]
    LoginSpent,
    #[error(
        "you have logged in too often within ten minutes: nothing was changed; wait a few minutes"
    )]
    LoginsTooMany,
    #[error(
        "this person of the provider is connected to another account here: nothing was changed; disconnect it there first"
    )]
    IdentityTaken,
    #[error(
        "nobody could log in to this account any more: nothing was changed; an admin sets a password with `docklet user passwd` first"
    )]
    LastWay,
    #[error(
        "this cluster does not keep the password of this account ({way}): change it where it is kept, or ask an admin for one of this cluster"
    )]
    PasswordElsewhere { way: String },
    #[error(
        "the group \"{group}\", into which newcomers come, is gone: no account was made; ask an admin"
    )]
    GroupGone { group: String },
    #[error(
        "this account is connected to no person of an OpenID provider: nothing was changed; connect it first"
    )]
    NotConnected,
}

impl IdentityRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoProvider => "no_oidc_provider",
            Self::IssuerWrong => "oidc_issuer_wrong",
            Self::PamOff => "pam_off",
            Self::NewcomersRefused { .. } => "newcomers_refused",
            Self::MailUnverified { .. } => "mail_unverified",
            Self::DomainRefused { .. } => "mail_domain_refused",
            Self::LoginTooOld => "login_too_old",
            Self::LoginSpent => "login_spent",
            Self::LoginsTooMany => "logins_too_many",
            Self::IdentityTaken => "identity_taken",
            Self::LastWay => "last_way",
            Self::PasswordElsewhere { .. } => "password_elsewhere",
            Self::GroupGone { .. } => "newcomers_group_gone",
            Self::NotConnected => "not_connected",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::IssuerWrong | Self::LoginTooOld | Self::LoginSpent => {
                RefusalClass::Unauthenticated
            }
            Self::NewcomersRefused { .. }
            | Self::MailUnverified { .. }
            | Self::DomainRefused { .. }
            | Self::LoginsTooMany => RefusalClass::Forbidden,
            Self::NoProvider
            | Self::PamOff
            | Self::IdentityTaken
            | Self::LastWay
            | Self::PasswordElsewhere { .. }
            | Self::GroupGone { .. }
            | Self::NotConnected => RefusalClass::Conflict,
        }
    }
}
