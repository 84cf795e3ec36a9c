//! What can be asked of workers' certificates, since version 3.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, LogIndex, SecretHash, UnixMs, WorkerId};

/// Asks for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateCommand {
    /// A worker wants the next one. The certificate that is issued has the number of this entry.
    Issue {
        worker: WorkerId,
        /// Number of the certificate by which it asks.
        held: LogIndex,
        /// Of its new public key.
        key: Digest,
        ends_at: UnixMs,
    },
    /// A worker was seen with a certificate of which the log does not say when it ends.
    Report {
        worker: WorkerId,
        /// 0 if it tells of none.
        number: LogIndex,
        issued_at: UnixMs,
        ends_at: UnixMs,
    },
    /// A worker may join again under its name by this token, and keep what it is and has.
    Readmit {
        worker: WorkerId,
        secret_hash: SecretHash,
        ttl_ms: u64,
        /// The certificates that it has are refused from now on, and not only when it has joined again.
        revoke: bool,
    },
}

impl CertificateCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Issue { .. } => "IssueWorkerCertificate",
            Self::Report { .. } => "ReportWorkerCertificate",
            Self::Readmit { .. } => "ReadmitWorker",
        }
    }
}
