//! Followers across failovers: viewers of the event stream and workers' agents, each at a random master, some of them slow, while leaders
//! are killed and two of three masters keep no history beyond their last checkpoint. Afterwards every record is held
//! against the whole log: no gap, nothing twice, never back, and each snapshot exactly the state of its entry.

use std::sync::Arc;
use std::time::Duration;

use docklet_chaos_tests::follow::{
    AgentRecord, Arrivals, HEARTBEAT, IMAGE, Pace, Tally, Truth, ViewerRecord, Workers,
    follow_about, stall, view,
};
use docklet_chaos_tests::{
    ADMIN, ADMIN_NAME, ADMIN_PASSWORD, ClusterOptions, LoadOptions, PATIENCE, Public, count,
};
use docklet_control::Command;
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::id::{LogIndex, WorkerId};
use docklet_control::model::{ImageSpec, WorkerCapacity};
use docklet_raft::{ProposeFault, StoreClient};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Scene, bars};

/// The master that keeps all of its history.
const KEEPER: usize = 2;
/// Of five followers, so many are agents; of four viewers, so many are slow.
const AGENTS_OF_FIVE: u64 = 2;
const SLOW_OF_FOUR: u64 = 1;
const SLOWLY: Duration = Duration::from_millis(200);
/// A reader of nothing is dropped after half a minute.
const STALL: Duration = Duration::from_secs(32);
/// What is behind has so long to come to the end once nothing is written any more.
const DRAIN: Duration = Duration::from_secs(120);

/// One vnode fits on a worker.
const SIZE: VnodeSize = VnodeSize {
    cpu_milli: CpuMilli(1_000),
    memory_mib: MemoryMib(64),
    pids_max: 8,
};

fn two_forget() -> ClusterOptions {
    let forgets = |master| (master, "DOCKLET_HISTORY_MIB".to_owned(), "0".to_owned());
    ClusterOptions {
        own_environment: (0..3).filter(|m| *m != KEEPER).map(forgets).collect(),
        ..ClusterOptions::default()
    }
}

