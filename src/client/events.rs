//! Following what happens, across masters.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use docklet_control::Change;
use futures_util::StreamExt;
use reqwest::Method;
use serde::Deserialize;

use super::connection::Connection;
use super::output::{Format, instant, line, remark};
use crate::cli::Print;
use crate::exit::{Class, Failure};

/// Masters may be behind what was asked for this long: after an election, or when a client has seen more than they.
const BEHIND_MAX: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A master says something at least every two seconds.
const SILENCE_MAX: Duration = Duration::from_secs(6);

#[derive(Args)]
pub struct Events {
    /// First entry of the log to show
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// End after this many changes
    #[arg(long)]
    limit: Option<usize>,
    /// Where changes are no longer kept, print the state instead and go on from there
    #[arg(long)]
    snapshot: bool,
    #[command(flatten)]
    print: Print,
}

pub async fn run(events: Events) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let mut following = Following {
        from: events.from,
        left: events.limit.unwrap_or(usize::MAX),
        behind_since: None,
        snapshot: events.snapshot,
        format: events.print.format,
    };
    loop {
        let mut stream = connection
            .send(Method::GET, &following.path(), |r| r)
            .await?
            .bytes_stream();
        let mut buffer = Vec::new();
        let mut next = Next::Read;
        while next == Next::Read {
            match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
                Ok(Some(Ok(bytes))) => buffer.extend(bytes),
                Ok(Some(Err(_)) | None) | Err(_) => {
                    remark("The master is gone or silent; going on with another.");
                    break;
                }
            }
            while let Some((kind, data)) = next_event(&mut buffer).filter(|_| next == Next::Read) {
                next = following.take(&kind, &data)?;
            }
        }
        match next {
            Next::End => return Ok(ExitCode::SUCCESS),
            // Another master, or this one in a moment, has come that far.
            Next::Reconnect => tokio::time::sleep(LOOK_AGAIN).await,
            Next::Read => {}
        }
    }
}

/// What to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Read,
    Reconnect,
    End,
}

/// How far the events have been followed.
struct Following {
    /// The next entry.
    from: u64,
    /// So many changes more.
    left: usize,
    behind_since: Option<Instant>,
    snapshot: bool,
    format: Format,
}

/// What comes with events other than changes.
#[derive(Deserialize)]
struct Remark {
    index: Option<u64>,
    #[serde(default)]
    detail: String,
}

impl Following {
    fn path(&self) -> String {
        let gap = if self.snapshot { "snapshot" } else { "skip" };
        format!("/events?from={}&gap={gap}", self.from)
    }

    fn take(&mut self, kind: &str, data: &str) -> anyhow::Result<Next> {
        if kind == "change" {
            let change: Change = serde_json::from_str(data)?;
            self.reached(change.index.0);
            print_change(self.format, &change, data);
            self.left -= 1;
            return Ok(if self.left == 0 {
                Next::End
            } else {
                Next::Read
            });
        }
        let said: Remark = serde_json::from_str(data)?;
        match kind {
            "bookmark" => self.reached(said.index.unwrap_or(0)),
            "skipped" => self.skipped(said.index.unwrap_or(0)),
            "snapshot" => {
                self.skipped(said.index.unwrap_or(0));
                line(data);
            }
            "resync" => return Ok(Next::Reconnect),
            "behind" if is_early(&mut self.behind_since) => return Ok(Next::Reconnect),
            _ => return end(kind, &said),
        }
        Ok(Next::Read)
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
fn end(kind: &str, last: &Remark) -> anyhow::Result<Next> {
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
    Err(Failure::new(class, format!("the stream ended, {detail}: {next}")).into())
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

fn print_change(format: Format, change: &Change, data: &str) {
    if format == Format::Json {
        return line(data);
    }
    for event in &change.events {
        let text = serde_json::to_value(event).unwrap_or_default();
        let name = text
            .as_object()
            .and_then(|object| object.keys().next().cloned());
        let about = name
            .as_ref()
            .map(|name| text[name].to_string())
            .unwrap_or_default();
        let about: String = about
            .chars()
            .filter(|c| !c.is_control())
            .take(140)
            .collect();
        let (at, name) = (instant(change.at), name.unwrap_or_default());
        line(&format!("{:>8}  {at}  {name:<22} {about}", change.index));
    }
}

#[cfg(test)]
mod tests {
    use super::{Following, Next, next_event};
    use crate::client::output::Format;

    #[test]
    fn what_is_not_a_change_moves_the_position_or_ends_the_stream() {
        let mut following = Following {
            from: 5,
            left: 1,
            behind_since: None,
            snapshot: false,
            format: Format::Json,
        };
        let mut take = |kind, data| {
            following
                .take(kind, data)
                .map(|next| (next, following.from))
        };
        assert_eq!(
            take("bookmark", r#"{"index":9}"#).expect("goes on"),
            (Next::Read, 10)
        );
        assert_eq!(
            take("skipped", r#"{"index":20}"#).expect("goes on"),
            (Next::Read, 21)
        );
        assert_eq!(
            take("resync", r#"{"index":20}"#).expect("goes on"),
            (Next::Reconnect, 21)
        );
        assert_eq!(
            take("behind", r#"{"index":3}"#).expect("goes on"),
            (Next::Reconnect, 21)
        );
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
