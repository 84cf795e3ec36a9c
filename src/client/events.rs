//! Following what happens, across masters.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use docklet_control::Change;
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::Value;

use super::connection::Connection;
use super::output::{Format, instant, line, remark};
use crate::cli::Print;
use crate::exit::{Class, Failure};

/// Masters may be behind what was asked for this long: after an election, or when a client has seen more than they.
const BEHIND_MAX: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Args)]
pub struct Events {
    /// First entry of the log to show
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// End after this many changes
    #[arg(long)]
    limit: Option<usize>,
    #[command(flatten)]
    print: Print,
}

pub async fn run(events: Events) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let mut from = events.from;
    let mut left = events.limit.unwrap_or(usize::MAX);
    let mut behind_since = None;
    'stream: loop {
        let path = format!("/events?from={from}");
        let mut stream = connection
            .send(Method::GET, &path, |r| r)
            .await?
            .bytes_stream();
        let mut buffer = Vec::new();
        while let Ok(Some(Ok(bytes))) =
            tokio::time::timeout(Duration::from_secs(6), stream.next()).await
        {
            buffer.extend(bytes);
            while let Some((kind, data)) = next_event(&mut buffer) {
                if kind == "behind" && is_early(&mut behind_since) {
                    // Another master, or this one in a moment, has come that far.
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue 'stream;
                }
                if kind != "change" {
                    return end(&kind, &data);
                }
                behind_since = None;
                let change: Change = serde_json::from_str(&data)?;
                from = change.index.0 + 1;
                print_change(events.print.format, &change, &data);
                left -= 1;
                if left == 0 {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        remark("The master is gone or silent; going on with another.");
    }
}

/// Whether masters have been behind for so short that waiting is right.
fn is_early(since: &mut Option<Instant>) -> bool {
    since.get_or_insert_with(Instant::now).elapsed() < BEHIND_MAX
}

/// The stream's last word, as an error with a next step.
fn end(kind: &str, data: &str) -> anyhow::Result<ExitCode> {
    let last: Value = serde_json::from_str(data).unwrap_or_default();
    let detail = last["detail"].as_str().unwrap_or("the stream ended");
    let index = last["index"].as_u64().unwrap_or_default();
    let (class, next) = match kind {
        "behind" => (
            Class::Unavailable,
            format!("begin with --from {} to see what comes", index + 1),
        ),
        "compacted" => (
            Class::NotFound,
            format!(
                "begin with --from {}, or see what is now with the other commands",
                index + 1
            ),
        ),
        _ => (
            Class::Fault,
            "tell an admin, who finds more in that master's log".to_owned(),
        ),
    };
    Err(Failure::new(class, format!("{detail}: {next}")).into())
}

/// Takes the next whole event off the buffer: its kind and its data.
fn next_event(buffer: &mut Vec<u8>) -> Option<(String, String)> {
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
    use super::next_event;

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
