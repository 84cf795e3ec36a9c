//! A taker that asks for rounds of memory without end.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use docklet_control::id::{VnodeId, WorkerId};
use docklet_link::authority::SigningRequest;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use docklet_link::{Authority, Credentials, Dialer, Gate, listener, tls};
use tokio::net::TcpListener;

use super::*;
use crate::transfer::{Departure, MEMORY_ROUNDS_MAX};

const CLUSTER: [u8; 16] = [7; 16];
const LEAVE: Leave = Leave {
    vnode: VnodeId(7),
    number: LogIndex(41),
    to: WorkerId(6),
};
const ASKED: u32 = 100;

/// Counts how often the vnode would have stood still.
#[derive(Default)]
struct Rounds {
    begun: AtomicU32,
    fail: bool,
}

impl Ahead for Rounds {
    fn write(&self) -> Result<Option<u32>, AgentFault> {
        let before = self.begun.fetch_add(1, Ordering::Relaxed);
        match self.fail {
            true => Err(AgentFault::Checkpoint("CRIU was killed".to_owned())),
            false => Ok(Some(before % MEMORY_ROUNDS_MAX + 1)),
        }
    }
}

fn credentials(ca: &Authority, id: u64) -> Credentials {
    let dir = tempfile::tempdir().expect("a directory");
    let signing = SigningRequest::new().expect("a key");
    let identity = Identity {
        role: PeerRole::Agent,
        id,
        cluster: CLUSTER,
    };
    let own = ca.sign(&signing.csr_pem, identity).expect("signed");
    let (pem, key) = (ca.certificate_pem(), &signing.key_pem);
    Credentials::store(dir.path(), pem, &own, key, None).expect("stored");
    Credentials::load(dir.path()).expect("loaded")
}

/// Asks for memory so often in one conversation; answers how often there was some.
async fn asks(ca: &Authority, departures: &Departures, rounds: &Arc<Rounds>, often: u32) -> u32 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("bound");
    let addr = listener.local_addr().expect("an address");
    let server = tls::server_config(credentials(ca, 5)).expect("a configuration");
    let (departures, rounds) = (departures.clone(), rounds.clone());
    let giver = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let accepted = listener::accept(tcp, &Gate::default(), server).await;
        let (_, stream) = accepted.expect("another agent");
        let socket = tokio_tungstenite::accept_async(stream).await;
        let (socket, dir) = (socket.expect("a handshake"), tempfile::tempdir());
        let dir = dir.expect("a directory").path().to_owned();
        drop(give(&departures, &Pace::new(None), dir, LEAVE, socket, rounds).await);
    });
    let dialer = Dialer::new(credentials(ca, 6));
    let expect = Expect::Role(PeerRole::Agent);
    let stream = dialer.connect(&addr.to_string(), expect).await;
    let opened = tokio_tungstenite::client_async("ws://worker/", stream.expect("a giver")).await;
    let (mut socket, _) = opened.expect("a handshake");
    let mut some = 0;
    for _ in 0..often {
        let ask = Message::text(r#"{"part":"memory","has":[]}"#);
        socket.send(ask).await.expect("sent");
        loop {
            let heard = socket.next().await.expect("an answer").expect("an answer");
            match serde_json::from_str(heard.to_text().expect("text")).expect("known") {
                Said::Manifest(manifest) => some += u32::from(manifest.rounds > 0),
                Said::At(_) => {}
                Said::End(_) => break,
                Said::Refused(cause) => panic!("{cause}"),
            }
        }
    }
    drop(socket);
    giver.await.expect("no panic");
    some
}

fn leaves() -> Departures {
    let departures = Departures::default();
    let departure = Departure {
        number: LEAVE.number,
        to: LEAVE.to,
        still: false,
    };
    departures.set(LEAVE.vnode, departure);
    departures
}

#[tokio::test]
async fn a_round_that_fails_is_the_last_of_its_conversation() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let rounds = Arc::new(Rounds {
        fail: true,
        ..Rounds::default()
    });
    assert_eq!(asks(&ca, &leaves(), &rounds, ASKED).await, 0);
    assert_eq!(rounds.begun.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn rounds_of_a_move_are_bounded_however_often_its_taker_comes_back() {
    let ca = Authority::create(CLUSTER).expect("an authority");
    let departures = leaves();
    let mut begun = 0;
    for fail in [true, false] {
        let rounds = Arc::new(Rounds {
            fail,
            ..Rounds::default()
        });
        for _ in 0..20 {
            asks(&ca, &departures, &rounds, 10).await;
        }
        begun += rounds.begun.load(Ordering::Relaxed);
    }
    assert_eq!(begun, 4 * MEMORY_ROUNDS_MAX);
}
