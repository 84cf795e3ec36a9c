//! Emptying workers, and filling them again.

use std::process::ExitCode;

use clap::Args;
use docklet_control::model::{DrainStage, Receipt};
use docklet_control::view::drain::DrainView;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::machine;
use super::output::{Rows, line, plain, print_data, print_receipt, remark};
use super::snapshot::name::Span;
use crate::cli::Outcome;
use crate::exit::{Class, Failure};

#[derive(Args)]
pub struct Drain {
    worker: String,
    /// Vnodes on their way at once, at most
    #[arg(long, value_name = "N", default_value_t = 2)]
    at_once: u32,
    /// Time after which it ends whatever is left, as 10m or 1h
    #[arg(long, value_name = "SPAN")]
    deadline: Option<Span>,
    /// End it: what is left stays, and the worker takes vnodes again
    #[arg(long, conflicts_with_all = ["at_once", "deadline", "status"])]
    abort: bool,
    /// Show how far it is
    #[arg(long, conflicts_with_all = ["at_once", "deadline"])]
    status: bool,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Args)]
pub struct Restore {
    worker: String,
    #[command(flatten)]
    outcome: Outcome,
}

pub async fn run(connection: &Connection, drain: Drain) -> anyhow::Result<ExitCode> {
    let path = machine::path(&drain.worker, "drain")?;
    if drain.status {
        let view = connection.get(&path).await?;
        return told(drain.outcome, &view);
    }
    let receipt = if drain.abort {
        let receipt = connection.receipt(Method::DELETE, &path, &Value::Null);
        receipt.await?
    } else {
        let body =
            json!({"at_once": drain.at_once, "deadline_ms": drain.deadline.map(|span| span.ms)});
        connection.receipt(Method::POST, &path, &body).await?
    };
    finish(connection, &path, &receipt, drain.outcome).await
}

pub async fn restore(connection: &Connection, restore: Restore) -> anyhow::Result<ExitCode> {
    let path = machine::path(&restore.worker, "drain")?;
    let ask = machine::path(&restore.worker, "restore")?;
    let receipt = connection.receipt(Method::POST, &ask, &Value::Null).await?;
    finish(connection, &path, &receipt, restore.outcome).await
}

async fn finish(
    connection: &Connection,
    path: &str,
    receipt: &Receipt,
    outcome: Outcome,
) -> anyhow::Result<ExitCode> {
    let Some(limit) = outcome.wait.limit() else {
        print_receipt(outcome.print.format, receipt)?;
        return Ok(ExitCode::SUCCESS);
    };
    match tokio::time::timeout(limit, ended(connection, path, receipt)).await {
        Ok(view) => told(outcome, &view?),
        Err(_) => {
            let view: DrainView = connection.get(path).await?;
            let stuck = view.stuck.iter();
            let stuck: Vec<String> = stuck.map(|s| format!("{}: {}", s.vnode, s.why)).collect();
            let text = format!(
                "it has not ended after {} s and goes on: {}{}",
                limit.as_secs(),
                view.sentence(),
                stuck
                    .iter()
                    .map(|why| format!("; {why}"))
                    .collect::<String>()
            );
            Err(Failure::new(Class::Timeout, text).into())
        }
    }
}

/// Looks after each change that the event stream tells, and says how far it is.
async fn ended(
    connection: &Connection,
    path: &str,
    receipt: &Receipt,
) -> anyhow::Result<DrainView> {
    let mut said = String::new();
    let look = async || {
        let view: DrainView = connection.get(path).await?;
        if !view.is_open {
            return Ok(Some(view));
        }
        let now = view.sentence();
        if now != said {
            remark(&now);
            said = now;
        }
        Ok(None)
    };
    connection.until(receipt.index, look).await
}

/// The vnodes that are on their way or stay.
fn left(view: &DrainView) -> Rows {
    let mut rows = Rows::new(&["vnode", "how it is"]);
    for moving in &view.under_way {
        rows.add([moving.vnode.clone(), moving.moving.sentence()]);
    }
    for stuck in &view.stuck {
        rows.add([stuck.vnode.clone(), stuck.why.clone()]);
    }
    rows
}

fn told(outcome: Outcome, view: &DrainView) -> anyhow::Result<ExitCode> {
    if !print_data(outcome.print.format, view, left)? {
        line(&plain(&format!("{}.", view.sentence())));
        for moving in &view.under_way {
            line(&plain(&format!(
                "  {} {}",
                moving.vnode,
                moving.moving.sentence()
            )));
        }
        for stuck in &view.stuck {
            line(&plain(&format!("  {} stays: {}", stuck.vnode, stuck.why)));
        }
    }
    if view.stage != DrainStage::Late {
        return Ok(ExitCode::SUCCESS);
    }
    let text = format!("{} vnodes are left on {}", view.left, view.worker);
    Err(Failure::new(Class::Conflict, text).into())
}
