//! Deleting. A directory with much in it takes as long as it takes: people at a terminal see how far it is, and who ends the
//! command ends it.

use std::io::{self, IsTerminal, Write};

use docklet_control::file_path::plain;
use futures_util::StreamExt;
use reqwest::{Method, header};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::remote::Remote;
use crate::client::connection::Connection;
use crate::exit::{Class, Failure};

const LINES: &str = "application/x-ndjson";

/// What a master says, line by line.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Gone(u64),
    Files(IgnoredAny),
    Problem { detail: String },
}

pub(super) async fn run(
    connection: &Connection,
    at: &Remote,
    recursive: bool,
) -> anyhow::Result<()> {
    let path = at.absolute(connection).await?;
    let all = if recursive { "true" } else { "false" };
    let address = at.address("", &[("path", path.as_str()), ("all", all)]);
    let answer = connection
        .send(Method::DELETE, &address, |request| {
            request.header(header::ACCEPT, LINES)
        })
        .await?;
    let of = answer.headers().get(header::CONTENT_TYPE);
    if of.is_none_or(|kind| kind != LINES) {
        // A master of before says it once, at the end.
        return Ok(());
    }
    let (mut parts, mut rest) = (answer.bytes_stream(), Vec::new());
    let mut told = Told::default();
    while let Some(part) = parts.next().await {
        let Ok(part) = part else { break };
        rest.extend_from_slice(&part);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            match serde_json::from_slice(&line)? {
                Line::Gone(count) => told.gone(count),
                Line::Files(_) => return Ok(()),
                Line::Problem { detail } => {
                    told.clear();
                    return Err(Failure::new(Class::Conflict, plain(&detail)).into());
                }
            }
        }
    }
    told.clear();
    let text =
        format!("{path}: the connection broke, and something of it may be left: delete it again");
    Err(Failure::new(Class::Unavailable, text).into())
}

/// How far it is, for people at a terminal; gone when there is no more to tell.
#[derive(Default)]
struct Told(bool);

impl Told {
    fn gone(&mut self, count: u64) {
        if io::stderr().is_terminal() {
            self.0 = true;
            // Whoever looks away from it misses nothing.
            let _ = write!(io::stderr(), "\r{count} files gone\x1b[K");
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.0) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.clear();
    }
}
