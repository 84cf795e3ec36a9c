//! The worker's data port over real mutual TLS, with a real container behind it: whom it is open to.

use std::sync::Arc;
use std::time::Duration;

use docklet_agent::host::Act;
use docklet_agent::host::linux::LinuxHost;
use docklet_agent::masters::Tell;
use docklet_agent::members::Members;
use docklet_agent::meter::Meter;
use docklet_agent::transfer::Departures;
use docklet_agent::{AgentConfig, door};
use docklet_control::assignment::Assignment;
use docklet_control::id::{LogIndex, MasterId, VnodeId};
use docklet_control::model::ImageRun;
use docklet_control::model::VnodeWanted::Running;
use docklet_link::gate::Gated;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use docklet_link::{Authority, Credentials, Dialer};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{CLUSTER, DATA_PORT, Worker, in_own_network, perform, round, session, signed};

pub type Socket = WebSocketStream<TlsStream<Gated<TcpStream>>>;

pub const V7: VnodeId = VnodeId(7);
/// Nothing here may take longer.
/// Longer than the slowest takes on an emulated machine (chaos-tests/debian).
const DEADLINE: Duration = Duration::from_secs(300);

/// A worker with vnode 7 running and its data port open.
pub struct Open {
    pub worker: Worker,
    pub host: Arc<LinuxHost>,
    pub ca: Authority,
    pub told: mpsc::Receiver<Tell>,
    pub members: Members,
}

impl Open {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With another configuration than most tests have.
    pub async fn with(change: impl FnOnce(&mut AgentConfig)) -> Self {
        Self::begin(change, |_| Vec::new()).await
    }

    /// With an image that says how it is run.
    pub async fn run_so(environment: &[&str], directory: &str) -> Self {
        let run = |worker: &Worker| ImageRun {
            digest: worker.image,
            environment: environment.iter().map(ToString::to_string).collect(),
            directory: directory.to_owned(),
        };
        Self::begin(|_| {}, |worker| vec![run(worker)]).await
    }

    async fn begin(
        change: impl FnOnce(&mut AgentConfig),
        runs: impl FnOnce(&Worker) -> Vec<ImageRun>,
    ) -> Self {
        let ca = Authority::create(CLUSTER).expect("an authority");
        let mut worker = Worker::new(&ca, 5);
        change(&mut worker.config);
        let host = worker.open();
        let wanted = Assignment {
            image_runs: runs(&worker),
            ..worker.assignment(vec![worker.vnode(7, Running)])
        };
        round(&host, &wanted).await;
        let members = Members::default();
        let told = serve(&worker, &host, members.clone()).await;
        Self {
            worker,
            host,
            ca,
            told,
            members,
        }
    }

    /// A socket as some master opens it.
    pub async fn socket(&self, path: &str) -> Socket {
        let master = signed(&self.ca, PeerRole::Master, 1);
        dial(master, path).await.expect("an open door")
    }

    pub async fn end(self) {
        perform(&self.host, Act::Remove(V7)).await;
    }
}

pub async fn serve(
    worker: &Worker,
    host: &Arc<LinuxHost>,
    members: Members,
) -> mpsc::Receiver<Tell> {
    let (images, _) = watch::channel(Vec::new());
    let (tell, told) = mpsc::channel(8);
    let meter = Meter::open(&worker.config, host.gpus().clone());
    let config = worker.config.clone();
    let leaving = Departures::default();
    let metered = meter.clone();
    let door = door::serve(
        config,
        host.clone(),
        images,
        tell,
        members,
        metered,
        leaving,
    );
    tokio::spawn(async move { meter.run().await });
    tokio::spawn(door.await.expect("a free port"));
    told
}

