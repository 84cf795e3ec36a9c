//! Whoever holds much open: one person, one address, with a login and without.

use std::time::Duration;

use docklet_portal::Bounds;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{Answer, SOCKET, Site, read};
use crate::support::PATIENCE;

/// What comes over this connection after a request, which stays open.
async fn begin(
    site: &Site,
    mut stream: TlsStream<TcpStream>,
    path: &str,
    cookie: &str,
) -> (Answer, TlsStream<TcpStream>) {
    let request = site.request(("GET", path), &[("cookie", cookie)], "");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let answer = tokio::time::timeout(PATIENCE, read(&mut stream)).await;
    (answer.expect("an answer in time"), stream)
}

async fn open(site: &Site, path: &str, cookie: &str) -> (Answer, TlsStream<TcpStream>) {
    begin(site, site.connect().await, path, cookie).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_and_an_address_have_so_many_streams() {
    let site = Site::bounded(Bounds {
        streams_per_person: 2,
        persons_per_address: 2,
        ..Bounds::default()
    })
    .await;
    let (ada, bob) = (site.log_in("ada").await, site.log_in("bob").await);
    let admin = site.log_in("admin").await;
    let mut held = Vec::new();
    for path in ["/live/home", "/api/v1/events"] {
        let (answer, stream) = open(&site, path, &ada).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        held.push(stream);
    }
    let (refused, _) = open(&site, "/api/v1/events", &ada).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    let kind = refused.header("content-type");
    assert_eq!(kind, Some("application/problem+json"));
    assert!(
        refused.body.contains("too_many_open") && refused.body.contains("streams_per_person"),
        "{refused:?}"
    );
    let (page, _) = open(&site, "/live/home", &ada).await;
    assert_eq!(page.status, 429, "{page:?}");
    // All else goes on, and other people's streams do.
    let cookie = [("cookie", ada.as_str())];
    let home = site.ask(("GET", "/"), &cookie, "").await;
    assert_eq!(home.status, 200);
    for _ in 0..2 {
        let (answer, stream) = open(&site, "/live/home", &bob).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        held.push(stream);
    }
    let (refused, _) = open(&site, "/live/home", &admin).await;
    assert_eq!(refused.status, 429, "of this address: {refused:?}");
    let elsewhere = site.tcp_from(2).await.expect("another address");
    let elsewhere = site.secured(elsewhere).await.expect("a handshake");
    let (answer, _elsewhere) = begin(&site, elsewhere, "/live/home", &admin).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // What was closed makes room.
    drop(held);
    let room = async {
        while open(&site, "/live/home", &ada).await.0.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    let room = tokio::time::timeout(PATIENCE, room).await;
    room.expect("room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tabs_of_one_person_follow_what_happens() {
    let site = Site::start().await;
    let ada = site.log_in("ada").await;
    let mut tabs = Vec::new();
    for _ in 0..60 {
        let (answer, tab) = open(&site, "/live/home", &ada).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        tabs.push(tab);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_lasts_is_counted() {
    let site = Site::bounded(Bounds {
        terminals_per_person: 0,
        transfers_per_person: 0,
        tunnels_per_person: 0,
        ..Bounds::default()
    })
    .await;
    let (cookie, origin) = (site.log_in("ada").await, site.origin());
    let own = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
    let sockets = [
        "/terminal/ws?vcluster=lab&vnode=host-0&session=00112233445566778899aabbccddeeff",
        "/shared/0123456789012345678901234567890123456789/ws",
        "/api/v1/vclusters/lab/vnodes/host-0/terminal?session=00112233445566778899aabbccddeeff",
        "/api/v1/vclusters/lab/vnodes/host-0/exec",
        "/api/v1/vclusters/lab/vnodes/host-0/connect?port=80",
    ];
    for path in sockets {
        let headers: Vec<_> = SOCKET.iter().chain(&own).copied().collect();
        let answer = site.ask(("GET", path), &headers, "").await;
        assert_eq!(answer.status, 429, "{path}: {answer:?}");
    }
    let digest = "0".repeat(64);
    let image = format!("/api/v1/images/big?digest={digest}&spec=%7B%7D");
    for (method, path) in [
        ("GET", "/vclusters/lab/vnodes/host-0/files"),
        (
            "GET",
            "/api/v1/vclusters/lab/vnodes/host-0/files/content?path=/x",
        ),
        (
            "PUT",
            "/api/v1/vclusters/lab/vnodes/host-0/files/content?path=/x",
        ),
        ("PUT", "/api/v1/images/big/import"),
        ("PUT", &image),
    ] {
        let answer = site.ask((method, path), &own, "").await;
        assert_eq!(answer.status, 429, "{method} {path}: {answer:?}");
    }
}

/// A handshake that does not come is waited for a little longer than this.
const AT_ONCE: Duration = Duration::from_secs(8);

/// Until the other side ends a connection on which nothing is said.
async fn end(mut tcp: TcpStream) -> usize {
    let mut part = [0; 1];
    tcp.read(&mut part).await.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_so_many_connections_also_without_a_handshake() {
    const MOST: u32 = 20;
    let site = Site::bounded(Bounds {
        connections_per_address: MOST,
        connections_max: MOST + 1,
        ..Bounds::default()
    })
    .await;
    let opened = tokio::time::Instant::now();
    let mut half = FuturesUnordered::new();
    for _ in 0..2 * MOST {
        half.push(end(site.tcp().await));
    }
    for _ in 0..MOST {
        let ended = tokio::time::timeout_at(opened + AT_ONCE, half.next()).await;
        assert_eq!(ended, Ok(Some(0)), "what is too much is closed at once");
    }
    assert_eq!(half.next().now_or_never(), None, "the others are not");
    let elsewhere = site.tcp_from(2).await.expect("another address");
    let elsewhere = site.secured(elsewhere).await;
    assert!(elsewhere.is_ok(), "{elsewhere:?}");
    let third = site.tcp_from(3).await.expect("a third");
    let ended = tokio::time::timeout(AT_ONCE, end(third)).await;
    assert_eq!(ended, Ok(0), "of all there are too many");
    drop(half);
    let room = async { while site.secured(site.tcp().await).await.is_err() {} };
    let room = tokio::time::timeout(PATIENCE, room).await;
    room.expect("room again");
}
