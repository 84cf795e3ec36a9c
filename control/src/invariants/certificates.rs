//! Certificates of workers.

use crate::state::State;

/// Each row is of a worker that is there, and what is refused was not issued afterwards.
pub(super) fn rows_are_of_workers(state: &State, broken: &mut Vec<String>) {
    for row in state.worker_certificates.values() {
        let timely = row.held.is_none_or(|held| held.issued_at < held.ends_at);
        if !timely || !state.workers.contains_key(&row.worker) {
            broken.push(format!(
                "the certificate of worker {} is not sound",
                row.worker
            ));
        }
    }
}
