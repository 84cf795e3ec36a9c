//! From a fault of the leader to the next accepted write, as a client sees it: ours beside etcd with its defaults.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use docklet_chaos_tests::report::{self, Figure, Goal, median, ms, percentile};
use docklet_chaos_tests::{ADMIN, Cluster, Etcd, EtcdClient, Members, Network, PATIENCE, count};
use docklet_control::Command;
use docklet_control::id::UserId;
use docklet_raft::StoreClient;
use rand::Rng;
use serde_json::json;
use tokio::task::JoinHandle;

/// A time without accepted writes that is longer than this is the fault's doing.
const NOTICEABLE: Duration = Duration::from_millis(150);
/// A client of etcd asks the next member after this.
const ETCD_ATTEMPT: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// kill -9.
    Kill,
    /// SIGSTOP.
    Freeze,
    /// Every packet dropped, both ways.
    Unplug,
}

/// A cluster of either kind.
trait Group {
    async fn leader(&self) -> anyhow::Result<usize>;
    fn processes(&mut self) -> &mut Members;
    fn run(&mut self, member: usize) -> anyhow::Result<()>;
    /// Waits until every member takes part again.
    async fn whole(&self) -> anyhow::Result<()>;
}

struct Ours {
    cluster: Cluster,
    client: Arc<StoreClient>,
}

impl Group for Ours {
    async fn leader(&self) -> anyhow::Result<usize> {
        self.cluster.leader(&self.client).await
    }

    fn processes(&mut self) -> &mut Members {
        self.cluster.processes()
    }

    fn run(&mut self, member: usize) -> anyhow::Result<()> {
        self.cluster.run(member)
    }

    async fn whole(&self) -> anyhow::Result<()> {
        self.cluster.caught_up(&self.client, PATIENCE).await?;
        Ok(())
    }
}

impl Group for Etcd {
    async fn leader(&self) -> anyhow::Result<usize> {
        self.leader().await
    }

    fn processes(&mut self) -> &mut Members {
        self.processes()
    }

    fn run(&mut self, member: usize) -> anyhow::Result<()> {
        self.run(member)
    }

    async fn whole(&self) -> anyhow::Result<()> {
        self.healthy().await
    }
}

