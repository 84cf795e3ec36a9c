//! One master in this process with its cluster listener, and machines that dial it by real mutual TLS.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use docklet_control::agent_wire::{FromAgent, ToAgent};
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::assignment::Assignment;
use docklet_control::command::InitCluster;
use docklet_control::id::{Digest, LogIndex, MasterId, RequestId, SecretHash, UserId, WorkerId};
use docklet_control::model::receipt::Subject;
use docklet_control::model::{
    ClusterId, ClusterVersion, ImageSpec, JoinRole, Receipt, WorkerCapacity, WorkerFacts,
};
use docklet_control::{Actor, Command};
use docklet_link::authority::SigningRequest;
use docklet_link::dial::Dialled;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::listener::ClusterListener;
use docklet_link::tls::Expect;
use docklet_link::{Authority, Credentials, Dialer, LinkFault, Own, Purpose};
use docklet_portal::{Dispatcher, agents_door};
use docklet_raft::{HistoryLimits, Master, MasterConfig, ProposeFault, Timing};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub const PATIENCE: Duration = Duration::from_secs(20);
pub const ADMIN: Actor = Actor::User(UserId(1));
const CLUSTER: [u8; 16] = [9; 16];

/// A master with a door for agents.
pub struct Alone {
    pub master: Master,
    pub addr: String,
    pub authority: Authority,
    /// By which the master proves who it is.
    pub proof: Own,
    pub dispatcher: Dispatcher,
    dir: TempDir,
    listening: JoinHandle<()>,
}

impl Alone {
    pub async fn start() -> Self {
        // What the master says is shown if the test fails.
        let log = tracing_subscriber::fmt()
            .with_test_writer()
            .with_ansi(false);
        drop(log.try_init());
        let dir = TempDir::new().expect("directory");
        let authority = Authority::create(CLUSTER).expect("authority");
        credentials(&authority, dir.path().to_owned(), PeerRole::Master, 1);
        let history = HistoryLimits::default();
        let alone = Self::open((dir, authority), "127.0.0.1:0", history).await;
        let initialized = alone.master.initialize(beginning(&alone.addr)).await;
        initialized.expect("initialise");
        alone
    }

    /// Stops, and begins anew with a history of this extent.
    pub async fn begin_anew(self, history: HistoryLimits) -> Self {
        let Self {
            master,
            addr,
            authority,
            dispatcher,
            dir,
            listening,
            ..
        } = self;
        listening.abort();
        // It was aborted, and its port is free when that is done.
        drop(listening.await);
        master.shutdown().await;
        // Whoever has one of them holds the directory.
        drop((master, dispatcher));
        Self::open((dir, authority), &addr, history).await
    }

    async fn open(
        (dir, authority): (TempDir, Authority),
        listen: &str,
        history: HistoryLimits,
    ) -> Self {
        let credentials = Credentials::load(dir.path()).expect("stored");
        let listener = ClusterListener::bind(listen, &credentials)
            .await
            .expect("bind");
        let addr = listener.local_addr().expect("address").to_string();
        let proof = Own::from(credentials);
        let config = MasterConfig {
            data_dir: dir.path().to_owned(),
            credentials: proof.clone(),
            timing: Timing::default(),
            history,
            knows: ClusterVersion::CURRENT,
        };
        let master = Master::start(config).await.expect("start");
        let own = Credentials::authority(dir.path()).expect("authority");
        let secrets = own.deriver().expect("a key");
        let mut doors = master.doors(own.clone());
        let dispatcher = Dispatcher::start(&master);
        doors.insert(
            Purpose::Agent,
            agents_door::door(master.clone(), dispatcher.clone(), secrets, own),
        );
        let listening = tokio::spawn(listener.serve(doors, master.deny()));
        Self {
            master,
            addr,
            authority,
            proof,
            dispatcher,
            dir,
            listening,
        }
    }

    pub async fn propose(&self, actor: Actor, command: Command) -> Receipt {
        let proposed = self.try_propose(actor, command);
        proposed.await.expect("accepted")
    }

    pub async fn try_propose(
        &self,
        actor: Actor,
        command: Command,
    ) -> Result<Receipt, ProposeFault> {
        let request = RequestId::issued(self.master.local().index, rand::random());
        let proposed = self.master.propose(actor, request, command, PATIENCE);
        proposed.await
    }

