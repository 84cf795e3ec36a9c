//! The stream of changes, followed across masters: when one is gone, another goes on where it ended.

use std::time::{Duration, Instant};

use docklet_control::Change;
use docklet_control::id::LogIndex;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::Method;
use serde::Deserialize;

use super::connection::Connection;
use super::output::remark;
use crate::exit::{Class, Failure};

/// Masters may be behind what was asked for this long: after an election, or when a client has seen more than they.
const BEHIND_MAX: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A master says something at least every two seconds.
const SILENCE_MAX: Duration = Duration::from_secs(6);

type Bytes = BoxStream<'static, Option<Vec<u8>>>;

/// What the stream tells.
pub enum Told {
    /// What an entry changed, and the same as text.
    Change(Box<Change>, String),
    /// The state, as text, instead of changes that are no longer kept.
    Snapshot(String),
    /// Changes up to an entry are no longer kept, and there is nothing instead.
    Skipped,
}

/// What stands instead of changes that are no longer kept.
#[derive(Clone, Copy)]
pub enum Gap {
    Skip,
    Snapshot,
}

/// Follows the stream.
pub struct Stream<'c> {
    connection: &'c Connection,
    position: Position,
    gap: Gap,
    open: Option<Bytes>,
    buffer: Vec<u8>,
}

impl<'c> Stream<'c> {
    /// From this entry on.
    pub fn from(connection: &'c Connection, from: u64, gap: Gap) -> Self {
        Self {
            connection,
            position: Position {
                from,
                behind_since: None,
                again: false,
            },
            gap,
            open: None,
            buffer: Vec::new(),
        }
    }

