//! Three masters in one process, over real mutual TLS on loopback, each behind a gate of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use docklet_control::command::InitCluster;
use docklet_control::id::{MasterId, RequestId, SecretHash, UserId};
use docklet_control::model::{ClusterId, JoinRole};
use docklet_control::{Actor, Command};
use docklet_link::authority::SigningRequest;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::listener::ClusterListener;
use docklet_link::{Authority, Credentials, JoinSecret};
use docklet_raft::{HistoryLimits, JoinKind, Master, MasterConfig, Timing, join};
use tempfile::TempDir;
use tokio::task::JoinHandle;

const CLUSTER: [u8; 16] = [9; 16];
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const ADMIN: Actor = Actor::User(UserId(1));

/// A running master with its listener; dropping it without `stop` leaves its tasks to the runtime's end.
pub struct Member {
    pub master: Master,
    listener: JoinHandle<()>,
    addr: String,
    dir: PathBuf,
}

impl Member {
    async fn run(dir: &Path, listen: &str) -> Self {
        let credentials = Credentials::load(dir).expect("the member has joined");
        let listener = ClusterListener::bind(listen, &credentials)
            .await
            .expect("bind");
        let addr = listener.local_addr().expect("address").to_string();
        let config = MasterConfig {
            data_dir: dir.to_owned(),
            credentials,
            timing: Timing::default(),
            history: HistoryLimits::default(),
        };
        let master = Master::start(config).await.expect("start");
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

    pub async fn stop(self) {
        self.listener.abort();
        self.master.shutdown().await;
    }
}

/// The first master of a new cluster.
async fn first(dir: &Path) -> Member {
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
    let member = Member::run(dir, "127.0.0.1:0").await;
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
    member
}

async fn token(member: &Member, role: PeerRole, uses: u32) -> JoinSecret {
    let ca = Credentials::load(&member.dir).expect("credentials").ca;
    let fingerprint = docklet_link::authority::fingerprint(&ca);
    let token = JoinSecret::generate(role, vec![member.addr.clone()], fingerprint);
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

/// A free port of loopback: bound once, so that nobody else has it, then given back.
fn free_addr() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address").to_string()
}

async fn joined(token: &JoinSecret, dir: &Path, name: &str) -> Member {
    let addr = free_addr();
    let kind = JoinKind::Master {
        name: name.to_owned(),
        cluster_addr: addr.clone(),
        public_addr: "127.0.0.1:1".to_owned(),
    };
    join(token, kind, dir).await.expect("join");
    Member::run(dir, &addr).await
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

fn voters(member: &Member) -> usize {
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
