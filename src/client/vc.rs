//! Vclusters.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib};
use docklet_control::model::{Bandwidth, BandwidthWish, GpuWish, KbitPerS, Receipt, SizeChange};
use docklet_control::view::{Phase, VclusterView, VnodeView};
use reqwest::Method;
use serde_json::{Value, json};

use super::amount;
use super::connection::Connection;
use super::moves;
use super::name_or_number;
use super::output::{Format, Rows, instant, print, print_receipt, remark};
use super::recipe::Recipe;
use super::rules;
use super::snapshot::name::SnapshotName;
use super::usage;
use super::watch::{self, Shown};
use crate::cli::{Outcome, Print};
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Make a vcluster and start it
    Create(Create),
    /// List vclusters
    List(Shown),
    /// Show one with its vnodes
    Show {
        vcluster: String,
        #[command(flatten)]
        ask: Shown,
    },
    /// What each vnode uses now
    Top(usage::Top),
    /// Start all vnodes
    Start(Change),
    /// Stop all vnodes; their files stay
    Stop(Change),
    /// Add or remove vnodes
    #[command(allow_negative_numbers = true)]
    Scale {
        #[command(flatten)]
        change: Change,
        /// Vnodes that there shall be
        vnodes: u32,
    },
    /// Give all vnodes other limits, while they run
    Resize(Resize),
    /// Show or set where its vnodes shall be; what is placed already stays where it is
    Rules(rules::Rule),
    /// Move a vnode to another worker
    Move(moves::Move),
    /// The last move of each vnode that had one
    Moves(Shown),
    /// Delete a vcluster with all its files; for a while `docklet trash restore` undoes it
    Delete(Delete),
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Create {
    name: String,
    /// Snapshot of which the disk of its first vnode is a copy, as lab/host-0@friday; its image and worker are those of that vnode
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["image", "bandwidth_mbit"])]
    from: Option<SnapshotName>,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Args)]
pub struct Delete {
    /// For good: it cannot be undone
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    change: Change,
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Resize {
    vcluster: String,
    /// CPU of each vnode, in thousandths of a core
    #[arg(long)]
    cpu_milli: Option<u32>,
    /// Memory of each vnode, in MiB; less than is in use waits until less is
    #[arg(long)]
    memory_mib: Option<u32>,
    /// Processes of each vnode at most; those that are there stay
    #[arg(long)]
    pids_max: Option<u32>,
    /// What each disk shall hold, as 20GiB; never less than it holds now
    #[arg(long, value_name = "SIZE", value_parser = amount::disk)]
    disk: Option<DiskMib>,
    /// What each vnode may send, and as much receive, in Mbit/s; or \"site\" for the site's setting
    #[arg(long, value_name = "MBIT", value_parser = amount::bandwidth)]
    bandwidth_mbit: Option<BandwidthWish>,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Args)]
pub struct Change {
    vcluster: String,
    #[command(flatten)]
    outcome: Outcome,
}

/// What `--wait` waits for.
enum Goal {
    Settled,
    Gone,
    /// Workers have put all limits in force.
    Resized,
}

impl Goal {
    fn is_reached_by(&self, view: &VclusterView) -> bool {
        match self {
            Self::Settled => view.is_settled(),
            Self::Resized => view.is_resized(),
            Self::Gone => false,
        }
    }
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Create(create) => run_create(&connection, create).await,
        Command::List(ask) => list(&connection, ask).await,
        Command::Show { vcluster, ask } => {
            let path = path(&vcluster)?;
            let look = async || connection.get::<VclusterView>(&path).await;
            watch::show(&connection, ask, look, show).await
        }
        Command::Top(ask) => usage::top(&connection, &path(ask.vcluster())?, &ask).await,
        Command::Start(change) => act(&connection, change, "start", Value::Null).await,
        Command::Stop(change) => act(&connection, change, "stop", Value::Null).await,
        Command::Scale { change, vnodes } => {
            act(&connection, change, "scale", json!({"vnodes": vnodes})).await
        }
        Command::Resize(resize) => run_resize(&connection, resize).await,
        Command::Rules(rule) => rules::run(&connection, rule).await,
        Command::Move(asked) => moves::run(&connection, asked).await,
        Command::Moves(ask) => moves::list(&connection, ask).await,
        Command::Delete(Delete { now, change }) => {
            let path = format!("{}?now={now}", path(&change.vcluster)?);
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            finish(
                &connection,
                &change.vcluster,
                &receipt,
                change.outcome,
                &Goal::Gone,
            )
            .await
        }
    }
}

