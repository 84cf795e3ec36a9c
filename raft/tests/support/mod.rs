//! What the tests of this room share: masters in this process, over real mutual TLS on
//! loopback, each behind a gate of its own, and on real files.

#![allow(dead_code, reason = "each test program uses its own part of this")]

pub mod load;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use docklet_control::command::InitCluster;
use docklet_control::id::{LogIndex, MasterId, RequestId, SecretHash, UserId};
use docklet_control::model::{Autopilot, ClusterId, ClusterVersion, JoinRole, Role};
use docklet_control::{Actor, Command};
use docklet_link::authority::SigningRequest;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::listener::ClusterListener;
use docklet_link::{Authority, Credentials, JoinSecret};
use docklet_raft::{HistoryLimits, JoinKind, Master, MasterConfig, ProposeFault, Timing, join};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub const CLUSTER: [u8; 16] = [9; 16];
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const ADMIN: Actor = Actor::User(UserId(1));

/// A running master with its listener; dropping it without `stop` leaves its tasks to the runtime's end.
pub struct Member {
    pub master: Master,
    pub listener: JoinHandle<()>,
    pub addr: String,
    pub dir: PathBuf,
}

impl Member {
    pub async fn run(dir: &Path, listen: &str) -> Self {
        Self::run_keeping(dir, listen, HistoryLimits::default()).await
    }

    /// The same, with a history of this extent.
    pub async fn run_keeping(dir: &Path, listen: &str, history: HistoryLimits) -> Self {
        Self::run_as(dir, listen, history, ClusterVersion::FIRST).await
    }

    /// The same, by a program that knows so much.
    pub async fn run_knowing(dir: &Path, listen: &str, knows: ClusterVersion) -> Self {
        Self::run_as(dir, listen, HistoryLimits::default(), knows).await
    }

    async fn run_as(
        dir: &Path,
        listen: &str,
        history: HistoryLimits,
        knows: ClusterVersion,
    ) -> Self {
        let credentials = Credentials::load(dir).expect("the member has joined");
        let listener = bind(listen, &credentials).await;
        let addr = listener.local_addr().expect("address").to_string();
        let master = start(dir, &credentials, history, knows).await;
        let authority = Credentials::authority(dir).expect("authority");
        let listener = listener.through(master.gate());
        let serve = listener.serve(master.doors(authority), master.deny());
        Self {
            listener: tokio::spawn(serve),
            master,
            addr,
            dir: dir.to_owned(),
        }
    }

    /// As a process stops that is told to: leadership goes while the doors are still open.
    pub async fn stop(self) -> (PathBuf, String) {
        self.master.hand_over().await;
        self.listener.abort();
        self.master.shutdown().await;
        (self.dir, self.addr)
    }

    /// Proposes what must be accepted.
    pub async fn command(&self, command: Command) {
        let request = RequestId(rand::random());
        let proposed = self.master.propose(ADMIN, request, command, PATIENCE);
        proposed.await.expect("accepted");
    }

    pub async fn write(&self, name: &str) -> LogIndex {
        self.write_as(RequestId(rand::random()), name)
            .await
            .expect("accepted")
    }

    pub async fn write_as(&self, request: RequestId, name: &str) -> Result<LogIndex, ProposeFault> {
        let command = Command::CreateUser {
            name: name.to_owned(),
            role: Role::User,
            password_hash: "x".to_owned(),
        };
        let receipt = self
            .master
            .propose(ADMIN, request, command, PATIENCE)
            .await?;
        Ok(receipt.index)
    }
}