    /// What comes next.
    ///
    /// # Errors
    /// No master answers, or the stream has ended for good.
    pub async fn next(&mut self) -> anyhow::Result<Told> {
        loop {
            if let Some(told) = self.there()? {
                return Ok(told);
            }
            if self.position.again {
                // Another master, or this one in a moment, has come that far.
                self.close();
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            self.read().await?;
        }
    }

    /// What has come already.
    ///
    /// # Errors
    /// The stream has ended for good.
    pub fn there(&mut self) -> anyhow::Result<Option<Told>> {
        while !self.position.again {
            let Some((kind, data)) = next_event(&mut self.buffer) else {
                break;
            };
            if let Some(told) = self.position.take(&kind, data)? {
                return Ok(Some(told));
            }
        }
        Ok(None)
    }

    /// Waits until something is told, for somebody who then looks at the state: with it all is passed over that has come
    /// already. Whichever master is looked at has come as far as the one that told it.
    ///
    /// # Errors
    /// Those of [`Stream::next`].
    pub async fn news(&mut self) -> anyhow::Result<()> {
        self.next().await?;
        while self.there()?.is_some() {}
        self.connection.saw(self.passed());
        Ok(())
    }

    /// The last entry that the stream has passed.
    fn passed(&self) -> LogIndex {
        LogIndex(self.position.from.saturating_sub(1))
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.connect().await?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        match tokio::time::timeout(SILENCE_MAX, open.next()).await {
            Ok(Some(Some(bytes))) => self.buffer.extend(bytes),
            Ok(Some(None) | None) | Err(_) => {
                remark("The master is gone or silent; going on with another.");
                self.close();
            }
        }
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<Bytes> {
        let gap = match self.gap {
            Gap::Skip => "skip",
            Gap::Snapshot => "snapshot",
        };
        let path = format!("/events?from={}&gap={gap}", self.position.from);
        let response = self.connection.send(Method::GET, &path, |r| r).await?;
        let parts = response.bytes_stream();
        Ok(parts.map(|part| part.ok().map(Into::into)).boxed())
    }

    fn close(&mut self) {
        self.open = None;
        self.buffer.clear();
        self.position.again = false;
    }
}

/// How far the stream has been followed.
struct Position {
    /// The next entry.
    from: u64,
    behind_since: Option<Instant>,
    /// A new connection goes on from here.
    again: bool,
}

/// What comes with events other than changes.
#[derive(Deserialize)]
struct Remark {
    index: Option<u64>,
    #[serde(default)]
    detail: String,
}

impl Position {
    fn take(&mut self, kind: &str, data: String) -> anyhow::Result<Option<Told>> {
        if kind == "change" {
            let change: Change = serde_json::from_str(&data)?;
            self.reached(change.index.0);
            return Ok(Some(Told::Change(Box::new(change), data)));
        }
        let said: Remark = serde_json::from_str(&data)?;
        match kind {
            "bookmark" => self.reached(said.index.unwrap_or(0)),
            "skipped" => {
                self.skipped(said.index.unwrap_or(0));
                return Ok(Some(Told::Skipped));
            }
            "snapshot" => {
                self.skipped(said.index.unwrap_or(0));
                return Ok(Some(Told::Snapshot(data)));
            }
            "resync" => self.again = true,
            "behind" if is_early(&mut self.behind_since) => self.again = true,
            _ => return Err(end(kind, &said).into()),
        }
        Ok(None)
    }

    fn reached(&mut self, index: u64) {
        self.behind_since = None;
        self.from = index + 1;
    }

    fn skipped(&mut self, index: u64) {
        let from = self.from;
        remark(&format!(
            "Changes of entries {from} to {index} are no longer kept: going on from entry {}.",
            index + 1
        ));
        self.reached(index);
    }
}

/// Whether masters have been behind for so short that waiting is right.
fn is_early(since: &mut Option<Instant>) -> bool {
    since.get_or_insert_with(Instant::now).elapsed() < BEHIND_MAX
}

/// The stream's last word, as an error with a next step.
fn end(kind: &str, last: &Remark) -> Failure {
    let (class, next) = match kind {
        "behind" => {
            let from = last.index.unwrap_or_default() + 1;
            let next = format!("begin with --from {from} to see what comes");
            (Class::Unavailable, next)
        }
        "ended" => (Class::Denied, "`docklet login`".to_owned()),
        _ => {
            let next = "tell an admin, who finds more in that master's log";
            (Class::Fault, next.to_owned())
        }
    };
    let detail = &last.detail;
    Failure::new(class, format!("the stream ended, {detail}: {next}"))
}

/// Takes the next whole event off the buffer: its kind and its data.
pub(super) fn next_event(buffer: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let event: Vec<u8> = buffer.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&event);
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim_start().to_owned())
        };
        if let (Some(kind), Some(data)) = (field("event:"), field("data:")) {
            return Some((kind, data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, next_event};

    #[test]
    fn what_is_not_a_change_moves_the_position_or_ends_the_stream() {
        let mut position = Position {
            from: 5,
            behind_since: None,
            again: false,
        };
        let mut take = |kind, data: &str| {
            let told = position.take(kind, data.to_owned())?;
            let again = std::mem::take(&mut position.again);
            anyhow::Ok((told.is_some(), again, position.from))
        };
        let goes_on = |taken: anyhow::Result<_>| taken.expect("goes on");
        assert_eq!(
            goes_on(take("bookmark", r#"{"index":9}"#)),
            (false, false, 10)
        );
        assert_eq!(
            goes_on(take("skipped", r#"{"index":20}"#)),
            (true, false, 21)
        );
        assert_eq!(
            goes_on(take("resync", r#"{"index":20}"#)),
            (false, true, 21)
        );
        assert_eq!(goes_on(take("behind", r#"{"index":3}"#)), (false, true, 21));
        take("ended", r#"{"index":null,"detail":"the login has ended"}"#).expect_err("an end");
    }

    #[test]
    fn events_are_taken_whole_and_comments_are_passed_over() {
        let mut buffer = b":\n\nevent: change\nid: 7\ndata: {\"a\":1}\n\nevent: cha".to_vec();
        let first = next_event(&mut buffer);
        assert_eq!(first, Some(("change".to_owned(), "{\"a\":1}".to_owned())));
        assert_eq!(next_event(&mut buffer), None);
        buffer.extend(b"nge\ndata: 2\n\n");
        assert_eq!(
            next_event(&mut buffer),
            Some(("change".to_owned(), "2".to_owned()))
        );
    }
}
