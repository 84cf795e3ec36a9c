//! What a master that does not lead passes on to the one that does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::fault::RaftFault;
use crate::links::Lines;
use crate::master::Master;
use crate::types::MasterAddress;

/// One attempt to reach the leader may take this long; then the next is tried.
pub(crate) const ATTEMPT_DEADLINE: Duration = Duration::from_secs(2);
/// While nobody is known to lead, try again this often: whoever leads may not have told this master yet.
const LEADER_POLL: Duration = Duration::from_millis(20);

impl Master {
    /// Calls whoever leads. A leader that another one follows while the call is under way may be frozen or cut off:
    /// then the call ends at once, so that the new leader can be asked.
    pub(crate) async fn call_leader<A: Serialize, R: DeserializeOwned>(
        &self,
        method: u8,
        body: &A,
        deadline: Duration,
    ) -> Result<R, RaftFault> {
        let (id, lines) = self.leader()?;
        tokio::select! {
            answer = lines.calls.call(method, body, deadline) => Ok(answer?),
            () = self.leader_changes(|leader| leader.is_some_and(|leader| leader != id)) => Err(RaftFault::Raft(format!("master {id} leads no more"))),
        }
    }

    /// The connections to whoever leads.
    fn leader(&self) -> Result<(u64, Arc<Lines>), RaftFault> {
        let metrics = self.metrics();
        let nobody = || RaftFault::Raft("nobody leads at the moment".to_owned());
        let id = metrics.current_leader.ok_or_else(nobody)?;
        let membership = metrics.membership_config.membership();
        let address = membership.get_node(&id).ok_or_else(nobody)?;
        Ok((id, self.inner.links.to(id, address)))
    }

    /// Members of the group beside this one.
    pub(crate) fn other_members(&self) -> BTreeMap<u64, MasterAddress> {
        let metrics = self.inner.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.membership().nodes();
        nodes
            .filter(|(id, _)| **id != self.inner.id.0)
            .map(|(id, address)| (*id, address.clone()))
            .collect()
    }

    /// Repeats an attempt until it works or time is up. After a failure the next one follows as soon as another
    /// leader is known.
    pub(crate) async fn until<T, Fut>(
        &self,
        deadline: Duration,
        attempt: impl Fn() -> Fut,
    ) -> Result<T, RaftFault>
    where
        Fut: Future<Output = Result<T, RaftFault>>,
    {
        let give_up = Instant::now() + deadline;
        loop {
            let asked = self
                .inner
                .raft
                .server_metrics()
                .borrow_watched()
                .current_leader;
            let left = give_up.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left.min(ATTEMPT_DEADLINE), attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(fault)) => tracing::debug!(%fault, "attempt failed"),
                Err(_) => tracing::debug!("attempt took too long"),
            }
            if Instant::now() + LEADER_POLL >= give_up {
                let ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
                return Err(RaftFault::NoLeader(ms));
            }
            let news = self.leader_changes(|leader| leader != asked && leader.is_some());
            drop(tokio::time::timeout(LEADER_POLL, news).await);
        }
    }

    /// Waits until the known leader is as described.
    pub(crate) async fn leader_changes(&self, is_so: impl Fn(Option<u64>) -> bool) {
        let mut metrics = self.inner.raft.server_metrics();
        loop {
            if is_so(metrics.borrow_watched().current_leader) {
                return;
            }
            if metrics.changed().await.is_err() {
                // Raft has stopped: whatever waits here ends by itself.
                return std::future::pending().await;
            }
        }
    }
}
