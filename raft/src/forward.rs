//! What a master that does not lead passes on to the one that does.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::RaftFault;
use crate::master::Master;
use crate::peer::Peer;

impl Master {
    /// Calls whoever leads. A leader that another one follows while the call is under way may be frozen or cut off:
    /// then the call ends at once, so that the new leader can be asked.
    pub(crate) async fn call_leader<A: Serialize, R: DeserializeOwned>(
        &self,
        method: u8,
        body: &A,
        deadline: Duration,
    ) -> Result<R, RaftFault> {
        let (id, leader) = self.leader().await?;
        tokio::select! {
            answer = leader.call(method, body, deadline) => Ok(answer?),
            () = self.another_leads(id) => Err(RaftFault::Raft(format!("master {id} leads no more"))),
        }
    }

    /// A connection to whoever leads.
    async fn leader(&self) -> Result<(u64, Arc<Peer>), RaftFault> {
        let metrics = self.metrics();
        let nobody = || RaftFault::Raft("nobody leads at the moment".to_owned());
        let id = metrics.current_leader.ok_or_else(nobody)?;
        let address = metrics
            .membership_config
            .membership()
            .get_node(&id)
            .cloned()
            .ok_or_else(nobody)?;
        let mut leaders = self.inner.leaders.lock().await;
        let peer = leaders.entry(id).or_insert_with(|| {
            let own = self.inner.credentials.identity;
            Arc::new(Peer::new(self.inner.dialer.clone(), own, id, address.0))
        });
        Ok((id, peer.clone()))
    }

    /// Waits until another master than this one is known to lead.
    async fn another_leads(&self, than: u64) {
        let mut metrics = self.inner.raft.server_metrics();
        loop {
            let leader = metrics.borrow_watched().current_leader;
            if leader.is_some_and(|id| id != than) {
                return;
            }
            if metrics.changed().await.is_err() {
                // Raft has stopped: the call itself will end.
                return std::future::pending().await;
            }
        }
    }
}
