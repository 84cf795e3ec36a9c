//! What happened to workers' certificates, since version 3. It is told to whoever looks after the machines.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, LogIndex, SecretHash, WorkerId};
use crate::model::certificate::HeldCertificate;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateEvent {
    /// For the public key with this digest, to who showed the one of the other number.
    Issued {
        worker: WorkerId,
        held: HeldCertificate,
        before: LogIndex,
        key: Digest,
    },
    Reported {
        worker: WorkerId,
        held: HeldCertificate,
    },
    /// The worker may join again by this token.
    Awaited { worker: WorkerId, token: SecretHash },
    /// Certificates of lower numbers are refused.
    Revoked { worker: WorkerId, before: LogIndex },
    /// It has joined again.
    Returned { worker: WorkerId },
}

impl CertificateEvent {
    /// The worker that it is about.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        match self {
            Self::Issued { worker, .. }
            | Self::Reported { worker, .. }
            | Self::Awaited { worker, .. }
            | Self::Revoked { worker, .. }
            | Self::Returned { worker } => *worker,
        }
    }

    pub(crate) fn hide_secrets(&mut self) {
        match self {
            Self::Awaited { token, .. } => *token = SecretHash([0; 32]),
            Self::Issued { .. }
            | Self::Reported { .. }
            | Self::Revoked { .. }
            | Self::Returned { .. } => {}
        }
    }
}
