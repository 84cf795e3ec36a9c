//! The two that are compared, with the same work.

use std::sync::Arc;
use std::time::Duration;

use docklet_chaos_tests::clients::{self, Measured};
use docklet_chaos_tests::{ADMIN, Cluster, Etcd, EtcdClient, PATIENCE};
use docklet_control::Command;
use docklet_control::id::UserId;
use docklet_control::model::Role;
use docklet_raft::StoreClient;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::Rng;

pub const VALUE_BYTES: usize = 256;
/// Keys that are written and read, at random.
const KEYS: u64 = 1_000;
const WARM_UP: Duration = Duration::from_secs(1);

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Write,
    Read,
}

/// Connections for so many clients, as LAB-RAFT.md's figures had them.
fn connections(clients: usize) -> usize {
    match clients {
        0..=1 => 1,
        2..=16 => 4,
        17..=64 => 8,
        _ => 16,
    }
}

/// Some key.
pub fn random_key() -> u64 {
    rand::rng().random_range(0..KEYS)
}

fn freeze(pids: &[u32], frozen: bool) -> anyhow::Result<()> {
    let signal = if frozen {
        Signal::SIGSTOP
    } else {
        Signal::SIGCONT
    };
    for pid in pids {
        kill(Pid::from_raw(i32::try_from(*pid)?), signal)?;
    }
    Ok(())
}

/// Three masters.
pub struct Ours {
    pub cluster: Cluster,
    pids: Vec<u32>,
}

impl Ours {
    pub async fn start() -> anyhow::Result<Self> {
        let mut cluster = Cluster::start().await?;
        let pids = cluster.processes().pids();
        Ok(Self { cluster, pids })
    }

    /// Makes the keys: accounts.
    pub async fn prepare(&mut self) -> anyhow::Result<()> {
        make_users(&Arc::new(self.client(8).await?)).await
    }

    pub async fn client(&self, connections: usize) -> anyhow::Result<StoreClient> {
        let client = self.cluster.client(connections)?;
        client.prefer(self.cluster.leader(&client).await?);
        Ok(client)
    }

    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    pub fn freeze(&self, frozen: bool) -> anyhow::Result<()> {
        freeze(&self.pids, frozen)
    }

    /// Waits until there is a leader that answers.
    pub async fn wait(&self) -> anyhow::Result<()> {
        let client = self.client(1).await?;
        client.user_named("admin", PATIENCE).await?;
        Ok(())
    }

    pub async fn run(
        &self,
        work: Work,
        clients: usize,
        lasting: Duration,
    ) -> anyhow::Result<Measured> {
        self.wait().await?;
        let client = Arc::new(self.client(connections(clients)).await?);
        let servers = self.pids.clone();
        let call = move |_, _| {
            let (client, key) = (client.clone(), random_key());
            async move {
                match work {
                    Work::Write => write(&client, key).await,
                    Work::Read => read(&client, key).await,
                }
            }
        };
        clients::run(clients, WARM_UP, lasting, servers, call).await
    }
}

/// Makes the keys: accounts, the first after the admin's.
pub async fn make_users(client: &Arc<StoreClient>) -> anyhow::Result<()> {
    let keys: Vec<u64> = (0..KEYS).collect();
    for some in keys.chunks(64) {
        let make = |key: &u64| make_user(client.clone(), *key);
        let made = futures_util::future::join_all(some.iter().map(make)).await;
        made.into_iter().collect::<anyhow::Result<()>>()?;
    }
    Ok(())
}

async fn make_user(client: Arc<StoreClient>, key: u64) -> anyhow::Result<()> {
    let command = Command::CreateUser {
        name: format!("key-{key}"),
        role: Role::User,
        password_hash: "x".repeat(VALUE_BYTES),
    };
    let request = client.new_request().await?;
    client.propose(ADMIN, request, command, PATIENCE).await?;
    Ok(())
}

/// Writes a key. The admin is the first account, keys follow, in whichever order.
pub async fn write(client: &StoreClient, key: u64) -> anyhow::Result<()> {
    let command = Command::ChangePassword {
        user: UserId(2 + key),
        password_hash: "x".repeat(VALUE_BYTES),
    };
    let request = client.new_request().await?;
    client.propose(ADMIN, request, command, PATIENCE).await?;
    Ok(())
}

async fn read(client: &StoreClient, key: u64) -> anyhow::Result<()> {
    let (user, _) = client.user_named(&format!("key-{key}"), PATIENCE).await?;
    let found = user.is_some_and(|user| user.password_hash.len() == VALUE_BYTES);
    anyhow::ensure!(found, "key {key} is missing");
    Ok(())
}

/// Three members of etcd.
pub struct Peer {
    etcd: Etcd,
    pids: Vec<u32>,
}

impl Peer {
    pub async fn start() -> anyhow::Result<Self> {
        let mut etcd = Etcd::start().await?;
        let pids = etcd.processes().pids();
        Ok(Self { etcd, pids })
    }

    /// Makes the keys.
    pub async fn prepare(&mut self) -> anyhow::Result<()> {
        let client = self.client().await?;
        let keys: Vec<u64> = (0..KEYS).collect();
        for some in keys.chunks(64) {
            let put = |key: &u64| put(client.clone(), *key);
            let made = futures_util::future::join_all(some.iter().map(put)).await;
            made.into_iter().collect::<anyhow::Result<()>>()?;
        }
        Ok(())
    }

    async fn client(&self) -> anyhow::Result<EtcdClient> {
        self.etcd.client_of(self.etcd.leader().await?).await
    }

    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    pub fn freeze(&self, frozen: bool) -> anyhow::Result<()> {
        freeze(&self.pids, frozen)
    }

    /// Waits until all members answer.
    pub async fn wait(&self) -> anyhow::Result<()> {
        self.etcd.healthy().await
    }

    pub async fn run(
        &self,
        work: Work,
        clients: usize,
        lasting: Duration,
    ) -> anyhow::Result<Measured> {
        let mut all = Vec::new();
        for _ in 0..connections(clients) {
            all.push(self.client().await?);
        }
        let all = Arc::new(all);
        let servers = self.pids.clone();
        let call = move |client: usize, _| {
            let (connection, key) = (all[client % all.len()].clone(), random_key());
            async move {
                match work {
                    Work::Write => put(connection, key).await,
                    Work::Read => get(&connection, key).await,
                }
            }
        };
        clients::run(clients, WARM_UP, lasting, servers, call).await
    }
}

async fn put(client: EtcdClient, key: u64) -> anyhow::Result<()> {
    let name = format!("key-{key}");
    client.put(name.as_bytes(), &[b'x'; VALUE_BYTES]).await?;
    Ok(())
}

async fn get(client: &EtcdClient, key: u64) -> anyhow::Result<()> {
    let value = client.get(format!("key-{key}").as_bytes()).await?;
    let found = value.is_some_and(|value| value.len() == VALUE_BYTES);
    anyhow::ensure!(found, "key {key} is missing");
    Ok(())
}
