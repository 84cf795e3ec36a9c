//! What the loop does about the worker's lease.

use std::sync::Arc;
use std::time::Duration;

use docklet_control::assignment::Assignment;
use docklet_control::model::VnodeFence;

use crate::lease::Lease;
use crate::lease::renewals::extend;

/// The lease, and what the masters have been promised of it.
pub(super) struct Leases {
    lease: Arc<Lease>,
    /// What the fence ends when the lease is over.
    fenced: Vec<VnodeFence>,
    /// What the masters have not been told yet.
    told: bool,
}

impl Leases {
    /// With what was assigned before this agent began: what is left of it without a lease is ended at once.
    pub(super) fn new(lease: Arc<Lease>, known: Option<&Assignment>) -> Self {
        let mut leases = Self {
            lease,
            fenced: Vec::new(),
            told: true,
        };
        if let Some(known) = known {
            leases.assign(known);
        }
        leases
    }

    pub(super) fn tell_anew(&mut self) {
        self.told = false;
    }

    /// Before anything is done about an assignment.
    pub(super) fn assign(&mut self, assignment: &Assignment) {
        let fenced = self.lease.assign(assignment).unwrap_or_else(|fault| {
            tracing::error!(
                fault = fault.full_text(),
                "vnodes that need a lease do not run"
            );
            Vec::new()
        });
        if fenced != self.fenced {
            self.fenced = fenced;
            self.told = false;
        }
    }

    pub(super) async fn granted(&self, sent_ms: u64) {
        extend(self.lease.clone(), sent_ms, true).await;
    }

    /// What the masters are to be told.
    pub(super) fn news(&mut self) -> Option<Vec<VnodeFence>> {
        let news = !self.told && !self.fenced.is_empty();
        self.told = true;
        news.then(|| self.fenced.clone())
    }

    pub(super) fn left(&self) -> Option<Duration> {
        self.lease.left()
    }

    pub(super) fn allowed(&self, wanted: Assignment) -> Assignment {
        self.lease.allowed(wanted)
    }
}
