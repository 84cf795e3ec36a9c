//! Snapshots of vnodes: taken, listed, restored, deleted, and taken by themselves.

pub(super) mod name;
mod show;
mod wait;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use docklet_control::model::SnapshotRhythm;
use docklet_control::view::SnapshotsView;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output::{print_receipt, remark};
use super::watch::{self, Shown};
use crate::cli::{Outcome, Print};
use crate::exit::{Class, Failure};
pub use name::{SnapshotName, Span, Whose};
use wait::Goal;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Take a snapshot of a vnode's disk, or of each vnode of a vcluster; what runs goes on
    Create(Create),
    /// List snapshots, restores and the schedule of a vcluster, or of one of its vnodes
    List {
        /// VCLUSTER or VCLUSTER/host-0
        whose: Whose,
        #[command(flatten)]
        ask: Shown,
    },
    /// Put the disk back to what it was; what runs is stopped for it, and what was there becomes a snapshot
    Restore(Change),
    /// Delete a snapshot
    Delete {
        /// VCLUSTER/host-0@NAME, or VCLUSTER@NAME
        snapshot: SnapshotName,
        /// For good, without the time in which `docklet trash restore` undoes it
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Take snapshots of a vcluster by themselves, or not any more; shows the schedule if nothing else is said
    #[command(allow_negative_numbers = true)]
    Schedule(Schedule),
}

#[derive(Args)]
pub struct Create {
    /// VCLUSTER/host-0@NAME, or VCLUSTER@NAME
    snapshot: SnapshotName,
    /// Delete it after this time, as 12h, 7d or 4w
    #[arg(long, value_name = "SPAN")]
    expires: Option<Span>,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Args)]
pub struct Change {
    /// VCLUSTER/host-0@NAME, or VCLUSTER@NAME
    snapshot: SnapshotName,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Args)]
pub struct Schedule {
    vcluster: String,
    /// How often: hourly, daily, weekly, or as 15m, 6h, 2d
    #[arg(long, value_name = "SPAN", conflicts_with = "off")]
    every: Option<Span>,
    /// Of each vnode so many stay, the newest
    #[arg(long, default_value_t = 7, requires = "every")]
    keep: u32,
    /// Delete each after this time
    #[arg(long, value_name = "SPAN", requires = "every")]
    expires: Option<Span>,
    /// Take none by themselves any more; those that there are stay
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    print: Print,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Create(create) => {
            let Create {
                snapshot,
                expires,
                outcome,
            } = create;
            let body = json!({
                "name": snapshot.name,
                "vnode": snapshot.whose.vnode,
                "ttl_ms": expires.map(|span| span.ms),
            });
            let path = path(&snapshot.whose);
            let receipt = connection.receipt(Method::POST, &path, &body).await?;
            wait::finish(&connection, &snapshot.whose, &receipt, outcome, Goal::Taken).await
        }
        Command::List { whose, ask } => {
            let look = async || look(&connection, &whose).await;
            let show = |format, view: &SnapshotsView| show::all(format, &whose.vcluster, view);
            watch::show(&connection, ask, look, show).await
        }
        Command::Restore(Change { snapshot, outcome }) => {
            let path = format!("{}/{}/restore", path(&snapshot.whose), snapshot.name);
            let body = json!({"vnode": snapshot.whose.vnode});
            let receipt = connection.receipt(Method::POST, &path, &body).await?;
            wait::finish(
                &connection,
                &snapshot.whose,
                &receipt,
                outcome,
                Goal::Restored,
            )
            .await
        }
        Command::Delete {
            snapshot,
            now,
            print,
        } => {
            let path = format!("{}/{}?now={now}", path(&snapshot.whose), snapshot.name);
            let vnode = snapshot.whose.vnode.as_ref();
            let path = vnode.map_or(path.clone(), |vnode| format!("{path}&vnode={vnode}"));
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Schedule(schedule) => set_schedule(&connection, schedule).await,
    }
}

fn path(whose: &Whose) -> String {
    format!("/vclusters/{}/snapshots", whose.vcluster)
}

/// What there is, of the vnode alone if one is named.
async fn look(connection: &Connection, whose: &Whose) -> anyhow::Result<SnapshotsView> {
    let mut view: SnapshotsView = connection.get(&path(whose)).await?;
    if let Some(vnode) = &whose.vnode {
        view.snapshots.retain(|snapshot| snapshot.vnode == *vnode);
        view.restores.retain(|restore| restore.vnode == *vnode);
    }
    Ok(view)
}

async fn set_schedule(connection: &Connection, schedule: Schedule) -> anyhow::Result<ExitCode> {
    let whose: Whose = schedule.vcluster.parse()?;
    if whose.vnode.is_some() {
        let text = "a schedule is of a whole vcluster: leave the vnode out";
        return Err(Failure::new(Class::Invalid, text).into());
    }
    let path = format!("/vclusters/{}/snapshot-schedule", whose.vcluster);
    let format = schedule.print.format;
    if schedule.off {
        let receipt = connection
            .receipt(Method::DELETE, &path, &Value::Null)
            .await?;
        print_receipt(format, &receipt)?;
    } else if let Some(every) = schedule.every {
        let rhythm = SnapshotRhythm {
            every_ms: every.ms,
            keep: schedule.keep,
            ttl_ms: schedule.expires.map(|span| span.ms),
        };
        let receipt = connection.receipt(Method::PUT, &path, &rhythm).await?;
        print_receipt(format, &receipt)?;
    } else {
        let view = look(connection, &whose).await?;
        match &view.schedule {
            Some(view) => show::schedule(format, &whose.vcluster, view)?,
            None => remark(&format!(
                "No snapshots of {} are taken by themselves.",
                whose.vcluster
            )),
        }
    }
    Ok(ExitCode::SUCCESS)
}