/// Path of a vcluster.
fn path(vcluster: &str) -> anyhow::Result<String> {
    Ok(format!(
        "/vclusters/{}",
        name_or_number("vcluster", vcluster)?
    ))
}

impl Create {
    /// What the API is asked for.
    pub(super) fn body(&self) -> anyhow::Result<Value> {
        let Some(from) = &self.from else {
            let mut body = self.recipe.body();
            body["name"] = json!(self.name);
            return Ok(body);
        };
        let mut body = self.recipe.common();
        body["name"] = json!(self.name);
        body["from"] = json!(from.of_one()?);
        body["wishes"] = json!({"disk_mib": self.recipe.disk(), "gpus": self.recipe.gpus()});
        Ok(body)
    }

    pub(super) fn print(&self) -> Print {
        self.outcome.print
    }
}

async fn run_create(connection: &Connection, create: Create) -> anyhow::Result<ExitCode> {
    let body = create.body()?;
    let receipt = connection
        .receipt(Method::POST, "/vclusters", &body)
        .await?;
    finish(
        connection,
        &create.name,
        &receipt,
        create.outcome,
        &Goal::Settled,
    )
    .await
}

async fn run_resize(connection: &Connection, resize: Resize) -> anyhow::Result<ExitCode> {
    let change = SizeChange {
        cpu_milli: resize.cpu_milli.map(CpuMilli),
        memory_mib: resize.memory_mib.map(MemoryMib),
        pids_max: resize.pids_max,
        disk_mib: resize.disk,
        bandwidth: resize.bandwidth_mbit,
    };
    let path = format!("{}/resize", path(&resize.vcluster)?);
    let receipt = connection.receipt(Method::POST, &path, &change).await?;
    let name = &resize.vcluster;
    finish(connection, name, &receipt, resize.outcome, &Goal::Resized).await
}

async fn act(
    connection: &Connection,
    change: Change,
    verb: &str,
    body: Value,
) -> anyhow::Result<ExitCode> {
    let path = format!("{}/{verb}", path(&change.vcluster)?);
    let receipt = connection.receipt(Method::POST, &path, &body).await?;
    finish(
        connection,
        &change.vcluster,
        &receipt,
        change.outcome,
        &Goal::Settled,
    )
    .await
}

async fn finish(
    connection: &Connection,
    vcluster: &str,
    receipt: &Receipt,
    outcome: Outcome,
    goal: &Goal,
) -> anyhow::Result<ExitCode> {
    let Some(limit) = outcome.wait.limit() else {
        print_receipt(outcome.print.format, receipt)?;
        return Ok(ExitCode::SUCCESS);
    };
    let reached = wait_for(connection, vcluster, receipt, goal);
    match tokio::time::timeout(limit, reached).await {
        Ok(view) => match view? {
            Some(view) => {
                show(outcome.print.format, &view)?;
                Ok(ExitCode::SUCCESS)
            }
            None => {
                remark(&format!("Vcluster {vcluster} is gone."));
                // There is nothing of it left to show, but programs wait for something that they can read.
                if outcome.print.format != Format::Table {
                    print_receipt(outcome.print.format, receipt)?;
                }
                Ok(ExitCode::SUCCESS)
            }
        },
        Err(_) => {
            let why = why_not(connection, vcluster).await;
            let text = format!(
                "vcluster \"{vcluster}\" is not as wanted after {} s{why}; the change itself stands (entry {}): see `docklet vc show {vcluster}`",
                limit.as_secs(),
                receipt.index
            );
            Err(Failure::new(Class::Timeout, text).into())
        }
    }
}

/// What its vnodes wait for, as far as that can be said.
async fn why_not(connection: &Connection, vcluster: &str) -> String {
    let Ok(path) = path(vcluster) else {
        return String::new();
    };
    let view = connection.get::<VclusterView>(&path).await;
    let vnodes = view.map(|view| view.vnodes).unwrap_or_default();
    let waits = vnodes.iter().filter(|vnode| !vnode.reason.is_empty());
    let waits: Vec<String> = waits
        .map(|vnode| format!("{}: {}", vnode.name, vnode.reason))
        .collect();
    if waits.is_empty() {
        return String::new();
    }
    format!(" ({})", waits.join("; "))
}

