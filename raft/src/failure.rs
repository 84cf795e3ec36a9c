//! When the disk fails.

use crate::fault::RaftFault;
use crate::master::Master;

impl Master {
    /// Comes back when the state cannot be written any more, with the reason: the master must stop.
    pub async fn store_failed(&self) -> RaftFault {
        let mut failure = self.inner.view.failure();
        let failed = failure.wait_for(Option::is_some).await;
        let fault = failed.ok().and_then(|fault| fault.clone());
        match fault {
            Some(fault) => std::io::Error::other(fault).into(),
            // The sender lives as long as this master.
            None => std::future::pending().await,
        }
    }
}