/// Listens, as soon as the one that did so before has stopped.
async fn bind(addr: &str, credentials: &Credentials) -> ClusterListener {
    let begun = Instant::now();
    loop {
        match ClusterListener::bind(addr, credentials).await {
            Ok(listener) => return listener,
            Err(fault) if begun.elapsed() > PATIENCE => panic!("bind: {fault:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Starts a master, as soon as the one that used the directory before has let go of it.
async fn start(
    dir: &Path,
    credentials: &Credentials,
    history: HistoryLimits,
    knows: ClusterVersion,
) -> Master {
    let begun = Instant::now();
    loop {
        let config = MasterConfig {
            data_dir: dir.to_owned(),
            credentials: credentials.into(),
            timing: Timing::default(),
            history,
            knows,
        };
        match Master::start(config).await {
            Ok(master) => return master,
            Err(fault) if begun.elapsed() > PATIENCE => panic!("start: {fault:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// The first master of a new cluster.
pub async fn first(dir: &Path) -> Member {
    let authority = Authority::create(CLUSTER).expect("authority");
    let signing = SigningRequest::new().expect("key");
    let identity = Identity {
        role: PeerRole::Master,
        id: 1,
        cluster: CLUSTER,
    };
    let own = authority.sign(&signing.csr_pem, identity).expect("sign");
    let (ca, ca_key) = (authority.certificate_pem(), Some(authority.key_pem()));
    Credentials::store(dir, ca, &own, &signing.key_pem, ca_key).expect("store");
    let member = Member::run(dir, &free_addr()).await;
    let init = InitCluster {
        cluster: ClusterId(CLUSTER),
        cluster_name: "test".to_owned(),
        cluster_net: "10.64.0.0/10".parse().expect("network"),
        user_prefix: 22,
        cpu_overcommit_percent: 100,
        memory_overcommit_percent: 100,
        worker_timeout_ms: 5_000,
        admin_name: "admin".to_owned(),
        admin_password_hash: "x".to_owned(),
        master: MasterId(1),
        master_name: "m1".to_owned(),
        cluster_addr: member.addr.clone(),
        public_addr: "127.0.0.1:1".to_owned(),
    };
    member.master.initialize(init).await.expect("initialise");
    hurry(&member, None).await;
    member
}

/// So that a test need not wait for votes as long as an operator would.
pub async fn hurry(member: &Member, dead_after_ms: Option<u64>) {
    let autopilot = Autopilot {
        steady_ms: 200,
        dead_after_ms,
        ..Autopilot::default()
    };
    member.command(Command::SetAutopilot { autopilot }).await;
}

/// What a token says of the cluster's authority.
pub fn fingerprint(member: &Member) -> [u8; 32] {
    let ca = Credentials::load(&member.dir).expect("credentials").ca;
    docklet_link::authority::fingerprint(&ca)
}

pub async fn token(member: &Member, role: PeerRole, uses: u32) -> JoinSecret {
    let addrs = vec![member.addr.clone()];
    let token = JoinSecret::generate(role, addrs, fingerprint(member));
    let command = Command::CreateJoinToken {
        secret_hash: SecretHash(token.secret_hash()),
        role: match role {
            PeerRole::Master => JoinRole::Master,
            PeerRole::Agent => JoinRole::Agent,
        },
        ttl_ms: 60_000,
        uses,
    };
    let request = RequestId(rand::random());
    member
        .master
        .propose(ADMIN, request, command, PATIENCE)
        .await
        .expect("token");
    token
}

/// A free port of a loopback address of its own, so that no connection which somebody dials takes it meanwhile.
pub fn free_addr() -> String {
    let [a, b] = rand::random::<[u8; 2]>();
    let listener = std::net::TcpListener::bind(format!("127.77.{a}.{b}:0")).expect("bind");
    listener.local_addr().expect("address").to_string()
}

pub async fn joined(token: &JoinSecret, dir: &Path, name: &str) -> Member {
    let addr = free_addr();
    let kind = JoinKind::Master {
        name: name.to_owned(),
        cluster_addr: addr.clone(),
        public_addr: "127.0.0.1:1".to_owned(),
        knows: ClusterVersion::FIRST,
    };
    join(token, kind, dir).await.expect("join");
    Member::run(dir, &addr).await
}

/// A group of so many voters, each with a directory of its own.
pub async fn voters_of(dirs: &[TempDir]) -> Vec<Member> {
    let mut members = vec![first(dirs[0].path()).await];
    let token = token(&members[0], PeerRole::Master, 9).await;
    for (number, dir) in dirs.iter().enumerate().skip(1) {
        let name = format!("m{}", number + 1);
        members.push(joined(&token, dir.path(), &name).await);
    }
    // Until the change is complete the first one alone could stop all others.
    let settled = |member: &Member| !member.master.brief_status().changing;
    let all = |member: &Member| voters(member) == dirs.len() && settled(member);
    wait_for("all to vote", || members.iter().all(all)).await;
    members
}

pub async fn three(dirs: &[TempDir; 3]) -> [Member; 3] {
    let one = first(dirs[0].path()).await;
    let token = token(&one, PeerRole::Master, 2).await;
    let two = joined(&token, dirs[1].path(), "m2").await;
    let three = joined(&token, dirs[2].path(), "m3").await;
    wait_for("three voters", || voters(&one) == 3).await;
    [one, two, three]
}

pub fn dirs() -> [TempDir; 3] {
    std::array::from_fn(|_| TempDir::new().expect("directory"))
}

pub fn voters(member: &Member) -> usize {
    member
        .master
        .status()
        .members
        .iter()
        .filter(|m| m.voter)
        .count()
}

pub async fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll)
        .await
        .unwrap_or_else(|_| panic!("no {what} in time"));
}

pub async fn agree(members: &[&Member], index: LogIndex) {
    for member in members {
        member
            .master
            .wait_applied(index, PATIENCE)
            .await
            .expect("caught up");
    }
    wait_for("equal hashes", || {
        let views: Vec<_> = members.iter().map(|m| m.master.local()).collect();
        views
            .iter()
            .all(|v| v.index == views[0].index && v.hash() == views[0].hash())
    })
    .await;
}

/// Which of them leads, once all know it.
pub async fn leader_of(members: &[Member]) -> usize {
    let found = || {
        let leader = members[0].master.status().leader?;
        let agreed = members
            .iter()
            .all(|m| m.master.status().leader == Some(leader));
        let place = members.iter().position(|m| m.master.id() == leader)?;
        (agreed && members[place].master.is_leader()).then_some(place)
    };
    wait_for("leader that all know", || found().is_some()).await;
    found().expect("there was one a moment ago")
}
