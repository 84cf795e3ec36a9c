//! Connections to ports of a vnode, through the data port.

use std::time::Duration;

use docklet_agent::host::Act;
use docklet_control::model::VnodeWanted::Running;
use docklet_link::gate::Gated;
use docklet_link::identity::PeerRole;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::door::{Open, V7, dial};
use crate::exec::run;
use crate::support::{in_own_network, perform, signed, spec};

type Stream = TlsStream<Gated<TcpStream>>;

/// Nothing here may take longer.
/// Longer than the slowest takes on an emulated machine (chaos-tests/debian).
const DEADLINE: Duration = Duration::from_secs(300);
const TRY_EVERY: Duration = Duration::from_millis(20);

/// A connection, and the byte that says what came of it.
async fn connect(open: &Open, path: &str) -> (u8, Stream) {
    let mut stream = open.socket(path).await.into_inner();
    stream.write_all(&[1]).await.expect("it listens");
    let said = tokio::time::timeout(DEADLINE, stream.read_u8()).await;
    (said.expect("in time").expect("an answer"), stream)
}

/// The connection, as soon as something listens.
async fn connected(open: &Open, port: u16) -> Stream {
    let reached = async {
        loop {
            let (said, stream) = connect(open, &format!("/connect/7/10/{port}")).await;
            if said == 0 {
                return stream;
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    };
    let reached = tokio::time::timeout(DEADLINE, reached).await;
    reached.expect("something listens in time")
}

/// A small server at one address alone.
async fn serves(open: &Open, at: &str, port: u16) {
    let script = format!("httpd -p {at}:{port} -h /etc");
    let ran = run(&mut open.socket("/exec").await, &["sh", "-c", &script], b"").await;
    assert_eq!(ran.last["exit"]["code"], 0, "{ran:?}");
}

#[test]
fn bytes_go_both_ways_to_what_listens_at_loopback_or_at_the_address_alone() {
    in_own_network(async {
        let open = Open::new().await;
        let own = open.worker.vnode(7, Running).address.to_string();
        for (at, port) in [("127.0.0.1", 81), (own.as_str(), 82)] {
            serves(&open, at, port).await;
            let mut stream = connected(&open, port).await;
            let asked = stream.write_all(b"GET /none HTTP/1.0\r\n\r\n").await;
            asked.expect("sent");
            let mut answer = Vec::new();
            let whole = stream.read_to_end(&mut answer).await;
            whole.expect("it answers, and ends");
            assert!(answer.starts_with(b"HTTP/1."), "{at}: {answer:?}");
        }
        open.end().await;
    });
}

#[test]
fn what_is_not_there_is_told() {
    in_own_network(async {
        let open = Open::new().await;
        for (path, wanted) in [
            ("/connect/7/10/83", 1),
            ("/connect/7/9/83", 3),
            ("/connect/8/10/83", 3),
        ] {
            assert_eq!(connect(&open, path).await.0, wanted, "{path}");
        }
        for path in [
            "/connect/7/10/65616",
            "/connect/7/10/+83",
            "/connect/7/10/83/10.0.0.1",
        ] {
            let refused = dial(signed(&open.ca, PeerRole::Master, 1), path).await;
            assert_eq!(
                refused.map(|_| ()),
                Err("404 Not Found".to_owned()),
                "{path}"
            );
        }
        let agent = dial(signed(&open.ca, PeerRole::Agent, 6), "/connect/7/10/83").await;
        assert!(agent.is_err(), "an agent gets in");
        open.end().await;
    });
}

#[test]
fn a_connection_ends_with_the_vnode() {
    in_own_network(async {
        let open = Open::new().await;
        serves(&open, "127.0.0.1", 84).await;
        let mut stream = connected(&open, 84).await;
        perform(&open.host, Act::Stop(V7, spec())).await;
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "it hangs");
        open.end().await;
    });
}
