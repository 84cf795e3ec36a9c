//! Clients at work: each writes and reads keys in turn and notes what it saw. A key is an account, its value the
//! text in place of the password's hash.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use docklet_control::Command;
use docklet_control::id::UserId;
use docklet_control::model::Role;
use docklet_control::model::receipt::Subject;
use docklet_raft::{ProposeFault, StoreClient};
use rand::Rng;
use tokio::task::JoinHandle;

use crate::cluster::{ADMIN, PATIENCE};
use crate::history::{Did, History, Verdict};

/// How pinned readers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// As new as every acknowledged write.
    Linearizable,
    /// What that master has: for showing that the checker finds out.
    Local,
}

/// What a load is like.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    pub clients: usize,
    pub keys: usize,
    pub pinned_reads: Reads,
    /// An operation without an answer is given up after this.
    pub deadline: Duration,
    /// A client rests this long after each operation.
    pub rest: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            clients: 12,
            keys: 40,
            pinned_reads: Reads::Linearizable,
            deadline: Duration::from_secs(4),
            rest: Duration::from_millis(2),
        }
    }
}

/// What all clients share.
struct Shared {
    client: Arc<StoreClient>,
    options: LoadOptions,
    users: Vec<UserId>,
    history: History,
    next_value: AtomicU64,
    stop: AtomicBool,
    /// When accepted writes were answered.
    accepted: Mutex<Vec<Instant>>,
    /// The first thing that should never be.
    wrong: Mutex<Option<String>>,
}

/// Clients at work on a cluster.
pub struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What a load came to.
pub struct Loaded {
    pub verdict: Verdict,
    accepted: Vec<Instant>,
}

fn name_of(key: usize) -> String {
    format!("key-{key}")
}

fn value_text(value: u64) -> String {
    format!("value {value}")
}

impl Load {
    /// Makes the keys and starts the clients, and besides one reader for each of `pinned`, that asks no other.
    pub async fn start(
        client: Arc<StoreClient>,
        pinned: Vec<StoreClient>,
        options: LoadOptions,
    ) -> anyhow::Result<Self> {
        let mut users = Vec::new();
        for key in 0..options.keys {
            users.push(make_key(&client, key).await?);
        }
        let shared = Arc::new(Shared {
            client,
            options,
            users,
            history: History::default(),
            next_value: AtomicU64::new(1),
            stop: AtomicBool::new(false),
            accepted: Mutex::default(),
            wrong: Mutex::default(),
        });
        let pinned = pinned.into_iter().map(Arc::new);
        let readers = pinned.map(|client| tokio::spawn(read_all(shared.clone(), client)));
        let workers = (0..options.clients).map(|_| tokio::spawn(work(shared.clone())));
        Ok(Self {
            tasks: workers.chain(readers).collect(),
            shared,
        })
    }

    /// How many writes have been accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        lock(&self.shared.accepted).len()
    }

    /// Waits until so many more writes are accepted.
    pub async fn progress(&self, more: usize) -> anyhow::Result<()> {
        let wanted = self.accepted() + more;
        let begun = Instant::now();
        while self.accepted() < wanted {
            if begun.elapsed() > PATIENCE {
                bail!("{more} more writes were not accepted within {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// The longest time after `since` in which no write was accepted, until now.
    #[must_use]
    pub fn longest_gap(&self, since: Instant) -> Duration {
        longest_gap(&lock(&self.shared.accepted), since, Instant::now())
    }

    /// Stops the clients, reads every key once more, and checks the history.
    pub async fn finish(self) -> anyhow::Result<Loaded> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.context("a client panicked")?;
        }
        for key in 0..self.shared.users.len() {
            read(&self.shared, &self.shared.client, key, Reads::Linearizable).await;
        }
        if let Some(wrong) = lock(&self.shared.wrong).take() {
            bail!("{wrong}");
        }
        let shared = self.shared.clone();
        let verdict = tokio::task::spawn_blocking(move || shared.history.check()).await?;
        let accepted = lock(&self.shared.accepted).clone();
        Ok(Loaded { verdict, accepted })
    }
}

impl Loaded {
    /// The longest time between two moments in which no write was accepted.
    #[must_use]
    pub fn longest_gap(&self, since: Instant, until: Instant) -> Duration {
        longest_gap(&self.accepted, since, until)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn longest_gap(accepted: &[Instant], since: Instant, until: Instant) -> Duration {
    let mut within: Vec<Instant> = accepted
        .iter()
        .copied()
        .filter(|at| *at > since && *at < until)
        .chain([since, until])
        .collect();
    within.sort();
    let gaps = within.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

async fn make_key(client: &StoreClient, key: usize) -> anyhow::Result<UserId> {
    let command = Command::CreateUser {
        name: name_of(key),
        role: Role::User,
        password_hash: value_text(0),
    };
    let request = client.new_request().await?;
    let receipt = client.propose(ADMIN, request, command, PATIENCE).await?;
    match receipt.accepted() {
        Ok(Subject::User(id)) => Ok(*id),
        other => bail!("making a key came to {other:?}"),
    }
}

async fn work(shared: Arc<Shared>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let (key, writes) = {
            let mut random = rand::rng();
            (
                random.random_range(0..shared.users.len()),
                random.random_bool(0.5),
            )
        };
        if writes {
            write(&shared, key).await;
        } else {
            read(&shared, &shared.client, key, Reads::Linearizable).await;
        }
        tokio::time::sleep(shared.options.rest).await;
    }
}

/// Reads from one master only. One that is frozen or cut off must give no answer, or the right one.
async fn read_all(shared: Arc<Shared>, client: Arc<StoreClient>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let key = rand::rng().random_range(0..shared.users.len());
        read(&shared, &client, key, shared.options.pinned_reads).await;
        tokio::time::sleep(shared.options.rest).await;
    }
}

async fn write(shared: &Shared, key: usize) {
    let value = shared.next_value.fetch_add(1, Ordering::Relaxed);
    let command = Command::ChangePassword {
        user: shared.users[key],
        password_hash: value_text(value),
    };
    let Ok(request) = shared.client.new_request().await else {
        return;
    };
    let called = Instant::now();
    let proposed = shared
        .client
        .propose(ADMIN, request, command, shared.options.deadline)
        .await;
    let returned = Instant::now();
    match proposed {
        Ok(_) => {
            shared
                .history
                .answered(key, called, returned, Did::Write(value));
            lock(&shared.accepted).push(returned);
        }
        Err(ProposeFault::Unknown(_)) => shared.history.unknown(key, called, value),
        Err(ProposeFault::Refused(refusal)) => {
            let text = format!("a write that nothing forbids was refused: {refusal}");
            lock(&shared.wrong).get_or_insert(text);
        }
    }
}

async fn read(shared: &Shared, client: &StoreClient, key: usize, reads: Reads) {
    let (name, called) = (name_of(key), Instant::now());
    let deadline = shared.options.deadline;
    let read = match reads {
        Reads::Linearizable => client.user_named(&name, deadline).await,
        Reads::Local => client.user_named_at(0, &name, deadline).await,
    };
    let returned = Instant::now();
    let Ok((user, _)) = read else {
        // A read without an answer says nothing.
        return;
    };
    let text = user.map(|user| user.password_hash);
    let value = text.as_deref().and_then(|text| text.strip_prefix("value "));
    match value.and_then(|value| value.parse().ok()) {
        Some(value) => shared
            .history
            .answered(key, called, returned, Did::Read(value)),
        None => {
            let text = format!("{name} read as {text:?}, which nobody wrote");
            lock(&shared.wrong).get_or_insert(text);
        }
    }
}
