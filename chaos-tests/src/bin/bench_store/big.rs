//! A state of 200,000 vnodes with a million entries behind it: memory, snapshots, restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use docklet_chaos_tests::fixture::Fixture;
use docklet_chaos_tests::report::{Figure, Goal, ms, percentile};
use docklet_chaos_tests::usage::resident_mib;
use docklet_chaos_tests::{Cluster, count};
use docklet_raft::StoreClient;
use tokio::task::JoinHandle;

use crate::sides::{make_users, random_key, write};

/// Whatever a master with that state does takes less.
const PATIENCE: Duration = Duration::from_secs(120);
/// Writers whose latency is measured, and their rest between writes: a busy cluster, not a saturated one.
const WRITERS: usize = 16;
const REST: Duration = Duration::from_millis(10);
const FILLERS: usize = 256;

pub async fn figures() -> anyhow::Result<Vec<Figure>> {
    let vnodes = count("BIG_VNODES", 200_000);
    let entries = count("BIG_ENTRIES", 1_000_000);
    let mut cluster = Cluster::start().await?;
    let client = Arc::new(cluster.client(16)?);
    let leader = cluster.leader(&client).await?;
    client.prefer(leader);
    let begun = Instant::now();
    make_users(&client).await?;
    // Accounts of the fixture follow those that are written.
    Fixture::of(&client).vnodes(vnodes).await?;
    remark("vnodes are made", begun);
    fill(&client, entries).await?;
    remark("entries are behind", begun);
    cluster.caught_up(&client, PATIENCE).await?;
    let mut rows = memory(&mut cluster)?;
    rows.extend(snapshot(&mut cluster, &client).await?);
    remark("a snapshot was sent", begun);
    rows.extend(restarts(&mut cluster, &client).await?);
    Ok(rows)
}

#[expect(clippy::print_stderr, reason = "progress of a run of minutes")]
fn remark(what: &str, begun: Instant) {
    eprintln!("big: {what} after {:.0} s", begun.elapsed().as_secs_f64());
}

/// Writes until so many entries are behind.
async fn fill(client: &Arc<StoreClient>, entries: u64) -> anyhow::Result<()> {
    let left = Arc::new(AtomicU64::new(entries));
    let filler = |_| {
        let (client, left) = (client.clone(), left.clone());
        tokio::spawn(async move {
            let less = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
            {
                write(&client, random_key()).await?;
            }
            anyhow::Ok(())
        })
    };
    for task in (0..FILLERS).map(filler).collect::<Vec<_>>() {
        task.await.context("a filler panicked")??;
    }
    Ok(())
}

fn memory(cluster: &mut Cluster) -> anyhow::Result<Vec<Figure>> {
    let mut most: f64 = 0.0;
    for pid in cluster.processes().pids() {
        most = most.max(resident_mib(pid)?);
    }
    let goal = Goal::AtMost(600.0);
    let figure = Figure::alone("master with that state, resident", "MiB", most, goal);
    Ok(vec![figure])
}

/// Writers in the background, and how long each of their writes took.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<anyhow::Result<Vec<f64>>>>,
}

impl Writers {
    fn start(client: &Arc<StoreClient>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = |_| {
            let (client, stop) = (client.clone(), stop.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    write(&client, random_key()).await?;
                    times.push(ms(begun.elapsed()));
                    tokio::time::sleep(REST).await;
                }
                Ok(times)
            })
        };
        Self {
            tasks: (0..WRITERS).map(writer).collect(),
            stop,
        }
    }

    async fn finish(self) -> anyhow::Result<Vec<f64>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = Vec::new();
        for task in self.tasks {
            times.extend(task.await.context("a writer panicked")??);
        }
        Ok(times)
    }
}

/// Write latency in peace, and while a master that was away for long is sent the state.
async fn snapshot(cluster: &mut Cluster, client: &Arc<StoreClient>) -> anyhow::Result<Vec<Figure>> {
    let leader = cluster.leader(client).await?;
    client.prefer(leader);
    let away = (leader + 1) % cluster.count();
    let writers = Writers::start(client);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let peace = percentile(&writers.finish().await?, 99.0);
    cluster.kill(away)?;
    // More than a leader keeps for those who lag.
    fill(client, count("BIG_AWAY", 150_000)).await?;
    let writers = Writers::start(client);
    let begun = Instant::now();
    cluster.run(away)?;
    cluster.caught_up(client, PATIENCE).await?;
    let took = begun.elapsed();
    let sending = percentile(&writers.finish().await?, 99.0);
    Ok(vec![
        Figure::alone("write p99 in peace, 16 writers", "ms", peace, Goal::None),
        Figure::alone(
            "write p99 while that state is built and sent",
            "ms",
            sending,
            Goal::AtMost(peace * 3.0),
        ),
        Figure::alone(
            "a master away for 150,000 entries, until it has all",
            "s",
            took.as_secs_f64(),
            Goal::None,
        ),
    ])
}

/// From the start of a killed master to its first linearizable answer; of one, and of all three.
async fn restarts(cluster: &mut Cluster, client: &Arc<StoreClient>) -> anyhow::Result<Vec<Figure>> {
    let leader = cluster.leader(client).await?;
    let one = (leader + 1) % cluster.count();
    cluster.kill(one)?;
    let begun = Instant::now();
    cluster.run(one)?;
    serving(&cluster.client_of(one)?, begun).await?;
    let alone = begun.elapsed();
    cluster.caught_up(client, PATIENCE).await?;
    cluster.kill_all()?;
    let begun = Instant::now();
    for master in 0..cluster.count() {
        cluster.run(master)?;
    }
    write(client, 0).await?;
    let all = begun.elapsed();
    let figure =
        |what: &str, took: Duration, goal| Figure::alone(what, "s", took.as_secs_f64(), goal);
    Ok(vec![
        figure(
            "restart of a killed master, to serving",
            alone,
            Goal::AtMost(2.0),
        ),
        figure("restart of all killed masters, to a write", all, Goal::None),
    ])
}

async fn serving(client: &StoreClient, begun: Instant) -> anyhow::Result<()> {
    while begun.elapsed() < PATIENCE {
        let asked = client.user_named("admin", Duration::from_secs(5)).await;
        if asked.is_ok() {
            return Ok(());
        }
    }
    bail!("a restarted master did not serve within {PATIENCE:?}")
}
