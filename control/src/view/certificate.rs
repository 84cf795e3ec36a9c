//! Certificates between masters and workers as whoever looks after machines sees them.

use serde::{Deserialize, Serialize};

use crate::id::UnixMs;
use crate::model::Worker;
use crate::model::certificate::HeldCertificate;
use crate::state::State;

/// A worker's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "HeldCertificateView")]
pub struct CertificateView {
    /// The entry that issued it; 0 if none says so.
    pub number: u64,
    pub issued_at: UnixMs,
    pub ends_at: UnixMs,
    /// From when on it should have been renewed.
    pub late_at: UnixMs,
}

impl From<HeldCertificate> for CertificateView {
    fn from(held: HeldCertificate) -> Self {
        Self {
            number: held.number.0,
            issued_at: held.issued_at,
            ends_at: held.ends_at,
            late_at: held.late_at(),
        }
    }
}

/// How much is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Enough,
    /// Less than a third.
    Little,
    Nothing,
}

impl CertificateView {
    /// How much is left of it then.
    #[must_use]
    pub fn left(&self, now: UnixMs) -> Left {
        if self.ends_at <= now {
            Left::Nothing
        } else if self.late_at <= now {
            Left::Little
        } else {
            Left::Enough
        }
    }
}

/// What is known of the one that a worker has.
#[must_use]
pub fn of_worker(state: &State, worker: &Worker) -> Option<CertificateView> {
    state.certificate_of(worker.id).held.map(Into::into)
}

/// Whether a token lets the worker join again.
#[must_use]
pub fn is_awaited(state: &State, worker: &Worker) -> bool {
    let token = state.certificate_of(worker.id).awaited;
    token.is_some_and(|token| state.join_tokens.contains_key(&token))
}

/// A certificate of which somebody should know that it ends: the authority's own, or a master's, which renews it by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// As `master "m1"`.
    pub of: String,
    pub ends_at: UnixMs,
    /// From when on that is worth a warning.
    pub late_at: UnixMs,
    /// What to do.
    pub next: &'static str,
}

/// What is not as it should be with certificates between masters and workers, one sentence each: cause and next step.
#[must_use]
pub fn warnings(state: &State, others: &[Ending], now: UnixMs) -> Vec<String> {
    let ended = |ends_at: UnixMs| {
        if ends_at <= now {
            "has ended"
        } else {
            "ends soon and was not renewed"
        }
    };
    let late = others.iter().filter(|ending| ending.late_at <= now);
    let mut said: Vec<String> = late
        .map(|ending| {
            let ended = ended(ending.ends_at);
            format!("the certificate of {} {ended}: {}", ending.of, ending.next)
        })
        .collect();
    for worker in state.workers.values() {
        let name = &worker.name;
        if is_awaited(state, worker) {
            said.push(format!(
                "worker \"{name}\" may join again and has not: run `docklet agent join TOKEN --again` there"
            ));
            continue;
        }
        let Some(view) = of_worker(state, worker) else {
            continue;
        };
        match view.left(now) {
            Left::Enough => {}
            Left::Little => said.push(format!(
                "the certificate of worker \"{name}\" ends soon and was not renewed: look at its agent's log, and at whether it reaches a master"
            )),
            Left::Nothing => said.push(format!(
                "the certificate of worker \"{name}\" has ended, and masters refuse it: run `docklet worker readmit {name}`, and join again there with that token"
            )),
        }
    }
    said
}
