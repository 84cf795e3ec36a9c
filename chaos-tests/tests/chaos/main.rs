//! Real masters under faults. Root only; `cargo build` first. One after the other: each wants the whole machine.
//! Counts are small, for CI; `make chaos` raises them and holds the figures against their bars.

#![expect(clippy::print_stdout, reason = "each test tells its figures in a line")]

mod bars;
mod checker;
mod disks;
mod following;
mod freezes;
mod handovers;
mod kills;
mod partitions;
mod versions;

use std::sync::Arc;

use docklet_chaos_tests::{Cluster, ClusterOptions, Load, LoadOptions, Loaded, Watch};
use docklet_raft::StoreClient;
use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// Three masters, clients at work on them, and a watch over their states.
struct Scene {
    cluster: Cluster,
    client: Arc<StoreClient>,
    load: Load,
    watch: Watch,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    async fn open(options: LoadOptions) -> Self {
        Self::open_on(ClusterOptions::default(), options).await
    }

    async fn open_on(cluster: ClusterOptions, options: LoadOptions) -> Self {
        let turn = TURN.lock().await;
        let cluster = Cluster::start_with(cluster).await.expect("a cluster");
        let client = Arc::new(cluster.client(2).expect("a client"));
        let pinned = (0..cluster.count()).map(|m| cluster.client_of(m).expect("a client"));
        let load = Load::start(client.clone(), pinned.collect(), options);
        let load = load.await.expect("keys");
        let watch = Watch::start(&Arc::new(cluster.client(1).expect("a client")), 3);
        load.progress(20).await.expect("a healthy cluster");
        Self {
            cluster,
            client,
            load,
            watch,
            _turn: turn,
        }
    }

    /// Any master that does not lead.
    async fn follower(&self) -> usize {
        (self.leader().await + 1) % self.cluster.count()
    }

    async fn leader(&self) -> usize {
        self.cluster.leader(&self.client).await.expect("a leader")
    }

    /// All masters run and nothing is in the way: everybody must come to the same state, and the history hold.
    async fn close(self, title: &str, figures: &str) -> Loaded {
        let loaded = self.load.finish().await.expect("nothing impossible");
        let settled = self.cluster.settled(&self.client, bars::settled()).await;
        let settled = settled.expect("equal logs and states");
        let compared = self.watch.finish().await.expect("equal states");
        let verdict = &loaded.verdict;
        println!(
            "{title}: {figures}; {verdict}; {compared} states compared, settled in {settled:?}"
        );
        assert!(
            verdict.broken.is_empty(),
            "not linearizable: keys {:?}",
            verdict.broken
        );
        loaded
    }
}