/// Looks at the vcluster after each change that the event stream tells.
async fn wait_for(
    connection: &Connection,
    vcluster: &str,
    receipt: &Receipt,
    goal: &Goal,
) -> anyhow::Result<Option<VclusterView>> {
    let path = path(vcluster)?;
    let look = async || match connection.get::<VclusterView>(&path).await {
        Ok(view) => Ok(goal.is_reached_by(&view).then_some(Some(view))),
        Err(error) if matches!(goal, Goal::Gone) && is_missing(&error) => Ok(Some(None)),
        Err(error) => Err(error),
    };
    connection.until(receipt.index, look).await
}

fn is_missing(error: &anyhow::Error) -> bool {
    let failure = error.downcast_ref::<Failure>();
    failure.is_some_and(|failure| failure.class == Class::NotFound)
}

async fn list(connection: &Connection, ask: Shown) -> anyhow::Result<ExitCode> {
    let look = async || connection.list::<VclusterView>("/vclusters").await;
    watch::show(connection, ask, look, |format, views| table(format, views)).await
}

fn table(format: Format, views: &[VclusterView]) -> anyhow::Result<()> {
    print(format, &views, |views| {
        let mut rows = Rows::new(&[
            "id", "name", "state", "running", "image", "disk", "gpus", "owner", "created",
        ]);
        for view in *views {
            let live = view
                .vnodes
                .iter()
                .filter(|vnode| vnode.phase != Phase::Removing)
                .count();
            rows.add([
                view.id.to_string(),
                view.name.clone(),
                view.phase.word().to_owned(),
                format!("{}/{live}", view.running),
                view.image.clone(),
                amount::of_disk(view.wishes.disk_mib),
                gpus_wanted(&view.wishes.gpus),
                view.owner.clone(),
                instant(view.created_at),
            ]);
        }
        rows
    })
}

fn show(format: Format, view: &VclusterView) -> anyhow::Result<()> {
    print(format, view, |view| {
        let mut rows = Rows::new(&[
            "vnode",
            "state",
            "worker",
            "address",
            "cpu milli",
            "memory mib",
            "pids max",
            "disk",
            "bandwidth",
            "gpus",
            "reason",
        ]);
        for vnode in &view.vnodes {
            rows.add([
                format!("{}/{}", view.name, vnode.name),
                vnode.phase.word().to_owned(),
                vnode.worker.clone().unwrap_or_else(|| "-".to_owned()),
                vnode.address.to_string(),
                vnode.size.cpu_milli.0.to_string(),
                vnode.size.memory_mib.0.to_string(),
                vnode.size.pids_max.to_string(),
                amount::of_disk(vnode.disk_mib),
                bandwidth_of(vnode.bandwidth),
                gpus_of(vnode),
                match &vnode.began_anew {
                    Some(anew) if vnode.reason.is_empty() => anew.clone(),
                    Some(_) | None => vnode.reason.clone(),
                },
            ]);
        }
        rows
    })
}

fn bandwidth_of(bandwidth: Bandwidth) -> String {
    let Bandwidth { sent, received } = bandwidth;
    let rate = |rate: Option<KbitPerS>| rate.map_or("-".to_owned(), amount::of_bandwidth);
    if sent == received {
        return rate(sent);
    }
    format!("{} sent, {} received", rate(sent), rate(received))
}

fn gpus_wanted(wish: &GpuWish) -> String {
    match (wish.count, &wish.model) {
        (0, _) => "-".to_owned(),
        (count, None) => count.to_string(),
        (count, Some(model)) => format!("{count} {model}"),
    }
}

/// Models where the worker has them, else the names that the driver gave them.
fn gpus_of(vnode: &VnodeView) -> String {
    let gpus = vnode.gpus.iter();
    let names: Vec<&str> = gpus
        .map(|gpu| gpu.model.as_deref().unwrap_or(&gpu.uuid))
        .collect();
    if names.is_empty() {
        return "-".to_owned();
    }
    names.join(", ")
}
