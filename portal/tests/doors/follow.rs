//! Streams that are taken up again after the last entry that was seen, when what came next is no longer kept.

use std::collections::BTreeSet;

use docklet_control::Command;
use docklet_control::id::LogIndex;
use docklet_control::model::Role;
use docklet_portal::Bounds;
use docklet_raft::HistoryLimits;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{Site, read};
use crate::support::{ADMIN, Alone, PATIENCE};

/// A history that keeps nothing beyond the last checkpoint.
const NOTHING: HistoryLimits = HistoryLimits {
    bytes_max: 0,
    age_ms_max: 0,
};

fn user(name: String) -> Command {
    Command::CreateUser {
        name,
        role: Role::User,
        password_hash: "x".to_owned(),
    }
}

/// A site whose master has forgotten what came after `seen`, up to and with `kept_after`.
struct Forgetful {
    site: Site,
    seen: LogIndex,
    kept_after: LogIndex,
}

impl Forgetful {
    async fn start() -> Self {
        let alone = Alone::start().await;
        let seen = alone.propose(ADMIN, user("seen".to_owned())).await.index;
        for number in 0..5 {
            alone.propose(ADMIN, user(format!("missed{number}"))).await;
        }
        // Stopping empties the memory; what the next checkpoint makes no room for is gone from the disk, too.
        let alone = alone.begin_anew(NOTHING).await;
        alone.propose(ADMIN, user("between".to_owned())).await;
        let alone = alone.begin_anew(NOTHING).await;
        let kept_after = alone.master.history_after().await.expect("read");
        assert!(kept_after > seen, "{kept_after}");
        let site = Site::over(alone, Bounds::default()).await;
        Self {
            site,
            seen,
            kept_after,
        }
    }
}

/// One event of a stream.
#[derive(Debug)]
struct Event {
    kind: String,
    id: Option<LogIndex>,
    data: Value,
}

impl Event {
    /// Of a whole block of lines; lengths of parts stand among them.
    fn of(block: &str) -> Option<Self> {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ").and_then(|data| serde_json::from_str(data).ok());
        Some(Self {
            kind: field("event: ")?.to_owned(),
            id: field("id: ").and_then(|id| id.parse().ok()),
            data: data.unwrap_or_default(),
        })
    }

    fn html(&self) -> &str {
        self.data["html"].as_str().unwrap_or_default()
    }
}

/// A stream that is open.
struct Stream {
    tls: TlsStream<TcpStream>,
    text: String,
}

impl Stream {
    async fn open(site: &Site, path: &str, cookie: &str, last: Option<&str>) -> Self {
        let mut headers = vec![("cookie", cookie)];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let request = site.request(("GET", path), &headers, "");
        let mut tls = site.connect().await;
        tls.write_all(request.as_bytes()).await.expect("sent");
        let begun = read(&mut tls).await;
        assert_eq!(begun.status, 200, "{path}: {begun:?}");
        let text = begun.body;
        Self { tls, text }
    }

    fn events(&self) -> Vec<Event> {
        let (whole, _) = self.text.rsplit_once("\n\n").unwrap_or_default();
        whole.split("\n\n").filter_map(Event::of).collect()
    }