pub async fn dial(own: Credentials, path: &str) -> Result<Socket, String> {
    let worker = Identity {
        role: PeerRole::Agent,
        id: 5,
        cluster: CLUSTER,
    };
    let addr = format!("127.0.0.1:{DATA_PORT}");
    let dialer = Dialer::new(own);
    let stream = dialer
        .connect(&addr, Expect::Exactly(worker))
        .await
        .map_err(|fault| fault.to_string())?;
    match tokio_tungstenite::client_async(format!("ws://worker{path}"), stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A message of the worker.
#[derive(Debug)]
pub enum Came {
    Bytes(Vec<u8>),
    Said(Value),
}

pub async fn next(socket: &mut Socket) -> Came {
    let message = tokio::time::timeout(DEADLINE, socket.next()).await;
    let message = message
        .expect("in time")
        .expect("a message")
        .expect("whole");
    if let Message::Text(text) = &message {
        return Came::Said(serde_json::from_str(text).expect("JSON"));
    }
    assert!(message.is_binary(), "{message:?}");
    Came::Bytes(message.into_data().to_vec())
}

pub async fn text(socket: &mut Socket) -> Value {
    match next(socket).await {
        Came::Said(text) => text,
        Came::Bytes(bytes) => panic!("{bytes:?} where text was due"),
    }
}

#[test]
fn only_masters_use_the_port_and_agents_only_fetch() {
    in_own_network(async {
        let open = Open::new().await;
        let terminal = format!("/terminal/{}?vnode=7&epoch=10", session(1));
        let (give, take) = (
            format!("/images/{}", open.worker.image),
            format!("/images/{}?put=1", open.worker.image),
        );
        let refused = Err("404 Not Found".to_owned());
        let cases = [
            (PeerRole::Agent, "/exec", refused.clone()),
            (PeerRole::Agent, "/meters", refused.clone()),
            (PeerRole::Agent, terminal.as_str(), refused.clone()),
            (PeerRole::Agent, take.as_str(), refused),
            (PeerRole::Agent, give.as_str(), Ok(())),
            (PeerRole::Master, give.as_str(), Ok(())),
            (PeerRole::Master, "/exec", Ok(())),
        ];
        for (role, path, wanted) in cases {
            let got = dial(signed(&open.ca, role, 6), path).await.map(|_| ());
            assert_eq!(got, wanted, "{role:?} {path}");
        }
        let other = Authority::create(CLUSTER).expect("an authority");
        let foreign = signed(&other, PeerRole::Master, 1);
        assert!(
            dial(foreign, "/exec").await.is_err(),
            "another authority's master"
        );
        open.end().await;
    });
}

#[test]
fn a_removed_master_is_refused_and_its_open_connections_are_cut() {
    in_own_network(async {
        let open = Open::new().await;
        let learn = |index, masters: &[u64]| {
            open.members.learn(&Assignment {
                index: LogIndex(index),
                master_ids: masters.iter().map(|id| MasterId(*id)).collect(),
                ..open.worker.assignment(Vec::new())
            });
        };
        let master = |id| signed(&open.ca, PeerRole::Master, id);
        learn(50, &[1, 30, 40]);
        let mut staying = dial(master(30), "/exec").await.expect("a member");
        let mut going = dial(master(40), "/exec").await.expect("a member");
        learn(51, &[1, 30]);
        let cut = tokio::time::timeout(DEADLINE, going.next()).await;
        let cut = cut.expect("in time");
        assert!(
            !matches!(cut, Some(Ok(ref said)) if !said.is_close()),
            "{cut:?}"
        );
        let refused = Err("404 Not Found".to_owned());
        assert_eq!(dial(master(40), "/exec").await.map(|_| ()), refused);
        assert!(
            dial(master(60), "/exec").await.is_ok(),
            "it may have joined since"
        );
        let run = r#"{"vnode":7,"epoch":10,"argv":["true"]}"#;
        staying.send(Message::text(run)).await.expect("still open");
        assert_eq!(text(&mut staying).await["exit"]["code"], 0);
        open.end().await;
    });
}
