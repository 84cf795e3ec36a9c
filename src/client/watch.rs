//! `--watch`: what a command shows, and again whenever the cluster tells of a change by which it is something else.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::connection::Connection;
use super::output::{self, Format};
use super::stream::{Gap, Stream};
use crate::cli::Print;

// How data is printed, and whether that is all.
#[derive(Args, Clone, Copy)]
pub struct Shown {
    /// Go on, and show it again whenever it has changed
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    pub print: Print,
}

/// Looks and shows; with `--watch`, again after each change that makes a difference.
///
/// # Errors
/// Looking or showing fails, or the stream of changes ends for good.
pub async fn show<T: Serialize>(
    connection: &Connection,
    ask: Shown,
    look: impl AsyncFn() -> anyhow::Result<T>,
    print: impl Fn(Format, &T) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let format = ask.print.format;
    if !ask.watch {
        print(format, &look().await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    // What changes from here on is told: nothing is missed between looking and listening.
    let status: Value = connection.get("/status").await?;
    let applied = status["raft"]["applied"].as_u64().unwrap_or_default();
    let mut stream = Stream::from(connection, applied + 1, Gap::Skip);
    let mut shown = Value::Null;
    loop {
        let now = look().await?;
        let data = serde_json::to_value(&now)?;
        if data != shown {
            output::begin_anew(format);
            print(format, &now)?;
            shown = data;
        }
        stream.news().await?;
    }
}