    /// All that have come when there is one of which this is so.
    async fn until(&mut self, is_it: impl Fn(&Event) -> bool) -> Vec<Event> {
        let reading = async {
            let mut part = [0; 16_384];
            while !self.events().iter().any(&is_it) {
                let read = self.tls.read(&mut part).await.expect("it goes on");
                assert!(read > 0, "it ended: {}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&part[..read]));
            }
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.unwrap_or_else(|_| panic!("nothing such came: {}", self.text));
        self.events()
    }
}

fn rows(events: &[Event]) -> Vec<LogIndex> {
    let rows = events.iter().filter(|event| event.kind == "row");
    rows.map(|row| row.id.expect("a row is of an entry"))
        .collect()
}

fn parts(events: &[Event]) -> BTreeSet<String> {
    let parts = events.iter().filter(|event| event.kind == "fragment");
    parts.map(|part| part.data["id"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_saw_what_is_no_longer_followed_is_told_so_and_drawn_anew() {
    let Forgetful {
        site,
        seen,
        kept_after,
    } = Forgetful::start().await;
    let cookie = site.log_in("admin").await;
    let seen = seen.to_string();
    // A browser says by a header what it saw last; a page that looks for another master, by its address.
    for (path, last) in [
        ("/live/events", Some(seen.as_str())),
        (&format!("/live/events?seen={seen}"), None),
    ] {
        let made = site
            .alone
            .propose(ADMIN, user(format!("made{}", path.len())));
        let made = made.await.index;
        let mut stream = Stream::open(&site, path, &cookie, last).await;
        let events = stream.until(|event| event.id == Some(made) && event.kind == "row");
        let events = events.await;
        let rows_now = rows(&events);
        // By then more may be gone than at first.
        let cut = *rows_now.first().expect("a row");
        assert!(cut >= kept_after, "{path}: {rows_now:?}");
        let cut = format!("What came up to entry {cut} is no longer kept");
        let told = events.iter().filter(|event| event.html().contains(&cut));
        assert_eq!(told.count(), 1, "{path}: it is said once");
        assert!(rows_now.is_sorted_by(|a, b| a < b), "{path}: {rows_now:?}");
        assert_eq!(rows_now.last(), Some(&made), "{path}: what is kept comes");
        // It goes on as any other, and whoever comes back with what it told last is told nothing twice.
        let next = site
            .alone
            .propose(ADMIN, user(format!("next{}", path.len())));
        let next = next.await.index;
        let events = stream.until(|event| event.id == Some(next) && event.kind == "row");
        assert_eq!(rows(&events.await).last(), Some(&next), "{path}");
        let made = made.to_string();
        let mut again = Stream::open(&site, "/live/events", &cookie, Some(&made)).await;
        let events = again.until(|event| event.kind == "row").await;
        assert_eq!(rows(&events), [next], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_part_of_a_page_comes_whatever_it_saw_before() {
    let Forgetful { site, seen, .. } = Forgetful::start().await;
    let cookie = site.log_in("ada").await;
    let seen = seen.to_string();
    for page in ["home", "vclusters", "vclusters/lab", "workspace", "account"] {
        let path = format!("/live/{page}");
        let drawn = [None, Some(seen.as_str()), Some("0"), Some("x"), Some("-1")].map(|last| {
            let (site, path, cookie) = (&site, &path, &cookie);
            async move {
                let mut stream = Stream::open(site, path, cookie, last).await;
                // Which comes when there is nothing else to say.
                let events = stream.until(|event| event.kind == "pulse").await;
                (last, parts(&events))
            }
        });
        let drawn = futures_util::future::join_all(drawn).await;
        let (_, fresh) = &drawn[0];
        assert!(fresh.len() > 2, "{page}: {fresh:?}");
        for (last, parts) in &drawn {
            assert_eq!(parts, fresh, "{page} after {last:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_saw_what_is_no_longer_followed_gets_the_state_or_hears_what_is_left_out() {
    let Forgetful {
        site,
        seen,
        kept_after,
    } = Forgetful::start().await;
    let cookie = site.log_in("admin").await;
    let last = seen.to_string();
    // The header counts, whatever the address says.
    let path = "/api/v1/events?from=1";
    let mut stream = Stream::open(&site, path, &cookie, Some(&last)).await;
    let events = stream.until(|event| event.kind == "snapshot").await;
    let snapshot = events.first().expect("an event");
    assert_eq!(snapshot.kind, "snapshot", "{events:?}");
    assert_eq!(snapshot.data["skipped_from"], seen.0 + 1);
    assert_eq!(snapshot.data["index"], snapshot.id.expect("an id").0);
    let users = snapshot.data["state"]["users"].as_object();
    let users = users.expect("people");
    assert!(users.contains_key("missed4"), "what was missed is in it");
    let next = site
        .alone
        .propose(ADMIN, user("next".to_owned()))
        .await
        .index;
    let events = stream.until(|event| event.id == Some(next)).await;
    let changes: Vec<_> = events
        .iter()
        .filter(|event| event.kind == "change")
        .collect();
    assert!(
        changes.iter().all(|change| change.id > snapshot.id),
        "nothing that the state has comes beside it: {changes:?}"
    );
    let path = "/api/v1/events?gap=skip";
    let mut stream = Stream::open(&site, path, &cookie, Some(&last)).await;
    let events = stream.until(|event| event.id == Some(next)).await;
    let skipped = events.first().expect("an event");
    assert_eq!(skipped.kind, "skipped", "{events:?}");
    let upto = skipped.id.expect("an id");
    assert!(upto >= kept_after, "{upto}");
    assert_eq!(skipped.data["index"], upto.0);
}
