//! The resumable stream of changes: server-sent events whose id is the log index.
//!
//! `change` is what one entry changed, as far as the asker may see it. `bookmark` says how far the stream has come while
//! nothing concerned the asker. Where changes are no longer kept, `snapshot` is the state instead, as far as the asker
//! may see it, or, if so asked, `skipped` says up to where they are left out. Whoever comes back with the last id gets
//! what comes after it, through whichever master. The stream ends with `behind`, if this master has not come so far;
//! `resync`, if the reader is too slow; `ended`, if the login is; or `fault`.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use docklet_control::id::LogIndex;
use docklet_control::model::User;
use docklet_control::view::state;
use docklet_control::{Change, permit};
use docklet_raft::{FollowEnd, Followed, Follower, Frozen, OnGap};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::asker::{Asker, holder};
use crate::bounds::{Lasting, Lease};
use crate::dispatch::Waking;
use crate::problem::Problem;
use crate::serve::Portal;

/// A quiet stream says this often how far it has come.
const BOOKMARK_EVERY: Duration = Duration::from_secs(2);
/// A reader that takes longer for one event, while others wait, is too slow.
const READ_MAX: Duration = Duration::from_secs(30);

/// From where to follow.
#[derive(Deserialize, schemars::JsonSchema)]
pub(crate) struct From {
    /// The first entry to show; everything kept if absent.
    from: Option<u64>,
    /// What to show instead of changes that are no longer kept.
    #[serde(default)]
    gap: Gap,
}

#[derive(Clone, Copy, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Gap {
    #[default]
    Snapshot,
    Skip,
}

/// Every change that the asker may see, from an entry on, without end. A browser or program that reconnects says in
/// `Last-Event-ID` what it has seen.
pub(crate) async fn stream(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Query(query): Query<From>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let lease = asker.hold(&portal, Lasting::Stream)?;
    let seen = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let seen = seen.and_then(|text| text.parse::<u64>().ok());
    let after = seen.or(query.from.map(|from| from.saturating_sub(1)));
    let after = LogIndex(after.unwrap_or(0));
    let on_gap = match query.gap {
        Gap::Snapshot => OnGap::Snapshot,
        Gap::Skip => OnGap::Skip,
    };
    let viewer = Viewer {
        // From here on: what changes before the first look wakes it once more.
        touched: portal.dispatcher.person(&asker.user),
        follower: portal.master.follower(after, on_gap),
        portal,
        asker,
        told: after,
        given_at: None,
        _lease: lease,
    };
    let events = futures_util::stream::unfold(Some(viewer), |viewer| async move {
        let mut viewer = viewer?;
        let event = viewer.next().await;
        let goes_on = matches!(event, Told::On(_));
        let (Told::On(event) | Told::Last(event)) = event;
        Some((Ok(event), goes_on.then_some(viewer)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(BOOKMARK_EVERY)))
}

/// An event, and whether others come.
enum Told {
    On(Event),
    Last(Event),
}

/// One open stream.
struct Viewer {
    portal: Portal,
    asker: Asker,
    follower: Follower,
    touched: Waking,
    /// The reader knows that the stream has come so far.
    told: LogIndex,
    /// When the last event was handed over.
    given_at: Option<Instant>,
    _lease: Lease,
}

/// What comes with an event that is no change.
#[derive(Serialize)]
struct Remark<'r> {
    index: Option<LogIndex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
}

/// The state instead of changes that are no longer kept.
#[derive(Serialize)]
struct Snapshot {
    index: LogIndex,
    /// The first entry whose changes are left out.
    skipped_from: LogIndex,
    state: state::StateView,
}

impl Viewer {
    async fn next(&mut self) -> Told {
        if self.is_too_slow() {
            let detail = "the reader was too slow: come back with the last id";
            return Told::Last(remark("resync", Some(self.told), detail));
        }
        let event = self.find().await;
        self.given_at = Some(Instant::now());
        event
    }

    fn is_too_slow(&self) -> bool {
        let waited = self.given_at.is_some_and(|at| at.elapsed() > READ_MAX);
        waited && self.portal.master.local().index > self.follower.position()
    }

    /// The next event that there is to tell.
    async fn find(&mut self) -> Told {
        loop {
            let followed = self.follower.next().await;
            // A state that has what is to be told: who was demoted by it, or before, is not told what an admin is.
            let state = self.portal.master.local().state;
            let Some(user) = holder(&state, self.asker.session) else {
                let detail = "the login has ended: log in again";
                return Told::Last(remark("ended", None, detail));
            };
            let event = match followed {
                Ok(Some(followed)) => self.tell(user, followed),
                Ok(None) => self.wait().await,
                Err(end) => return Told::Last(ended(&end)),
            };
            if let Some(event) = event {
                self.told = self.follower.position();
                return Told::On(event);
            }
        }
    }

    fn tell(&self, user: &User, followed: Followed) -> Option<Event> {
        match followed {
            Followed::Change(change) => told(user, &change),
            Followed::Snapshot(frozen) => Some(self.snapshot(user, &frozen)),
            Followed::Skipped(index) => {
                let detail = "the changes up to this entry are no longer kept";
                Some(remark("skipped", Some(index), detail).id(index.to_string()))
            }
        }
    }

    fn snapshot(&self, user: &User, frozen: &Frozen) -> Event {
        let data = Snapshot {
            index: frozen.index,
            skipped_from: LogIndex(self.told.0 + 1),
            state: state::show(&frozen.state, user),
        };
        let event = Event::default().event("snapshot");
        json(event.id(frozen.index.to_string()), &data)
    }

    /// Waits until something concerns the asker; answers a bookmark if nothing does for a while.
    async fn wait(&mut self) -> Option<Event> {
        let woken = tokio::time::timeout(BOOKMARK_EVERY, self.touched.woken()).await;
        if woken.is_ok() {
            return None;
        }
        if let Some(index) = self.touched.quiet_until() {
            self.follower.pass(index);
        }
        let index = self.follower.position();
        let data = Remark {
            index: Some(index),
            detail: None,
        };
        let bookmark = || Event::default().event("bookmark").id(index.to_string());
        (index > self.told).then(|| json(bookmark(), &data))
    }
}

fn json(event: Event, data: &impl Serialize) -> Event {
    event
        .json_data(data)
        .expect("plain data with text for keys has a JSON form")
}

/// The part of a change that the person may see.
fn told(user: &User, change: &Change) -> Option<Event> {
    let visible = permit::visible_change(user, change)?;
    let event = Event::default().event("change");
    Some(json(event.id(visible.index.to_string()), &visible))
}

fn remark(kind: &str, index: Option<LogIndex>, detail: &str) -> Event {
    let detail = Some(detail);
    json(Event::default().event(kind), &Remark { index, detail })
}

/// The last event of a stream that cannot go on here.
fn ended(end: &FollowEnd) -> Event {
    let (kind, index) = match end {
        FollowEnd::Behind { applied } => ("behind", Some(*applied)),
        FollowEnd::Fault(_) => ("fault", None),
    };
    remark(kind, index, &end.to_string())
}
