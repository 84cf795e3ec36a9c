//! Whoever stalls is cut off, and holds nobody else up.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{HEADERS_DEADLINE, IDLE_DEADLINE, Site, read};

/// A handshake, and a body of a form, may take some time; longer than this nothing does.
const ALL_DEADLINE: Duration = Duration::from_secs(25);

/// The other side ends it, in time.
async fn is_cut(mut stream: impl AsyncRead + Unpin) -> bool {
    let mut part = [0; 4_096];
    let cut = async {
        while let Ok(read) = stream.read(&mut part).await {
            if read == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(ALL_DEADLINE, cut).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stalls_before_anything_is_asked_is_cut_off() {
    let site = Site::start().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(site.tcp().await);
    }
    let host = site.host();
    let mut half = site.connect().await;
    let begun = format!("GET / HTTP/1.1\r\nhost: {host}\r\nx-a: ");
    half.write_all(begun.as_bytes()).await.expect("sent");
    // One that waits with its next request.
    let mut next = site.connect().await;
    let whole = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
    next.write_all(whole.as_bytes()).await.expect("sent");
    // Beside them others are answered.
    let other = site.ask(("GET", "/login"), &[], "").await;
    assert_eq!(other.status, 200);
    let (half, next) = tokio::join!(is_cut(half), is_cut(next));
    assert!(half, "half a request, long after {HEADERS_DEADLINE:?}");
    assert!(next, "no other request");
    for stream in idle {
        assert!(is_cut(stream).await, "no handshake");
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// No wishes.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// A request that is whole, on the first stream.
fn asks(path: &str, host: &str) -> Vec<u8> {
    // GET, https, and path and host as they are.
    let mut block = vec![0x82, 0x87];
    for (name, value) in [(0x04, path), (0x01, host)] {
        block.extend([name, u8::try_from(value.len()).expect("short")]);
        block.extend(value.as_bytes());
    }
    let length = u8::try_from(block.len()).expect("short");
    let mut frame = vec![0, 0, length, 1, 0b101, 0, 0, 0, 1];
    frame.extend(block);
    frame
}

/// Says this, and then pings for as long as the other side is there.
async fn is_cut_though_it_pings(stream: TlsStream<TcpStream>, said: &[u8]) -> bool {
    is_cut_though_it_says(stream, (said, PING)).await
}

/// Says this, and then the other again and again for as long as the other side is there.
async fn is_cut_though_it_says(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    (said, again): (&[u8], &[u8]),
) -> bool {
    stream.write_all(said).await.expect("sent");
    let (mut there, mut here) = tokio::io::split(stream);
    let says = async {
        while here.write_all(again).await.is_ok() && here.flush().await.is_ok() {
            tokio::time::sleep(HEADERS_DEADLINE / 4).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        cut = is_cut(&mut there) => cut,
        () = says => false,
    }
}

/// A frame of HTTP/2 on the first stream.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
    frame.extend(payload);
    frame
}

/// Over what somebody stalls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Tcp,
    Http1,
    Http2,
}

/// Each stage of a request: what was said by then, and what is said of it again and again, if anything, and never ends it.
fn stages(site: &Site) -> Vec<(&'static str, By, Vec<u8>, &'static [u8])> {
    const HEADERS: u8 = 1;
    const CONTINUATION: u8 = 9;
    const OPEN: u8 = 0b000;
    const END_HEADERS: u8 = 0b100;
    let host = site.host();
    let origin = site.origin();
    let head = |method: &str, path: &str, more: &str| {
        let text =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\n{more}");
        text.into_bytes()
    };
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let json = "content-type: application/json\r\n";
    let long = "content-length: 100000\r\n\r\n";
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    let http2 = |frames: &[u8]| [PREFACE, SETTINGS, frames].concat();
    // POST, https, and where to.
    let mut block = vec![0x83, 0x87];
    for (name, value) in [(0x04, "/login"), (0x01, host.as_str())] {
        block.extend([name, u8::try_from(value.len()).expect("short")]);
        block.extend(value.as_bytes());
    }
    let posts = http2(&frame(HEADERS, END_HEADERS, &block));
    let unended = http2(&frame(HEADERS, OPEN, &block));
    let hello: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let data: &[u8] = &[0, 0, 1, 0, 0, 0, 0, 0, 1, b'a'];
    let empty_data: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 1];
    let continuation: &[u8] = &[0, 0, 0, CONTINUATION, 0, 0, 0, 0, 1];
    vec![
        ("half a greeting", By::Tcp, hello.to_vec(), b""),
        (
            "a greeting letter by letter",
            By::Tcp,
            hello.to_vec(),
            b"\x00",
        ),
        ("half a method", By::Http1, b"GE".to_vec(), b""),
        (
            "a path letter by letter",
            By::Http1,
            b"GET /".to_vec(),
            b"a",
        ),
        ("empty lines before", By::Http1, Vec::new(), b"\r\n"),
        (
            "half a header",
            By::Http1,
            head("GET", "/login", "x-a: "),
            b"",
        ),
        (
            "a header letter by letter",
            By::Http1,
            head("GET", "/login", "x-a: "),
            b"a",
        ),
        (
            "header after header",
            By::Http1,
            head("GET", "/login", ""),
            b"x-a: b\r\n",
        ),
        (
            "no empty line",
            By::Http1,
            head("POST", "/login", form),
            b"",
        ),
        (
            "no body of a form",
            By::Http1,
            head("POST", "/login", &format!("{form}{long}")),
            b"",
        ),
        (
            "a form letter by letter",
            By::Http1,
            head("POST", "/login", &format!("{form}{long}")),
            b"a",
        ),
        (
            "no chunk",
            By::Http1,
            head("POST", "/login", &format!("{form}{chunked}")),
            b"",
        ),
        (
            "half a length of a chunk",
            By::Http1,
            head("POST", "/login", &format!("{form}{chunked}f")),
            b"",
        ),
        (
            "chunk after chunk",
            By::Http1,
            head("POST", "/login", &format!("{form}{chunked}")),
            b"1\r\na\r\n",
        ),
        (
            "an end of chunks without its line",
            By::Http1,
            head("POST", "/login", &format!("{form}{chunked}0\r\n")),
            b"",
        ),
        (
            "a trailer letter by letter",
            By::Http1,
            head("POST", "/login", &format!("{form}{chunked}0\r\nx-a: ")),
            b"a",
        ),
        (
            "no body of a program",
            By::Http1,
            head("POST", "/api/v1/login", &format!("{json}{long}")),
            b"",
        ),
        (
            "a program letter by letter",
            By::Http1,
            head("POST", "/api/v1/login", &format!("{json}{long}")),
            b" ",
        ),
        (
            "who waits to be told to go on",
            By::Http1,
            head(
                "POST",
                "/login",
                &format!("{form}expect: 100-continue\r\n{long}"),
            ),
            b"",
        ),
        ("no body by HTTP/2", By::Http2, posts.clone(), b""),
        (
            "a body letter by letter by HTTP/2",
            By::Http2,
            posts.clone(),
            data,
        ),
        ("empty parts of a body", By::Http2, posts, empty_data),
        ("headers that do not end", By::Http2, unended.clone(), b""),
        (
            "empty headers that follow",
            By::Http2,
            unended,
            continuation,
        ),
        ("wishes again and again", By::Http2, http2(&[]), SETTINGS),
        (
            "half a frame",
            By::Http2,
            http2(&[0, 0, 50, HEADERS, END_HEADERS]),
            b"",
        ),
        (
            "a frame letter by letter",
            By::Http2,
            http2(&[0, 0x3f, 0xff, 0, 0, 0, 0, 0, 1]),
            b"a",
        ),
    ]
}

async fn is_cut_at(site: &Site, (by, said, again): (By, &[u8], &[u8])) -> bool {
    match by {
        By::Tcp => is_cut_though_it_says(site.tcp().await, (said, again)).await,
        By::Http1 => is_cut_though_it_says(site.connect().await, (said, again)).await,
        By::Http2 => is_cut_though_it_says(site.connect_by_http2().await, (said, again)).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stalls_at_any_stage_of_a_request_is_cut_off_and_in_nobodys_way() {
    let site = Site::start().await;
    let stages = stages(&site);
    let stalls = stages.iter().map(async |(what, by, said, again)| {
        let cut = is_cut_at(&site, (*by, said, again)).await;
        (*what, cut)
    });
    let stalls = futures_util::future::join_all(stalls);
    let others = async {
        loop {
            let other = site.ask(("GET", "/login"), &[], "").await;
            assert_eq!(other.status, 200, "{other:?}");
            tokio::time::sleep(HEADERS_DEADLINE).await;
        }
    };
    let cut = tokio::select! {
        cut = stalls => cut,
        () = others => Vec::new(),
    };
    assert_eq!(cut.len(), stages.len());
    let held: Vec<_> = cut.iter().filter(|(_, cut)| !cut).collect();
    assert!(held.is_empty(), "{held:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_after_the_handshake_is_cut_off() {
    let site = Site::start().await;
    let begun = [PREFACE, SETTINGS].concat();
    let half: &[u8] = &PREFACE[..10];
    let mut cut = Vec::new();
    // What follows of these headers does not come.
    let mut headers = asks("/healthz", &site.host());
    headers[4] = 0b001;
    let open = [&begun, headers.as_slice()].concat();
    for said in [&[], half, &begun, &open] {
        let mut stream = site.connect_by_http2().await;
        stream.write_all(said).await.expect("sent");
        cut.push((is_cut(stream).await, said));
    }
    cut.push((is_cut(site.connect().await).await, b"nothing by HTTP/1.1"));
    for (cut, said) in cut {
        assert!(cut, "{}", String::from_utf8_lossy(said));
    }
    let pings = is_cut_though_it_pings(site.connect_by_http2().await, &begun);
    assert!(pings.await, "pings ask for nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_nothing_more_is_cut_off_by_http2_too() {
    let site = Site::start().await;
    let said = [PREFACE, SETTINGS, &asks("/healthz", &site.host())].concat();
    let stream = site.connect_by_http2().await;
    assert!(is_cut_though_it_pings(stream, &said).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_follows_is_not_cut_off() {
    let site = Site::start().await;
    let cookie = site.log_in("ada").await;
    let cookie = [("cookie", cookie.as_str())];
    let request = site.request(("GET", "/live/home"), &cookie, "");
    let mut stream = site.connect().await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let begun = tokio::time::Instant::now();
    let mut part = [0; 16_384];
    // It says every other second that it is there.
    while begun.elapsed() < IDLE_DEADLINE * 3 {
        let read = tokio::time::timeout(ALL_DEADLINE, stream.read(&mut part)).await;
        let read = read.expect("in time").expect("no fault");
        assert!(read > 0, "it ended after {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stalls_within_a_form_is_told_so() {
    let site = Site::start().await;
    let mut slow = site.connect().await;
    let (host, origin) = (site.host(), site.origin());
    let begun = format!(
        "POST /login HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\nconnection: close\r\ncontent-length: 1000\r\n\r\nuser="
    );
    slow.write_all(begun.as_bytes()).await.expect("sent");
    let answer = tokio::time::timeout(ALL_DEADLINE, read(&mut slow)).await;
    assert_eq!(answer.expect("in time").status, 408);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_is_not_taken_in() {
    let site = Site::start().await;
    let origin = site.origin();
    let long = "x".repeat((1 << 20) + 1);
    let headers = [("origin", origin.as_str()), crate::client::FORM];
    let answer = site.ask(("POST", "/login"), &headers, &long).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let head = format!(
        "GET /login HTTP/1.1\r\nhost: {}\r\nx-a: {}\r\n\r\n",
        site.host(),
        "x".repeat(1 << 20)
    );
    let answer = site.raw(&head).await;
    assert!(matches!(answer.status, 0 | 431), "{answer:?}");
}
