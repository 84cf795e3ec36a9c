//! A cluster of real masters: made by the real command line, each in a namespace and a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use docklet_control::id::{LogIndex, SecretHash, UserId};
use docklet_control::model::JoinRole;
use docklet_control::{Actor, Command as Asked};
use docklet_link::identity::PeerRole;
use docklet_link::{Authority, Credentials, JoinSecret};
use docklet_raft::{RaftStatus, StoreClient};

use crate::disk::{Disk, DiskKind};
use crate::members::Members;
use crate::network::Network;
use crate::process;

/// Whatever a healthy cluster does takes less.
pub const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
/// The account that `master init` makes.
pub const ADMIN: Actor = Actor::User(UserId(1));

/// Its name and password.
pub const ADMIN_NAME: &str = "admin";
pub const ADMIN_PASSWORD: &str = "a password for a test";

/// What a cluster is like.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    pub masters: usize,
    /// Variables in the masters' environment.
    pub environment: Vec<(String, String)>,
    /// Variables of single masters.
    pub own_environment: Vec<(usize, String, String)>,
    /// Masters with a disk of their own.
    pub disks: Vec<(usize, DiskKind)>,
    /// What they run at first; the program under test if absent.
    pub program: Option<PathBuf>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            masters: 3,
            environment: Vec::new(),
            own_environment: Vec::new(),
            disks: Vec::new(),
            program: None,
        }
    }
}

/// Some masters, numbered from 0.
pub struct Cluster {
    /// What each master runs.
    programs: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    own_environment: Vec<(usize, String, String)>,
    masters: Members,
    disks: BTreeMap<usize, Disk>,
}

