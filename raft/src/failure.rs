//! When this master can go on no more, and why.

use openraft::async_runtime::watch::WatchReceiver;

use crate::fault::RaftFault;
use crate::master::Master;

impl Master {
    /// Waits until this master can take part no more, because its disk failed or lies, or because its program is too
    /// old; answers why. It acknowledges nothing from then on.
    pub async fn failed(&self) -> RaftFault {
        tokio::select! {
            // Raft ends because of the store, which knows more of the cause.
            biased;
            refusal = self.inner.view.refused() => RaftFault::TooOld(refusal),
            fault = self.store_failed() => fault,
            fault = self.raft_ended() => fault,
        }
    }

    /// Comes back when the state cannot be written any more.
    async fn store_failed(&self) -> RaftFault {
        let mut failure = self.inner.view.failure();
        let failed = failure.wait_for(Option::is_some).await;
        let fault = failed.ok().and_then(|fault| fault.clone());
        match fault {
            Some(fault) => std::io::Error::other(fault).into(),
            // The sender lives as long as this master.
            None => std::future::pending().await,
        }
    }

    async fn raft_ended(&self) -> RaftFault {
        let mut alive = self.inner.raft.server_metrics();
        // This channel ends with Raft; and unlike that of all metrics it does not wake at each entry.
        while alive.changed().await.is_ok() {}
        match self.metrics().running_state {
            Err(fatal) => RaftFault::Stopped(fatal.to_string()),
            Ok(()) => RaftFault::Stopped("Raft has ended".to_owned()),
        }
    }
}
