//! Why a provider's word is not taken. Nothing of what it sent is repeated to the browser.

use axum::http::StatusCode;

use crate::problem::Problem;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error(
        "this browser has not begun this login, or has begun another one since: nothing was changed; begin it anew"
    )]
    NotBegun,
    #[error(
        "the answer to this login comes from another provider than it was begun at: nothing was changed; begin it anew, and tell an admin if it happens again"
    )]
    IssuerMixedUp,
    #[error(
        "the provider let you go without logging you in: begin anew, or log in with a password"
    )]
    Denied,
    #[error(
        "the provider could not log you in: try again in a moment, and tell an admin if it goes on"
    )]
    ProviderFailed,
    #[error(
        "the provider cannot be reached: nothing was changed; try again in a moment, or log in with a password"
    )]
    Unreachable,
    #[error(
        "the provider does not answer in time: nothing was changed; try again in a moment, or log in with a password"
    )]
    Slow,
    #[error("the provider's answer is too long: nothing was changed; tell an admin")]
    TooLong,
    #[error(
        "the provider answers with a way to somewhere else: nothing was changed; tell an admin"
    )]
    Redirects,
    #[error("the provider's answer is not what OpenID has: nothing was changed; tell an admin")]
    Malformed,
    #[error(
        "the provider calls itself something else than it is called here: nothing was changed; tell an admin, who sets it with `docklet oidc set`"
    )]
    IssuerUnlike,
    #[error("the provider did not take the code of this login: nothing was changed; begin it anew")]
    CodeRefused,
    #[error(
        "what the provider signed is signed in a way that is not taken: nothing was changed; tell an admin"
    )]
    Algorithm,
    #[error(
        "what the provider signed is signed with a key that it does not have: nothing was changed; tell an admin"
    )]
    KeyUnknown,
    #[error("what the provider signed has a wrong signature: nothing was changed; tell an admin")]
    Signature,
    #[error("what the provider signed is not its own word: nothing was changed; tell an admin")]
    TokenIssuer,
    #[error(
        "what the provider signed is for somebody else than this cluster: nothing was changed; tell an admin"
    )]
    Audience,
    #[error(
        "what the provider signed is over, or not good yet: nothing was changed; begin anew, and tell an admin if clocks differ"
    )]
    Expired,
    #[error("what the provider signed is for another login: nothing was changed; begin it anew")]
    Nonce,
    #[error(
        "what the provider says of your mail address is not in the form that OpenID has: nothing was changed; tell an admin"
    )]
    MailClaim,
    #[error("the provider speaks of two people at once: nothing was changed; tell an admin")]
    OtherSubject,
    #[error(
        "many logins by the provider are on their way at this master: try again in a few seconds"
    )]
    Busy,
}

impl Fault {
    /// What the provider says instead of a code.
    pub(super) fn denied(error: &str) -> Self {
        match error {
            "access_denied" | "login_required" | "interaction_required" | "consent_required" => {
                Self::Denied
            }
            _ => Self::ProviderFailed,
        }
    }

    /// Stable code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotBegun => "oidc_not_begun",
            Self::IssuerMixedUp => "oidc_issuer_mixed_up",
            Self::Denied => "oidc_denied",
            Self::ProviderFailed => "oidc_provider_failed",
            Self::Unreachable => "oidc_unreachable",
            Self::Slow => "oidc_slow",
            Self::TooLong => "oidc_too_long",
            Self::Redirects => "oidc_redirects",
            Self::Malformed => "oidc_malformed",
            Self::IssuerUnlike => "oidc_issuer_unlike",
            Self::CodeRefused => "oidc_code_refused",
            Self::Algorithm => "oidc_algorithm",
            Self::KeyUnknown => "oidc_key_unknown",
            Self::Signature => "oidc_signature",
            Self::TokenIssuer => "oidc_token_issuer",
            Self::Audience => "oidc_audience",
            Self::Expired => "oidc_expired",
            Self::Nonce => "oidc_nonce",
            Self::MailClaim => "oidc_mail_claim",
            Self::OtherSubject => "oidc_other_subject",
            Self::Busy => "oidc_busy",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotBegun | Self::IssuerMixedUp | Self::Denied | Self::CodeRefused => {
                StatusCode::UNAUTHORIZED
            }
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::ProviderFailed
            | Self::Unreachable
            | Self::Slow
            | Self::TooLong
            | Self::Redirects
            | Self::Malformed
            | Self::IssuerUnlike
            | Self::Algorithm
            | Self::KeyUnknown
            | Self::Signature
            | Self::TokenIssuer
            | Self::Audience
            | Self::Expired
            | Self::Nonce
            | Self::MailClaim
            | Self::OtherSubject => StatusCode::BAD_GATEWAY,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        tracing::info!(
            code = fault.code(),
            "a login by the OpenID provider came to nothing"
        );
        Self {
            status: fault.status(),
            code: fault.code(),
            detail: fault.to_string(),
        }
    }
}