    /// A worker, which has never connected yet.
    pub async fn worker(&self, name: &str) -> Worker {
        let secret_hash = SecretHash(rand::random());
        let token = Command::CreateJoinToken {
            secret_hash,
            role: JoinRole::Agent,
            ttl_ms: 60_000,
            uses: 1,
        };
        self.propose(ADMIN, token).await;
        let join = Command::JoinWorker {
            secret_hash,
            name: name.to_owned(),
            data_addr: "127.0.0.1:7".to_owned(),
            underlay: IpAddr::from([127, 0, 0, 1]),
            capacity: capacity(),
        };
        let receipt = self.propose(Actor::Door(MasterId(1)), join).await;
        let Ok(Subject::Worker(worker)) = receipt.accepted() else {
            panic!("no worker joined: {receipt:?}")
        };
        let dir = self.dir.path().join(name);
        let own = credentials(&self.authority, dir, PeerRole::Agent, worker.id.0);
        Worker {
            id: worker.id,
            dialer: Dialer::new(own),
            addr: self.addr.clone(),
        }
    }

    /// An image that the worker holds.
    pub async fn image(&self, held_by: WorkerId) {
        let command = Command::RegisterImage {
            name: "busybox".to_owned(),
            digest: Digest([1; 32]),
            blob_bytes: 1,
            spec: ImageSpec::default(),
            description: String::new(),
            held_by,
        };
        self.propose(ADMIN, command).await;
    }

    /// A vcluster of small vnodes.
    pub async fn vcluster(&self, name: &str, vnodes: u32) -> Receipt {
        let command = Command::CreateVcluster {
            name: name.to_owned(),
            image: "busybox".to_owned(),
            vnodes,
            size: VnodeSize {
                memory_mib: MemoryMib(32),
                ..VnodeSize::default()
            },
        };
        self.propose(ADMIN, command).await
    }
}

fn credentials(authority: &Authority, dir: PathBuf, role: PeerRole, id: u64) -> Credentials {
    let signing = SigningRequest::new().expect("key");
    let identity = Identity {
        role,
        id,
        cluster: CLUSTER,
    };
    let own = authority.sign(&signing.csr_pem, identity).expect("sign");
    let ca_key = (role == PeerRole::Master).then(|| authority.key_pem());
    let ca = authority.certificate_pem();
    Credentials::store(&dir, ca, &own, &signing.key_pem, ca_key).expect("store");
    Credentials::load(&dir).expect("load")
}

fn beginning(addr: &str) -> InitCluster {
    InitCluster {
        cluster: ClusterId(CLUSTER),
        cluster_name: "test".to_owned(),
        cluster_net: "10.64.0.0/10".parse().expect("network"),
        user_prefix: 22,
        cpu_overcommit_percent: 10_000,
        memory_overcommit_percent: 100,
        worker_timeout_ms: 60_000,
        admin_name: "admin".to_owned(),
        admin_password_hash: "x".to_owned(),
        master: MasterId(1),
        master_name: "m1".to_owned(),
        cluster_addr: addr.to_owned(),
        public_addr: "127.0.0.1:1".to_owned(),
    }
}

fn capacity() -> WorkerCapacity {
    WorkerCapacity {
        cpu_milli: CpuMilli(64_000),
        memory_mib: MemoryMib(65_536),
        disk_mib: DiskMib(1 << 20),
        ..WorkerCapacity::default()
    }
}

/// A worker's machine.
pub struct Worker {
    pub id: WorkerId,
    pub dialer: Dialer,
    pub addr: String,
}

impl Worker {
    /// Connects and says what it has.
    pub async fn connect(&self, assignment: LogIndex) -> Dialled {
        self.try_connect(assignment).await.expect("said hello")
    }

    /// The same; whose certificate is refused hears it when it has said something, or before.
    pub async fn try_connect(&self, assignment: LogIndex) -> Result<Dialled, LinkFault> {
        let expect = Expect::Role(PeerRole::Master);
        let dialled = self.dialer.dial(&self.addr, expect, Purpose::Agent).await;
        let mut channel = dialled.expect("the master answers");
        let hello = FromAgent::Hello {
            worker: self.id,
            facts: WorkerFacts {
                capacity: capacity(),
                ..WorkerFacts::default()
            },
            assignment,
            images: vec![Digest([1; 32])],
        };
        channel.send(&hello).await?;
        Ok(channel)
    }
}

/// The next message, in time.
pub async fn next(channel: &mut Dialled) -> Result<ToAgent, LinkFault> {
    let received = tokio::time::timeout(PATIENCE, channel.recv()).await;
    received.expect("a message in time")
}

/// The next assignment; what else comes is passed over.
pub async fn next_assignment(channel: &mut Dialled) -> Assignment {
    loop {
        match next(channel).await.expect("connected") {
            ToAgent::Assignment(assignment) => return *assignment,
            ToAgent::Recorded { .. }
            | ToAgent::Alive
            | ToAgent::Lease { .. }
            | ToAgent::DrillPulse { .. }
            | ToAgent::Certificate(_) => {}
            other @ (ToAgent::Behind { .. } | ToAgent::Resync { .. }) => panic!("{other:?}"),
        }
    }
}
