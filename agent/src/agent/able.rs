//! Whether this worker can take processes along when a vnode moves: found out once, and told on each connection.

use tokio::task::JoinHandle;

use super::Agent;
use crate::checkpoint::criu;
use crate::host::Host;
use crate::masters::Tell;

/// What is known of it.
#[derive(Default)]
pub(super) struct Able {
    asking: Option<JoinHandle<Result<String, String>>>,
    found: Option<Result<String, String>>,
    told: bool,
}

impl Able {
    /// Asks CRIU to try, beside everything else.
    pub(super) fn find_out(&mut self) {
        let ask = || criu::ability().map(|ability| ability.version);
        self.asking = Some(tokio::task::spawn_blocking(ask));
    }

    /// A new connection may be to a master that knows less.
    pub(super) fn tell_anew(&mut self) {
        self.told = false;
    }

    /// What is to be told now, if anything is.
    async fn news(&mut self) -> Option<Result<String, String>> {
        if let Some(asking) = self.asking.take_if(|asking| asking.is_finished()) {
            let found = asking.await;
            self.found = Some(found.unwrap_or_else(|error| Err(error.to_string())));
        }
        let news = self.found.clone().filter(|_| !self.told);
        self.told |= news.is_some();
        news
    }
}

impl<H: Host> Agent<H> {
    pub(super) async fn tell_able(&mut self) {
        if let Some(able) = self.able.news().await {
            drop(self.tell.send(Tell::Checkpointing(able)).await);
        }
    }
}
