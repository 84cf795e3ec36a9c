//! Waiting until snapshots are taken or restored. It goes on without whoever waits.

use std::process::ExitCode;
use std::time::Duration;

use docklet_control::id::LogIndex;
use docklet_control::model::{Receipt, RestoreSeen, SnapshotSeen};
use docklet_control::view::{SnapshotsView, VclusterView};

use super::{Whose, look, show};
use crate::cli::Outcome;
use crate::client::connection::Connection;
use crate::client::output::print_receipt;
use crate::exit::{Class, Failure};

/// How often it is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is waited for.
#[derive(Clone, Copy)]
pub enum Goal {
    Taken,
    /// And what shall run runs again.
    Restored,
}

/// Prints what came of it, or the receipt if nobody waits.
pub async fn finish(
    connection: &Connection,
    whose: &Whose,
    receipt: &Receipt,
    outcome: Outcome,
    goal: Goal,
) -> anyhow::Result<ExitCode> {
    let Some(limit) = outcome.wait.limit() else {
        print_receipt(outcome.print.format, receipt)?;
        return Ok(ExitCode::SUCCESS);
    };
    let reached = until(connection, whose, receipt.index, goal);
    match tokio::time::timeout(limit, reached).await {
        Ok(view) => {
            show::all(outcome.print.format, &whose.vcluster, &view?)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(_) => {
            let text = format!(
                "it is not done after {} s; the change itself stands (entry {}): see `docklet snapshot list {}`",
                limit.as_secs(),
                receipt.index,
                whose.vcluster
            );
            Err(Failure::new(Class::Timeout, text).into())
        }
    }
}

async fn until(
    connection: &Connection,
    whose: &Whose,
    number: LogIndex,
    goal: Goal,
) -> anyhow::Result<SnapshotsView> {
    loop {
        let mut view = look(connection, whose).await?;
        view.snapshots.retain(|snapshot| snapshot.number == number);
        view.restores.retain(|restore| restore.number == number);
        view.schedule = None;
        let done = match goal {
            Goal::Taken => all_taken(&view)?,
            Goal::Restored => {
                let restored = all_restored(whose, &view)?;
                restored && is_settled(connection, whose).await?
            }
        };
        if done {
            return Ok(view);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn all_taken(view: &SnapshotsView) -> anyhow::Result<bool> {
    for snapshot in &view.snapshots {
        match &snapshot.seen {
            SnapshotSeen::Wanted => return Ok(false),
            SnapshotSeen::Taken { .. } => {}
            SnapshotSeen::Failed { cause } => {
                let text = format!("{} was not taken: {cause}", snapshot.called());
                return Err(Failure::new(Class::Fault, text).into());
            }
        }
    }
    Ok(true)
}

fn all_restored(whose: &Whose, view: &SnapshotsView) -> anyhow::Result<bool> {
    for restore in &view.restores {
        match &restore.seen {
            RestoreSeen::Wanted => return Ok(false),
            RestoreSeen::Done { .. } => {}
            RestoreSeen::Failed { .. } => {
                let text = show::restored(&whose.vcluster, restore);
                return Err(Failure::new(Class::Fault, text).into());
            }
        }
    }
    Ok(true)
}

async fn is_settled(connection: &Connection, whose: &Whose) -> anyhow::Result<bool> {
    let path = format!("/vclusters/{}", whose.vcluster);
    let vcluster: VclusterView = connection.get(&path).await?;
    Ok(vcluster.is_settled())
}
