//! Who may ask for what of workers' certificates.

use super::Needs;
use crate::certificate::command::CertificateCommand;

pub(super) fn needs(command: &CertificateCommand) -> Needs<'_> {
    match command {
        // The master that signs asks, and so it is in the audit trail; for whom, it knows by the certificate that it was shown.
        CertificateCommand::Issue { .. } => Needs::Door,
        CertificateCommand::Report { worker, .. } => Needs::ThisWorker(*worker),
        CertificateCommand::Readmit { .. } => Needs::Operator,
    }
}
