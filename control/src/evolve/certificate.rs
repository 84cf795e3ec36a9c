//! Certificates of workers.

use crate::certificate::event::CertificateEvent;
use crate::model::certificate::WorkerCertificate;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: &CertificateEvent) {
    let before = state.certificate_of(event.worker());
    let row = match *event {
        CertificateEvent::Issued { held, .. } | CertificateEvent::Reported { held, .. } => {
            WorkerCertificate {
                held: Some(held),
                ..before
            }
        }
        CertificateEvent::Awaited { token, .. } => WorkerCertificate {
            awaited: Some(token),
            ..before
        },
        CertificateEvent::Revoked { before: since, .. } => WorkerCertificate { since, ..before },
        // It gets its next one with the answer to its joining.
        CertificateEvent::Returned { .. } => WorkerCertificate {
            held: None,
            awaited: None,
            ..before
        },
    };
    if state.workers.contains_key(&row.worker) {
        state.put_worker_certificate(row);
    }
}

/// Another cluster's authority has signed them.
pub(super) fn forget_all(state: &mut State) {
    let workers: Vec<_> = state.worker_certificates.keys().copied().collect();
    for worker in workers {
        state.remove_worker_certificate(&worker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{LogIndex, WorkerId};

    #[test]
    fn a_worker_that_is_not_there_has_none_and_another_cluster_forgets_all() {
        let mut state = State::default();
        let revoked = CertificateEvent::Revoked {
            worker: WorkerId(5),
            before: LogIndex(9),
        };
        evolve(&mut state, &revoked);
        assert!(state.worker_certificates.is_empty());
        for worker in [5, 6] {
            state.put_worker_certificate(WorkerCertificate::none(WorkerId(worker)));
        }
        forget_all(&mut state);
        assert!(state.worker_certificates.is_empty());
    }
}
