//! How a master goes in order: leadership first, then its part in the group, then its files.

use std::sync::PoisonError;

use tokio::task::JoinHandle;

use crate::master::Master;

impl Master {
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