/// One client that writes without a pause, and when its writes were accepted.
struct Writer {
    accepted: Arc<Mutex<Vec<Instant>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Writer {
    fn start<W, F>(mut write: W) -> Self
    where
        W: FnMut() -> F + Send + 'static,
        F: Future<Output = bool> + Send,
    {
        let accepted: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (times, told) = (accepted.clone(), stop.clone());
        let task = tokio::spawn(async move {
            while !told.load(Ordering::Relaxed) {
                if write().await {
                    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                    times.push(Instant::now());
                }
            }
        });
        Self {
            accepted,
            stop,
            task,
        }
    }

    /// The longest time without an accepted write from the last one before `since` on.
    fn gap(&self, since: Instant) -> Option<Duration> {
        let times = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let first = times.partition_point(|at| *at < since).saturating_sub(1);
        let gaps = times[first..].windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max()
    }

    /// Waits until the fault was noticed and writes are accepted again.
    async fn recovery(&self, since: Instant) -> anyhow::Result<Duration> {
        while since.elapsed() < PATIENCE {
            if let Some(gap) = self.gap(since).filter(|gap| *gap > NOTICEABLE) {
                return Ok(gap);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("no gap and recovery seen within {PATIENCE:?}")
    }

    async fn finish(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the writer panicked")
    }
}

/// The times without accepted writes of `times` faults.
async fn measure(
    group: &mut impl Group,
    writer: &Writer,
    fault: Fault,
    times: u64,
) -> anyhow::Result<Vec<f64>> {
    let mut gaps = Vec::new();
    for _ in 0..times {
        let leader = group.leader().await?;
        let rest = rand::rng().random_range(200..500);
        tokio::time::sleep(Duration::from_millis(rest)).await;
        let begun = Instant::now();
        match fault {
            Fault::Kill => group.processes().kill(leader)?,
            Fault::Freeze => group.processes().freeze(leader)?,
            Fault::Unplug => network(group).unplug(leader)?,
        }
        gaps.push(ms(writer.recovery(begun).await?));
        match fault {
            Fault::Kill => group.run(leader)?,
            Fault::Freeze => group.processes().thaw(leader)?,
            Fault::Unplug => network(group).heal()?,
        }
        group.whole().await?;
    }
    Ok(gaps)
}

fn network(group: &mut impl Group) -> &Network {
    group.processes().network()
}

async fn ours(faults: &[Fault], times: u64) -> anyhow::Result<Vec<Vec<f64>>> {
    let cluster = Cluster::start().await?;
    let client = Arc::new(cluster.client(1)?);
    let mut group = Ours {
        client: Arc::new(cluster.client(1)?),
        cluster,
    };
    let writer = Writer::start(move || write_ours(client.clone()));
    let mut all = Vec::new();
    for fault in faults {
        all.push(measure(&mut group, &writer, *fault, times).await?);
    }
    writer.finish().await?;
    Ok(all)
}

async fn write_ours(client: Arc<StoreClient>) -> bool {
    let command = Command::ChangePassword {
        user: UserId(1),
        password_hash: "x".repeat(256),
    };
    let Ok(request) = client.new_request().await else {
        return false;
    };
    client
        .propose(ADMIN, request, command, PATIENCE)
        .await
        .is_ok()
}

async fn etcd(faults: &[Fault], times: u64) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut group = Etcd::start().await?;
    let addrs: Arc<Vec<String>> = Arc::new((0..3).map(|member| group.addr(member)).collect());
    let clients: Arc<tokio::sync::Mutex<Rotation>> = Arc::default();
    let writer = Writer::start(move || write_etcd(addrs.clone(), clients.clone()));
    let mut all = Vec::new();
    for fault in faults {
        all.push(measure(&mut group, &writer, *fault, times).await?);
    }
    writer.finish().await?;
    Ok(all)
}

/// The member that is asked, and the connection to it.
#[derive(Default)]
struct Rotation {
    member: usize,
    client: Option<EtcdClient>,
}

/// One attempt; if it fails, the next goes to the next member.
async fn write_etcd(addrs: Arc<Vec<String>>, rotation: Arc<tokio::sync::Mutex<Rotation>>) -> bool {
    let mut rotation = rotation.lock().await;
    let addr = &addrs[rotation.member % addrs.len()];
    let attempt = async {
        let client = match rotation.client.take() {
            Some(client) => client,
            None => EtcdClient::connect(addr).await?,
        };
        client.put(b"key", &[7; 256]).await?;
        anyhow::Ok(client)
    };
    match tokio::time::timeout(ETCD_ATTEMPT, attempt).await {
        Ok(Ok(client)) => {
            rotation.client = Some(client);
            true
        }
        failed => {
            rotation.client = None;
            rotation.member += 1;
            if failed.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            false
        }
    }
}

fn figures(title: &str, ours: &[f64], etcd: Option<&[f64]>, goals: (Goal, Goal)) -> [Figure; 2] {
    let figure = |what: &str, percent: f64, goal| {
        let measure = format!(
            "{title} to the next accepted write, {what} of {}",
            ours.len()
        );
        let own = percentile(ours, percent);
        match etcd {
            Some(etcd) => Figure::of_two(&measure, "ms", own, percentile(etcd, percent), goal),
            None => Figure::alone(&measure, "ms", own, goal),
        }
    };
    [
        figure("median", 50.0, goals.0),
        figure("p99", 99.0, goals.1),
    ]
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let times = count("FAULTS", 50);
    let ours = ours(&[Fault::Kill, Fault::Freeze, Fault::Unplug], times).await?;
    let etcd = etcd(&[Fault::Kill, Fault::Freeze], times).await?;
    let bar = Goal::AtMostAndRatio(800.0, 0.5);
    let alone = Goal::AtMost(800.0);
    let titles = ["kill -9 of the leader", "SIGSTOP of the leader"];
    let mut rows = Vec::new();
    for ((title, own), peer) in titles.iter().zip(&ours).zip(&etcd) {
        rows.extend(figures(title, own, Some(peer), (Goal::None, bar)));
    }
    let title = "all packets of the leader dropped,";
    rows.extend(figures(title, &ours[2], None, (Goal::None, alone)));
    let longest: Vec<f64> = ours.iter().map(|all| median(all)).collect();
    let notes = json!({
        "times": times,
        "client": "one writer; ours asks the next master after 200 ms, etcd's after 100 ms",
        "medians_ms": longest,
        "all_ms": {"ours": ours, "etcd": etcd},
    });
    report::tell("failover", notes, &rows)
}
