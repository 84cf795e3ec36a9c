//! The resumable stream of changes: server-sent events whose id is the log index.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use docklet_control::id::LogIndex;
use docklet_control::permit;
use docklet_raft::FollowEnd;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;

use crate::asker::{Asker, holder};
use crate::serve::Portal;

/// From where to follow.
#[derive(Deserialize)]
pub(crate) struct From {
    /// The first entry to show; everything kept if absent.
    from: Option<u64>,
}

/// Every change that the asker may see, from an entry on, without end. A browser or program that reconnects says in
/// `Last-Event-ID` what it has seen.
pub(crate) async fn stream(
    State(portal): State<Portal>,
    asker: Asker,
    headers: HeaderMap,
    Query(query): Query<From>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let seen = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let seen = seen.and_then(|text| text.parse::<u64>().ok());
    let after = seen
        .or(query.from.map(|from| from.saturating_sub(1)))
        .unwrap_or(0);
    let follow = portal.master.follow(LogIndex(after));
    let events = follow.filter_map(move |item| {
        let event = match item {
            Ok(change) => {
                let state = portal.master.local().state;
                let user = holder(&state, asker.session).cloned();
                user.and_then(|user| permit::visible_change(&user, &change))
                    .and_then(|change| {
                        let id = change.index.to_string();
                        Event::default()
                            .id(id)
                            .event("change")
                            .json_data(change)
                            .ok()
                    })
            }
            Err(end) => Some(ended(&end)),
        };
        std::future::ready(event.map(Ok))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(2)))
}

/// The last event of a stream that cannot go on: says where to go on instead.
fn ended(end: &FollowEnd) -> Event {
    let (kind, index) = match end {
        FollowEnd::Compacted { kept_after } => ("compacted", Some(*kept_after)),
        FollowEnd::Behind { applied } => ("behind", Some(*applied)),
        FollowEnd::Fault(_) => ("fault", None),
    };
    let data = serde_json::json!({"index": index, "detail": end.to_string()});
    Event::default().event(kind).data(data.to_string())
}
