//! How a master goes in order: leadership first, then its part in the group, then its files.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::master::Master;

/// Whoever takes over must be heard of more recently than this.
const HEARD_WITHIN_MS: u64 = 500;
/// Leadership must move within this.
const HANDOVER_DEADLINE: Duration = Duration::from_secs(1);

impl Master {
    /// Hands leadership to a voter that is up to date, if this master leads and there is one, and waits until that one
    /// leads. Keep the doors open meanwhile: the new leader asks this master too, and what comes in is passed on.
    pub async fn hand_over(&self) {
        let status = self.status();
        let next = status
            .members
            .iter()
            .filter(|member| member.voter && member.id != self.id())
            .filter(|member| member.heard_ms_ago.is_some_and(|ms| ms < HEARD_WITHIN_MS))
            .max_by_key(|member| member.matched);
        let Some(next) = next.filter(|_| self.is_leader()) else {
            return;
        };
        let raft = &self.inner.raft;
        if let Err(error) = raft.trigger().transfer_leader(next.id.0).await {
            tracing::warn!(%error, "leadership could not be handed over");
        }
        let own = self.id().0;
        let moved = raft
            .wait(Some(HANDOVER_DEADLINE))
            .metrics(
                |m| m.current_leader.is_some_and(|id| id != own),
                "another leads",
            )
            .await;
        if let Err(error) = moved {
            tracing::warn!(%error, "leadership was not taken over in time");
        }
    }

    /// Hands over leadership, stops taking part, and makes everything durable.
    pub async fn shutdown(&self) {
        self.hand_over().await;
        let tasks: Vec<_> = {
            let mut kept = self
                .inner
                .tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            kept.drain(..).collect()
        };
        tasks.iter().for_each(JoinHandle::abort);
        if let Err(error) = self.inner.raft.shutdown().await {
            tracing::warn!(%error, "Raft did not stop cleanly");
        }
        if let Err(error) = self.inner.view.flush().await {
            tracing::warn!(%error, "the state could not be synced");
        }
    }
}
