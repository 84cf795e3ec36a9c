//! Clearing away what nothing needs any more, and making what will be needed, once nothing else is to be done.

use tokio::time::Instant;

use super::{Agent, SWEEP_AFTER, perform};
use crate::host::Host;
use crate::plan::Plan;

impl<H: Host> Agent<H> {
    pub(super) async fn sweep_when_idle(&mut self, plan: &Plan) {
        if !self.busy.is_empty() || !plan.vnodes.is_empty() {
            self.idle_since = None;
            return;
        }
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= SWEEP_AFTER {
            self.sweep(plan).await;
            self.make_ahead();
        }
    }

    /// Nobody waits for it.
    fn make_ahead(&self) {
        let host = self.host.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(fault) = host.make_ahead() {
                tracing::warn!(
                    fault = fault.full_text(),
                    "less is ready for the next vnodes"
                );
            }
        });
    }

    async fn sweep(&self, plan: &Plan) {
        for act in &plan.sweep {
            if let Err((step, fault)) = perform(self.host.clone(), act.clone()).await {
                tracing::warn!(step, fault, "act failed, it is tried again");
            }
        }
    }
}