fn gentle() -> LoadOptions {
    LoadOptions {
        clients: 3,
        keys: 20,
        rest: Duration::from_millis(15),
        ..LoadOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_are_told_everything_once_and_in_order_across_failovers() {
    let mut scene = Scene::open_on(two_forget(), gentle()).await;
    let followers = Followers::start(&scene, count("CHAOS_FOLLOWERS", 20)).await;
    let mut vclusters = followers.give_vnodes(&scene.client).await;
    vclusters.sort();
    let kills = count("CHAOS_FOLLOW_KILLS", 5);
    for kill in 0..kills {
        let leader = scene.leader().await;
        scene.cluster.kill(leader).expect("killed");
        scene.load.progress(30).await.expect("the others go on");
        followers.turn_over(&scene.client, &vclusters, kill).await;
        scene.cluster.run(leader).expect("started again");
        let back = scene.cluster.caught_up(&scene.client, bars::settled());
        back.await.expect("caught up");
        scene.load.progress(30).await.expect("writes");
    }
    let stalled = followers.stall_at_each().await;
    let told = followers.finish(scene, stalled).await;
    println!("{kills} leaders killed: {told}");
}

type Following<T> = JoinHandle<anyhow::Result<T>>;

struct Followers {
    public: Arc<Public>,
    viewers: Vec<Following<ViewerRecord>>,
    agents: Vec<Following<AgentRecord>>,
    workers: Vec<WorkerId>,
    arrivals: Arc<Arrivals>,
    goal: watch::Sender<Option<LogIndex>>,
}

impl Followers {
    async fn start(scene: &Scene, number: u64) -> Self {
        let credentials = scene.cluster.credentials().expect("credentials");
        let addrs = scene.cluster.public_addrs();
        let public = Public::log_in(&credentials, addrs, ADMIN_NAME, ADMIN_PASSWORD).await;
        let public = Arc::new(public.expect("logged in"));
        let goal = watch::Sender::new(None);
        let agents = number * AGENTS_OF_FIVE / 5;
        let viewers = (0..number - agents).map(|viewer| {
            let pace = if viewer % 4 < SLOW_OF_FOUR {
                Pace::Slow(SLOWLY)
            } else {
                Pace::Quick
            };
            tokio::spawn(view(public.clone(), pace, goal.subscribe(), DRAIN))
        });
        let viewers = viewers.collect();
        let arrivals = Arc::new(Arrivals::default());
        let joining = Workers {
            client: &scene.client,
            authority: &scene.cluster.authority().expect("the authority"),
            cluster: credentials.identity.cluster,
            capacity: capacity(),
            heartbeat: HEARTBEAT,
        };
        let joined = joining.join(u32::try_from(agents).expect("few")).await;
        let joined = joined.expect("workers");
        let workers = joined.iter().map(|worker| worker.id).collect();
        let addrs: Vec<String> = (0..3).map(|m| scene.cluster.cluster_addr(m)).collect();
        let follow = |worker| {
            let (addrs, arrivals) = (addrs.clone(), arrivals.clone());
            tokio::spawn(follow_about(worker, addrs, arrivals, goal.subscribe()))
        };
        Self {
            agents: joined.into_iter().map(follow).collect(),
            public,
            viewers,
            workers,
            arrivals,
            goal,
        }
    }

    /// A vnode for each worker, in a vcluster of its own.
    async fn give_vnodes(&self, client: &StoreClient) -> Vec<docklet_control::id::VclusterId> {
        let image = Command::RegisterImage {
            name: "base".to_owned(),
            digest: IMAGE,
            blob_bytes: 1,
            spec: ImageSpec::default(),
            description: String::new(),
            held_by: self.workers[0],
        };
        propose(client, image).await;
        for number in 0..self.workers.len() {
            let vcluster = Command::CreateVcluster {
                name: format!("of-{number}"),
                image: "base".to_owned(),
                vnodes: 1,
                size: SIZE,
            };
            propose(client, vcluster).await;
        }
        let all_placed = async {
            while self.arrivals.vclusters().len() < self.workers.len() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let placed = tokio::time::timeout(PATIENCE, all_placed).await;
        placed.expect("every worker is told of its vnode");
        self.arrivals.vclusters()
    }

    /// Stops or starts all vclusters, and waits until their workers were told.
    async fn turn_over(
        &self,
        client: &StoreClient,
        vclusters: &[docklet_control::id::VclusterId],
        round: u64,
    ) {
        for vcluster in vclusters.iter().copied() {
            let command = if round.is_multiple_of(2) {
                Command::StopVcluster { vcluster }
            } else {
                Command::StartVcluster { vcluster }
            };
            let index = propose(client, command).await;
            let told = tokio::time::timeout(PATIENCE, self.arrivals.of(vcluster, index)).await;
            told.unwrap_or_else(|_| panic!("entry {index} never came to the worker of {vcluster}"));
        }
    }

    /// One reader of nothing at each master; each is dropped and told why.
    async fn stall_at_each(&self) -> Vec<ViewerRecord> {
        let stalled = (0..3).map(|master| stall(&self.public, master, LogIndex(1), STALL));
        let mut records = Vec::new();
        for stalled in futures_util::future::join_all(stalled).await {
            let (record, last) = stalled.expect("it is told why it is dropped");
            assert_eq!(last.kind, "resync", "{last:?}");
            assert!(last.data.contains("too slow"), "{last:?}");
            records.push(record);
        }
        records
    }

    /// Lets all come to the end, and holds what they were told against the log.
    async fn finish(self, scene: Scene, stalled: Vec<ViewerRecord>) -> String {
        let Scene {
            mut cluster,
            client,
            load,
            watch,
            _turn,
        } = scene;
        let loaded = load.finish().await.expect("nothing impossible");
        assert!(loaded.verdict.broken.is_empty(), "{}", loaded.verdict);
        cluster
            .settled(&client, bars::settled())
            .await
            .expect("equal states");
        watch.finish().await.expect("equal states");
        let status = client.status_at(KEEPER, PATIENCE).await.expect("answers");
        self.goal.send_replace(Some(status.applied));
        let mut viewers = Vec::new();
        for viewer in self.viewers {
            viewers.push(viewer.await.expect("no panic").expect("followed"));
        }
        let mut agents = Vec::new();
        for agent in self.agents {
            agents.push(agent.await.expect("no panic").expect("followed"));
        }
        // The others still run: it has no reason to wait.
        cluster.stop(KEEPER).expect("stopped");
        let truth = Truth::read(&cluster.dir_of(KEEPER), status.applied).await;
        let truth = truth.expect("the whole log");
        checked(&truth, &stalled);
        judge(&truth, &viewers, &agents)
    }
}

fn checked(truth: &Truth, viewers: &[ViewerRecord]) -> Tally {
    let mut all = Tally::default();
    for (number, viewer) in viewers.iter().enumerate() {
        let checked = truth.check_viewer(viewer);
        let checked = checked.unwrap_or_else(|wrong| panic!("viewer {number}: {wrong:#}"));
        all = all.and(checked);
    }
    all
}

fn judge(truth: &Truth, viewers: &[ViewerRecord], agents: &[AgentRecord]) -> String {
    let all = checked(truth, viewers);
    let assignments: usize = agents
        .iter()
        .map(|agent| truth.check_agent(agent).expect("the truth"))
        .sum();
    assert!(all.snapshots > 0, "compaction was to force some: {all:?}");
    let connections: u32 = viewers.iter().map(|viewer| viewer.connections).sum();
    let redialled: u32 = agents.iter().map(|agent| agent.connections).sum();
    format!(
        "{} viewers were told {} changes, {} snapshots, {} bookmarks of a log of {} changes over {connections} \
         connections; {} agents got {assignments} assignments over {redialled}",
        viewers.len(),
        all.changes,
        all.snapshots,
        all.bookmarks,
        truth.changes(),
        agents.len(),
    )
}

fn capacity() -> WorkerCapacity {
    WorkerCapacity {
        cpu_milli: SIZE.cpu_milli,
        memory_mib: SIZE.memory_mib,
        disk_mib: DiskMib(1 << 20),
        gpus: Vec::new(),
    }
}

/// Proposes as the admin until it is accepted.
async fn propose(client: &StoreClient, command: Command) -> LogIndex {
    let request = client.new_request().await.expect("an entry is known");
    let proposed = client.propose(ADMIN, request, command, PATIENCE).await;
    match proposed {
        Ok(receipt) => {
            receipt.accepted().expect("nothing forbids it");
            receipt.index
        }
        Err(fault @ (ProposeFault::Refused(_) | ProposeFault::Unknown(_))) => panic!("{fault:?}"),
    }
}
