//! Rows for an open page of what happens: each entry once, in order, from where the page or the stream before it ended.

use axum::http::HeaderMap;
use axum::response::sse::Event;
use docklet_control::id::LogIndex;
use docklet_control::view::happened::{self, Wish};
use docklet_raft::{Followed, Follower, OnGap};
use maud::Markup;

use crate::asker::Asker;
use crate::happened::Sought;
use crate::pages::events::{ROWS, gap_row, row};
use crate::serve::Portal;

/// Entries that are looked at in one go: others have their turn in between.
const GO: usize = 200;

/// Where one page is.
pub(crate) struct Rows {
    follower: Follower,
    wish: Wish,
}

impl Rows {
    /// After what the page came with, or the last that the stream before this one sent.
    pub(crate) fn after(portal: &Portal, sought: &Sought, wish: Wish, headers: &HeaderMap) -> Self {
        let last = headers.get("last-event-id");
        let last = last.and_then(|value| value.to_str().ok()?.parse().ok());
        let after = last.or(sought.seen).or(sought.after).unwrap_or(0);
        Self {
            follower: portal.master.follower(LogIndex(after), OnGap::Skip),
            wish,
        }
    }

    /// What has come since.
    pub(crate) async fn next(&mut self, asker: &Asker) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..GO {
            match self.follower.next().await {
                Ok(Some(Followed::Change(change))) => {
                    let state = &asker.frozen.state;
                    let shown = happened::show(state, &asker.user, &change, &self.wish);
                    events.extend(shown.map(|one| row_event(one.index, ROWS, &row(&one))));
                }
                Ok(Some(Followed::Skipped(upto))) => {
                    events.push(row_event(upto, ROWS, &gap_row(upto)))
                }
                // Behind: another look, or another master, has it.
                Ok(Some(Followed::Snapshot(_)) | None) | Err(_) => break,
            }
        }
        events
    }
}

/// A row that goes on top of the list of this id, for an entry.
pub(crate) fn row_event(index: LogIndex, list: &str, row: &Markup) -> Event {
    let data = serde_json::json!({"id": list, "html": row.0});
    let event = Event::default().event("row").id(index.to_string());
    event.data(data.to_string())
}
