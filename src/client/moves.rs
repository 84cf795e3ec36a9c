//! Moves of vnodes between workers.

use std::process::ExitCode;

use clap::Args;
use docklet_control::model::{MoveTimes, MoveWay, Receipt};
use docklet_control::view::moves::{MoveOf, MoveView};
use reqwest::Method;
use serde_json::{Value, json};

use super::VnodeName;
use super::connection::Connection;
use super::output::{Format, Rows, instant, line, plain, print, print_data, print_receipt, remark};
use super::watch::{self, Shown};
use crate::cli::Outcome;
use crate::exit::{Class, Failure};

#[derive(Args)]
pub struct Move {
    #[arg(value_name = "VC/host-N")]
    vnode: VnodeName,
    /// The worker to which it goes; the one that suits it best if absent
    #[arg(long, value_name = "WORKER", conflicts_with = "cancel")]
    to: Option<String>,
    #[command(flatten)]
    way: Way,
    /// Let it stay where it is, as long as it has not been placed elsewhere
    #[arg(long, conflicts_with_all = ["live", "refresh", "cold"])]
    cancel: bool,
    #[command(flatten)]
    outcome: Outcome,
}

// The best that is possible if none is given.
#[derive(Args, Clone, Copy)]
#[group(multiple = false)]
struct Way {
    /// Its processes and connections go on; refused where that is not possible
    #[arg(long)]
    live: bool,
    /// Copy its disk while it runs, then stop it, copy the rest and start it there
    #[arg(long)]
    refresh: bool,
    /// Stop it, copy its disk and start it there
    #[arg(long)]
    cold: bool,
}

impl Way {
    fn way(self) -> Option<MoveWay> {
        let ways = [
            (self.live, MoveWay::Live),
            (self.refresh, MoveWay::Refresh),
            (self.cold, MoveWay::Cold),
        ];
        ways.into_iter()
            .find(|(given, _)| *given)
            .map(|(_, way)| way)
    }
}

pub async fn run(connection: &Connection, asked: Move) -> anyhow::Result<ExitCode> {
    let VnodeName { vcluster, vnode } = &asked.vnode;
    let path = format!("/vclusters/{vcluster}/vnodes/{vnode}/move");
    if asked.cancel {
        let receipt = connection
            .receipt(Method::DELETE, &path, &Value::Null)
            .await?;
        print_receipt(asked.outcome.print.format, &receipt)?;
        return Ok(ExitCode::SUCCESS);
    }
    let body = json!({"to": asked.to, "way": asked.way.way()});
    let receipt = connection.receipt(Method::POST, &path, &body).await?;
    let Some(limit) = asked.outcome.wait.limit() else {
        print_receipt(asked.outcome.print.format, &receipt)?;
        return Ok(ExitCode::SUCCESS);
    };
    let waited = tokio::time::timeout(limit, ended(connection, &path, &receipt)).await;
    match waited {
        Ok(view) => told(&asked, &view?),
        Err(_) => {
            let text = format!(
                "the move of {vcluster}/{vnode} has not ended after {} s; it goes on (entry {}): see `docklet vc moves`, or end it with `docklet vc move --cancel {vcluster}/{vnode}`",
                limit.as_secs(),
                receipt.index
            );
            Err(Failure::new(Class::Timeout, text).into())
        }
    }
}

/// Looks at the move after each change that the event stream tells, and says how far it is.
async fn ended(connection: &Connection, path: &str, receipt: &Receipt) -> anyhow::Result<MoveView> {
    let mut said = String::new();
    let look = async || {
        let view: MoveView = connection.get(path).await?;
        // One that was asked for later is not this one, and this one is over.
        if !view.is_open || view.number != receipt.index {
            return Ok(Some(view));
        }
        let now = view.sentence();
        if now != said {
            remark(&format!("It {now}."));
            said = now;
        }
        Ok(None)
    };
    connection.until(receipt.index, look).await
}

/// What came of it, with its stages.
fn told(asked: &Move, view: &MoveView) -> anyhow::Result<ExitCode> {
    let VnodeName { vcluster, vnode } = &asked.vnode;
    let moved = view.stage == "moved";
    let is_data = print_data(asked.outcome.print.format, view, |view| {
        rows(&[(asked.vnode.to_string(), view)])
    })?;
    if moved && !is_data {
        line(&plain(&format!("{vcluster}/{vnode} {}.", view.sentence())));
        stages(&view.times).iter().for_each(|stage| line(stage));
        if let Some(ahead) = view.ahead() {
            line(&format!("  {ahead}"));
        }
        if let Some(cause) = &view.not_live {
            line(&plain(&format!("  not while it ran: {cause}")));
        }
    }
    if moved {
        return Ok(ExitCode::SUCCESS);
    }
    let text = format!("{vcluster}/{vnode} {}", view.sentence());
    Err(Failure::new(Class::Conflict, text).into())
}

/// How long each stage took.
fn stages(times: &MoveTimes) -> Vec<String> {
    let stage = |name: &str, from: Option<_>, to: Option<_>| {
        let (from, to): (docklet_control::id::UnixMs, docklet_control::id::UnixMs) = (from?, to?);
        Some(format!("  {name} {} ms", to.since_ms(from)))
    };
    let asked = Some(times.asked_at);
    let copied = stage(
        "copying while it ran",
        asked,
        times.switched_at.or(times.placed_at),
    );
    let switched = stage(
        "standing still, copying the rest",
        times.switched_at,
        times.placed_at,
    );
    let started = stage("starting", times.placed_at, times.ended_at);
    [copied, switched, started].into_iter().flatten().collect()
}

pub async fn list(connection: &Connection, ask: Shown) -> anyhow::Result<ExitCode> {
    let look = async || connection.get::<Vec<MoveOf>>("/moves").await;
    watch::show(connection, ask, look, |format, moves| table(format, moves)).await
}

fn table(format: Format, moves: &[MoveOf]) -> anyhow::Result<()> {
    print(format, &moves, |moves| {
        let moves = moves.iter();
        let moves = moves.map(|MoveOf { vnode, moving }| (vnode.clone(), moving));
        rows(&moves.collect::<Vec<_>>())
    })
}

/// Moves with the vnodes whose they are.
fn rows(moves: &[(String, &MoveView)]) -> Rows {
    let mut rows = Rows::new(&[
        "vnode", "stage", "from", "to", "way", "down ms", "why", "asked", "cause",
    ]);
    for (vnode, moving) in moves {
        let down = moving.down_ms.map(|ms| ms.to_string());
        let copied = match moving.stage.as_str() {
            "copying" => format!("copying {} %", moving.done_permille() / 10),
            stage => stage.to_owned(),
        };
        rows.add([
            vnode.clone(),
            copied,
            moving.from.clone(),
            moving.to.clone(),
            moving.way.word().to_owned(),
            down.unwrap_or_else(|| "-".to_owned()),
            moving.why.clone(),
            instant(moving.times.asked_at),
            moving.cause.clone().unwrap_or_default(),
        ]);
    }
    rows
}
