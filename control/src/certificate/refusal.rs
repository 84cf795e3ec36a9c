//! Why a worker gets no certificate.

use serde::{Deserialize, Serialize};

use crate::refusal::RefusalClass;

/// Why not.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CertificateRefusal {
    #[error(
        "the certificate that worker \"{worker}\" shows is refused, as it was revoked or the worker has joined again since: what runs there goes on; let an admin run `docklet worker readmit {worker}`, and join again with that token"
    )]
    Revoked { worker: String },
    #[error(
        "worker \"{worker}\" got a certificate a moment ago: nothing was issued; ask again in {wait_ms} ms"
    )]
    TooSoon { worker: String, wait_ms: u64 },
}

impl CertificateRefusal {
    /// Stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Revoked { .. } => "certificate_revoked",
            Self::TooSoon { .. } => "certificate_too_soon",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::Revoked { .. } => RefusalClass::Forbidden,
            Self::TooSoon { .. } => RefusalClass::Conflict,
        }
    }
}
