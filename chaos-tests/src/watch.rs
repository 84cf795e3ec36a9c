//! Compares the masters' states while a test runs: at equal entries their fingerprints must be equal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use docklet_control::id::LogIndex;
use docklet_raft::StoreClient;
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(20);
const ANSWER_WITHIN: Duration = Duration::from_millis(300);

/// Looks at all masters until it is told to finish.
pub struct Watch {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<BTreeMap<LogIndex, String>>>,
}

impl Watch {
    /// Starts to look.
    #[must_use]
    pub fn start(client: &Arc<StoreClient>, masters: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let look = |master| tokio::spawn(look(client.clone(), master, stop.clone()));
        Self {
            tasks: (0..masters).map(look).collect(),
            stop,
        }
    }

    /// Stops, and answers at how many entries two masters or more were seen and compared.
    ///
    /// # Errors
    /// Two masters had different states at the same entry.
    pub async fn finish(self) -> anyhow::Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let mut known: BTreeMap<LogIndex, (usize, String)> = BTreeMap::new();
        let mut compared = 0;
        for (master, task) in self.tasks.into_iter().enumerate() {
            for (index, hash) in task.await.context("the watch panicked")? {
                let Some((other, same)) = known.get(&index) else {
                    known.insert(index, (master, hash));
                    continue;
                };
                if *same != hash {
                    bail!("at entry {index}, master {other} has {same}, master {master} {hash}");
                }
                compared += 1;
            }
        }
        Ok(compared)
    }
}

async fn look(
    client: Arc<StoreClient>,
    master: usize,
    stop: Arc<AtomicBool>,
) -> BTreeMap<LogIndex, String> {
    let mut seen = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        // A master that is down or frozen says nothing, and that is no difference.
        if let Ok(status) = client.status_at(master, ANSWER_WITHIN).await {
            seen.insert(status.applied, status.state_hash);
        }
        tokio::time::sleep(EVERY).await;
    }
    seen
}
