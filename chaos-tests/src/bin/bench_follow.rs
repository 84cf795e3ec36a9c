//! Ten thousand workers that follow one master: how soon each knows that its assignment changed, and what memory a
//! follower costs. Each has a certificate and a connection of its own to the master's cluster listener, and sends its
//! heartbeat twice a second, as agents do: an identity is a connection, there is no other way to follow.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use docklet_chaos_tests::follow::{Arrivals, IMAGE, Worker, Workers};
use docklet_chaos_tests::report::{self, Figure, Goal, ms, percentile};
use docklet_chaos_tests::usage::{Meter, resident_mib};
use docklet_chaos_tests::{ADMIN, Cluster, count};
use docklet_control::Command;
use docklet_control::agent_wire::HEARTBEAT_MS;
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::id::{LogIndex, VclusterId, WorkerId};
use docklet_control::model::{ImageSpec, WorkerCapacity};
use docklet_raft::StoreClient;
use futures_util::StreamExt as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

/// Nothing takes longer, be it ten thousand times.
const PATIENCE: Duration = Duration::from_secs(300);
/// Proposals, and connections in the making, at once.
const AT_ONCE: usize = 64;
/// Between looks at what is to come.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The log stands still for so long when all is said that workers say when they come.
const QUIET: Duration = Duration::from_secs(3);
/// Files that this process and the followed master have open beside one for each follower.
const FILES_BESIDES: u64 = 1_000;

/// One vnode fits on a worker.
const SIZE: VnodeSize = VnodeSize {
    cpu_milli: CpuMilli(1_000),
    memory_mib: MemoryMib(64),
    pids_max: 8,
};

/// Ten thousand heartbeats a second, on both their ends, may be too much for a small machine: then less often.
fn heartbeat() -> Duration {
    Duration::from_millis(count("HEARTBEAT_MS", HEARTBEAT_MS))
}

fn capacity() -> WorkerCapacity {
    WorkerCapacity {
        cpu_milli: SIZE.cpu_milli,
        memory_mib: SIZE.memory_mib,
        disk_mib: DiskMib(1 << 20),
        gpus: Vec::new(),
    }
}

/// The cluster and whom its followers follow.
struct Scene {
    cluster: Cluster,
    client: StoreClient,
    /// The master that all follow; another leads.
    followed: usize,
    arrivals: Arc<Arrivals>,
    connected: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
}

impl Scene {
    async fn open() -> anyhow::Result<Self> {
        let cluster = Cluster::start().await?;
        let client = cluster.client(4)?;
        let leader = cluster.leader(&client).await?;
        Ok(Self {
            followed: (leader + 1) % cluster.count(),
            cluster,
            client,
            arrivals: Arc::default(),
            connected: Arc::default(),
            broken: Arc::default(),
        })
    }

    async fn join(&self, number: u32) -> anyhow::Result<Vec<Worker>> {
        let joining = Workers {
            client: &self.client,
            authority: &self.cluster.authority()?,
            cluster: self.cluster.credentials()?.identity.cluster,
            capacity: capacity(),
            heartbeat: heartbeat(),
        };
        joining.join(number).await
    }

    /// Starts the followed master anew, so that nothing in its memory is left of what was before.
    async fn begin_anew(&mut self) -> anyhow::Result<f64> {
        self.cluster.stop(self.followed)?;
        self.cluster.run(self.followed)?;
        self.quiet().await?;
        self.resident_mib()
    }

    fn resident_mib(&mut self) -> anyhow::Result<f64> {
        let pid = self.cluster.processes().pid(self.followed);
        resident_mib(pid.context("the followed master runs")?)
    }