impl Cluster {
    /// A cluster of three voting masters.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(ClusterOptions::default()).await
    }

    /// A cluster of choice; all its masters vote.
    pub async fn start_with(options: ClusterOptions) -> anyhow::Result<Self> {
        let count = options.masters;
        let program = options.program.map_or_else(program, Ok)?;
        let mut cluster = Self {
            programs: vec![program; count],
            environment: options.environment,
            own_environment: options.own_environment,
            disks: BTreeMap::new(),
            masters: Members::prepare(count)?,
        };
        for (master, kind) in options.disks {
            let disk = Disk::mount(kind, &cluster.dir_of(master))?;
            cluster.disks.insert(master, disk);
        }
        cluster.form(count).await?;
        Ok(cluster)
    }

    async fn form(&mut self, count: usize) -> anyhow::Result<()> {
        let password = self.masters.dir().join("admin-password");
        fs::write(&password, ADMIN_PASSWORD)?;
        let mut init = self.command(0, &["master", "init"]);
        init.args(self.addresses(0))
            .arg("--admin-password-file")
            .arg(&password);
        process::run(&mut init)?;
        self.run(0)?;
        if count > 1 {
            let token = self.token(u32::try_from(count - 1)?).await?;
            for master in 1..count {
                let mut join = self.command(master, &["master", "join", &token]);
                process::run(join.args(self.addresses(master)))?;
                self.run(master)?;
            }
        }
        let voters = |status: &RaftStatus| status.members.iter().filter(|m| m.voter).count();
        let client = self.client(1)?;
        self.until("all masters vote", async || {
            match client.status_at(0, PATIENCE).await {
                Ok(status) => status.leader.is_some() && voters(&status) == count,
                Err(_) => false,
            }
        })
        .await
    }

    /// An invitation for masters.
    async fn token(&self, uses: u32) -> anyhow::Result<String> {
        let client = self.client(1)?;
        let ca = docklet_link::authority::fingerprint(&self.credentials()?.ca);
        let token = JoinSecret::generate(PeerRole::Master, vec![self.cluster_addr(0)], ca);
        let command = Asked::CreateJoinToken {
            secret_hash: SecretHash(token.secret_hash()),
            role: JoinRole::Master,
            ttl_ms: 600_000,
            uses,
        };
        let request = client.new_request().await?;
        client.propose(ADMIN, request, command, PATIENCE).await?;
        Ok(token.to_string())
    }

    fn command(&self, master: usize, arguments: &[&str]) -> Command {
        let mut command = self.masters.command(master, &self.programs[master]);
        command.args(arguments).envs(self.environment.clone());
        let own = self.own_environment.iter().filter(|own| own.0 == master);
        command.envs(own.map(|(_, key, value)| (key, value)));
        command
    }

    fn addresses(&self, master: usize) -> Vec<String> {
        let address = self.network().address(master);
        [
            ("--dir", self.dir_of(master).display().to_string()),
            ("--name", format!("m{master}")),
            ("--cluster-addr", self.cluster_addr(master)),
            ("--public-addr", format!("{address}:8443")),
        ]
        .into_iter()
        .flat_map(|(key, value)| [key.to_owned(), value])
        .collect()
    }

    /// How many masters there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.masters.count()
    }

    /// Where a master keeps its files.
    #[must_use]
    pub fn dir_of(&self, master: usize) -> PathBuf {
        self.masters.dir().join(format!("m{master}"))
    }

    /// Where a master's output goes.
    #[must_use]
    pub fn log_of(&self, master: usize) -> PathBuf {
        self.masters.log_of(master)
    }

    /// A master's cluster listener.
    #[must_use]
    pub fn cluster_addr(&self, master: usize) -> String {
        format!("{}:7000", self.network().address(master))
    }

    /// Every master's public listener.
    #[must_use]
    pub fn public_addrs(&self) -> Vec<String> {
        let addr = |master| format!("{}:8443", self.network().address(master));
        (0..self.count()).map(addr).collect()
    }

    /// The network between them.
    #[must_use]
    pub fn network(&self) -> &Network {
        self.masters.network()
    }

    /// Their processes.
    #[must_use]
    pub fn processes(&mut self) -> &mut Members {
        &mut self.masters
    }

    /// A master's credentials.
    pub fn credentials(&self) -> anyhow::Result<Credentials> {
        Ok(Credentials::load(&self.dir_of(0))?)
    }

    /// The cluster's authority.
    pub fn authority(&self) -> anyhow::Result<Authority> {
        Ok(Credentials::authority(&self.dir_of(0))?)
    }

    /// A client of all masters, with so many connections to each that it uses.
    pub fn client(&self, connections: usize) -> anyhow::Result<StoreClient> {
        let addrs: Vec<String> = (0..self.count()).map(|m| self.cluster_addr(m)).collect();
        Ok(StoreClient::new(self.credentials()?, &addrs, connections))
    }

    /// The disk of a master that has one of its own.
    #[must_use]
    pub fn disk(&self, master: usize) -> Option<&Disk> {
        self.disks.get(&master)
    }

    /// A client of one master only.
    pub fn client_of(&self, master: usize) -> anyhow::Result<StoreClient> {
        let addrs = [self.cluster_addr(master)];
        Ok(StoreClient::new(self.credentials()?, &addrs, 1))
    }

    /// Starts a master that does not run.
    pub fn run(&mut self, master: usize) -> anyhow::Result<()> {
        let dir = self.dir_of(master).display().to_string();
        let command = self.command(master, &["master", "run", "--dir", &dir]);
        self.masters.start(master, command)
    }

    /// From its next start on, a master runs this program.
    pub fn install(&mut self, master: usize, program: PathBuf) {
        self.programs[master] = program;
    }

    /// Kills a master, without warning.
    pub fn kill(&mut self, master: usize) -> anyhow::Result<()> {
        self.masters.kill(master)
    }

    /// Kills all masters at the same instant.
    pub fn kill_all(&mut self) -> anyhow::Result<()> {
        self.masters.kill_all()
    }

    /// Stops a master in order; answers how long that took it.
    pub fn stop(&mut self, master: usize) -> anyhow::Result<Duration> {
        self.masters.stop(master)
    }

    /// Waits until a master has ended by itself; answers its exit code.
    pub fn ended(&mut self, master: usize) -> anyhow::Result<Option<i32>> {
        self.masters.ended(master)
    }

    /// Freezes a master: it keeps its connections and answers nothing.
    pub fn freeze(&mut self, master: usize) -> anyhow::Result<()> {
        self.masters.freeze(master)
    }

    /// Lets a frozen master go on.
    pub fn thaw(&mut self, master: usize) -> anyhow::Result<()> {
        self.masters.thaw(master)
    }

    /// What the masters that answer at once say of the group.
    pub async fn statuses(&self, client: &StoreClient) -> Vec<(usize, RaftStatus)> {
        let ask = async |master| {
            let status = client.status_at(master, Duration::from_millis(300)).await;
            Some((master, status.ok()?))
        };
        let asked = futures_util::future::join_all(self.masters.running().map(ask)).await;
        asked.into_iter().flatten().collect()
    }

    /// Waits until one master says that it leads, and the most of them say so too.
    pub async fn leader(&self, client: &StoreClient) -> anyhow::Result<usize> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let statuses = self.statuses(client).await;
            let agreed = statuses.iter().find(|(_, status)| {
                let same = |other: &&(usize, RaftStatus)| other.1.leader == Some(status.id);
                status.role == "leader" && statuses.iter().filter(same).count() * 2 > self.count()
            });
            if let Some((master, _)) = agreed {
                return Ok(*master);
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("no leader within {PATIENCE:?}{}", self.logs())
    }

    /// Waits until every running master has on its disk and in its state all that the leader's log holds now, as the
    /// leader knows it too, while writes go on. Answers after how long.
    pub async fn caught_up(
        &self,
        client: &StoreClient,
        within: Duration,
    ) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut goal = None;
        let mut seen = Vec::new();
        while begun.elapsed() < within {
            seen = self.statuses(client).await;
            if let Some((_, leader)) = seen.iter().find(|(_, status)| status.role == "leader") {
                let goal = *goal.get_or_insert(leader.last_log);
                if seen.len() == self.masters.running().count() && have(&seen, leader, goal) {
                    return Ok(begun.elapsed());
                }
            }
            tokio::time::sleep(POLL).await;
        }
        bail!(
            "not caught up with {goal:?} within {within:?}: {seen:#?}{}",
            self.logs()
        )
    }

    /// Waits, after all writes, until every running master has the whole log on its disk and in its state, as the leader knows it, and
    /// all states are the same. Answers after how long.
    pub async fn settled(
        &self,
        client: &StoreClient,
        within: Duration,
    ) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut seen = Vec::new();
        while begun.elapsed() < within {
            seen = self.statuses(client).await;
            if seen.len() == self.masters.running().count() && is_settled(&seen) {
                return Ok(begun.elapsed());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("not settled within {within:?}: {seen:#?}{}", self.logs())
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !holds().await {
            if begun.elapsed() > PATIENCE {
                bail!("{what}: not within {PATIENCE:?}{}", self.logs());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The ends of the masters' logs, for a failure's message.
    #[must_use]
    pub fn logs(&self) -> String {
        self.masters.logs()
    }
}

/// Whether all have everything up to `goal`, and the leader knows it of those that do not lead.
fn have(seen: &[(usize, RaftStatus)], leader: &RaftStatus, goal: LogIndex) -> bool {
    let known = |id| {
        let member = leader.members.iter().find(|member| member.id == id);
        member.and_then(|member| member.matched) >= Some(goal)
    };
    seen.iter()
        .all(|(_, status)| status.applied >= goal && (status.id == leader.id || known(status.id)))
}

fn is_settled(seen: &[(usize, RaftStatus)]) -> bool {
    let Some((_, leader)) = seen.iter().find(|(_, status)| status.role == "leader") else {
        return false;
    };
    let caught_up = |status: &RaftStatus| {
        let matched = leader.members.iter().find(|member| member.id == status.id);
        let matched = matched.and_then(|member| member.matched);
        status.last_log == leader.last_log
            && status.applied == leader.applied
            && status.state_hash == leader.state_hash
            && (status.id == leader.id || matched == Some(leader.last_log))
    };
    leader.applied == leader.last_log && seen.iter().all(|(_, status)| caught_up(status))
}

/// The program whose masters know one cluster version less: an example, which Cargo builds with this package's tests.
pub fn program_before() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let built = own
        .ancestors()
        .map(|dir| dir.join("examples/docklet_before"));
    let found = built.skip(1).take(2).find(|path| path.is_file());
    found.context("not built: run `cargo build -p docklet-chaos-tests --examples` first")
}

/// The program under test: `DOCKLET_PROGRAM`, or what was built beside this one.
pub fn program() -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os("DOCKLET_PROGRAM") {
        return Ok(given.into());
    }
    let own = std::env::current_exe().context("find this program")?;
    let built = own.ancestors().map(|dir| dir.join("docklet"));
    let found = built.skip(1).take(2).find(|path| path.is_file());
    found.context("docklet is not built: run `cargo build` first")
}