    /// Waits until nothing is written any more.
    async fn quiet(&self) -> anyhow::Result<()> {
        self.cluster.settled(&self.client, PATIENCE).await?;
        let (begun, mut last, mut since) = (Instant::now(), LogIndex(0), Instant::now());
        while since.elapsed() < QUIET {
            if begun.elapsed() > PATIENCE {
                bail!("the log grows and grows: {last}{}", self.cluster.logs());
            }
            let asked = self.client.status_at(self.followed, PATIENCE).await?;
            if asked.applied > last {
                (last, since) = (asked.applied, Instant::now());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Lets all follow; comes back when each has been sent its assignment.
    async fn connect(&self, workers: Vec<Worker>) -> anyhow::Result<()> {
        let (number, begun) = (workers.len(), Instant::now());
        let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        for worker in workers {
            tokio::spawn(follow(
                worker,
                self.cluster.cluster_addr(self.followed),
                turns.clone(),
                self.arrivals.clone(),
                self.connected.clone(),
                self.broken.clone(),
            ));
        }
        while self.connected.load(Ordering::Relaxed) < number {
            if begun.elapsed() > PATIENCE {
                let connected = self.connected.load(Ordering::Relaxed);
                bail!("{connected} of {number} connected{}", self.cluster.logs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Vclusters of one vnode; answers them when their workers know of them.
    async fn vclusters(&self, number: u32, held_by: WorkerId) -> anyhow::Result<Vec<VclusterId>> {
        let image = Command::RegisterImage {
            name: "base".to_owned(),
            digest: IMAGE,
            blob_bytes: 1,
            spec: ImageSpec::default(),
            description: String::new(),
            held_by,
        };
        propose(&self.client, image).await?;
        let making = (0..number).map(|number| {
            let command = Command::CreateVcluster {
                name: format!("of-{number}"),
                image: "base".to_owned(),
                vnodes: 1,
                size: SIZE,
            };
            propose(&self.client, command)
        });
        let mut making = futures_util::stream::iter(making).buffer_unordered(AT_ONCE);
        while let Some(made) = making.next().await {
            made?;
        }
        let begun = Instant::now();
        loop {
            let known = self.arrivals.vclusters();
            if known.len() >= number as usize {
                return Ok(known);
            }
            if begun.elapsed() > PATIENCE {
                bail!("{} of {number} vnodes placed", known.len());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Changes one worker's assignment after the other; answers the times until it knew, in milliseconds: from the
    /// proposal's start, and from its acknowledgement.
    async fn change(&self, vclusters: &[VclusterId], samples: usize) -> anyhow::Result<Times> {
        let mut times = Times::default();
        for sample in 0..samples {
            let vcluster = vclusters[sample % vclusters.len()];
            let command = if (sample / vclusters.len()).is_multiple_of(2) {
                Command::StopVcluster { vcluster }
            } else {
                Command::StartVcluster { vcluster }
            };
            let begun = Instant::now();
            let index = propose(&self.client, command).await?;
            let acknowledged = Instant::now();
            let arrival = self.arrivals.of(vcluster, index);
            let arrival = tokio::time::timeout(PATIENCE, arrival).await;
            let at = arrival.context("a change never came to its worker")?.at;
            times.whole.push(ms(at - begun));
            times
                .rest
                .push(ms(at.saturating_duration_since(acknowledged)));
        }
        Ok(times)
    }
}

#[derive(Default)]
struct Times {
    whole: Vec<f64>,
    rest: Vec<f64>,
}

/// Follows that one master for ever; a link that breaks is noted, and dialled again.
async fn follow(
    worker: Worker,
    addr: String,
    turns: Arc<tokio::sync::Semaphore>,
    arrivals: Arc<Arrivals>,
    connected: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
) {
    let mut known = LogIndex(0);
    let mut first = true;
    loop {
        // Given back with the first assignment.
        let mut turn = turns.clone().acquire_owned().await.ok();
        let following = worker.follow(&addr, known, |assignment| {
            known = assignment.index;
            arrivals.note(&assignment);
            if std::mem::take(&mut first) {
                connected.fetch_add(1, Ordering::Relaxed);
            }
            turn = None;
            ControlFlow::Continue(())
        });
        drop(following.await);
        broken.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(rand::random_range(100..600))).await;
    }
}

async fn propose(client: &StoreClient, command: Command) -> anyhow::Result<LogIndex> {
    let (request, name) = (client.new_request().await?, command.name());
    let receipt = client.propose(ADMIN, request, command, PATIENCE).await;
    let receipt = receipt.context(name)?;
    receipt.accepted().map_err(Clone::clone).context(name)?;
    Ok(receipt.index)
}

fn figures(followers: u32, times: &Times, kib_each: f64) -> Vec<Figure> {
    let time = |what: &str, times: &[f64], percent, goal| {
        let measure = format!("{what}, {followers} followers, p{percent}");
        Figure::alone(&measure, "ms", percentile(times, percent), goal)
    };
    let whole = "from the proposal of a change to its follower's knowing";
    let rest = "from its acknowledgement to its follower's knowing";
    vec![
        time(whole, &times.whole, 50.0, Goal::None),
        time(whole, &times.whole, 99.0, Goal::AtMost(100.0)),
        time(rest, &times.rest, 50.0, Goal::None),
        time(rest, &times.rest, 99.0, Goal::None),
        Figure::alone(
            "resident memory of the followed master, per follower",
            "KiB",
            kib_each,
            Goal::AtMost(32.0),
        ),
    ]
}

/// Says how far it has come: with ten thousand each step takes its time.
#[expect(clippy::print_stdout, reason = "people wait for it")]
fn told(how_far: &str) {
    println!("followers: {how_far}");
}

/// Lets this process, and the masters, which are its children, have so many files open.
fn open_files(count: u64) -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if most < count {
        bail!("{count} open files are needed, and {most} allowed: see `ulimit -Hn`");
    }
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raise the limit of open files")
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let followers = u32::try_from(count("FOLLOWERS", 10_000))?;
    let changing = u32::try_from(count("CHANGING", 500))?.min(followers);
    let samples = usize::try_from(count("SAMPLES", 2_000))?;
    open_files(u64::from(followers) + FILES_BESIDES)?;
    let mut scene = Scene::open().await?;
    let workers = scene.join(followers).await?;
    told("joined");
    let first = workers.first().context("no followers")?.id;
    let before = scene.begin_anew().await?;
    let connecting = Instant::now();
    scene.connect(workers).await?;
    let connected_in = connecting.elapsed();
    told("connected");
    scene.quiet().await?;
    told("described");
    let after = scene.resident_mib()?;
    let vclusters = scene.vclusters(changing, first).await?;
    scene.quiet().await?;
    told("given vnodes");
    let pids = scene.cluster.processes().pids();
    let (meter, broken) = (Meter::start(pids), scene.broken.load(Ordering::Relaxed));
    let times = scene.change(&vclusters, samples).await?;
    let used = meter.read();
    let at_the_end = scene.resident_mib()?;
    let kib_each = (after - before) * 1_024.0 / f64::from(followers);
    let notes = json!({
        "followers": followers,
        "of those with a vnode that changes": changing,
        "changes": samples,
        "how": "three masters; all follow one that does not lead, each over a connection and with a certificate of its \
                own, heartbeats besides; the changes one after the other, through another connection",
        "heartbeat_ms": heartbeat().as_millis(),
        "resident_mib": {"before": before, "all follow": after, "after the changes": at_the_end},
        "connected_in_s": connected_in.as_secs_f64(),
        "links_that_broke": {"before": broken, "until the end": scene.broken.load(Ordering::Relaxed)},
        "masters_cpu_of_a_core_percent": used.servers.as_secs_f64() / used.elapsed.as_secs_f64() * 100.0,
        "foreign_cpu_percent": used.foreign_percent,
    });
    report::tell("follow", notes, &figures(followers, &times, kib_each))
}
