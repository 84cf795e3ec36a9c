//! Drills: ordering one, watching it, looking at what the earlier ones cost.

mod probe;
mod show;
mod watch;

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use docklet_control::drill::command::DrillAsk;
use docklet_control::model::Receipt;
use docklet_control::model::drill::{DrillCut, DrillKind};
use docklet_control::model::receipt::Subject;
use docklet_control::view::DrillView;
use docklet_control::view::drill::duration;
use reqwest::Method;
use serde_json::Value;

use super::connection::Connection;
use super::output::remark;
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Stop the leader's process for a while
    LeaderLoss(Bounds),
    /// Cut one master off from the others for a while
    Partition {
        /// Name of the master; the leader if not given
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
        /// Which direction is cut
        #[arg(long, value_enum, default_value_t = Cut::Both)]
        cut: Cut,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Cut off so many masters that nobody can write for a while
    QuorumLoss(Bounds),
    /// Take a backup and restore it beside the cluster, on a master that does not lead; nothing is broken
    Restore(Bounds),
    /// Make one worker look lost for a while: nothing comes in or goes out. Its vnodes with on_lost = restart begin anew
    /// elsewhere, as they would if it was lost; accept that with --max-gap
    WorkerLoss {
        /// Name of the worker; the one with the fewest vnodes that run, but some, if not given
        #[arg(long, value_name = "NAME")]
        worker: Option<String>,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// List drills, the newest first
    List(Print),
    /// Show what a drill did and what it cost
    Show {
        drill: u64,
        #[command(flatten)]
        print: Print,
    },
    /// End a drill early and heal; needs no quorum
    Abort { drill: u64 },
}

/// Which direction of a master's network is cut.
#[derive(Clone, Copy, ValueEnum)]
pub enum Cut {
    /// Nothing comes in or goes out
    Both,
    /// It hears nobody
    In,
    /// Nobody hears it
    Out,
}

// What a drill may take.
#[derive(Args)]
pub struct Bounds {
    /// How long the fault lasts at most, as 5s or 500ms [default: 5s; 1m for restore, 30s for worker-loss]
    #[arg(long = "for", value_name = "TIME", value_parser = milliseconds)]
    fault_ms: Option<u64>,
    /// How long no write may be acknowledged, and no vnode that begins anew elsewhere be away [default: 3s; 3s more than the
    /// fault for quorum-loss]
    #[arg(long = "max-gap", value_name = "TIME", value_parser = milliseconds)]
    gap_max_ms: Option<u64>,
    /// How long everybody is told before
    #[arg(long = "announce", value_name = "TIME", default_value = "10s", value_parser = milliseconds)]
    announce_ms: u64,
    /// Do not ask whether to go on
    #[arg(long)]
    yes: bool,
    /// Stay, measure as a client does, and end with the verdict: 0 if passed, 1 if failed, 4 if aborted. Ctrl-C aborts
    /// the drill; if this terminal dies the drill goes on and ends by itself.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    print: Print,
}

/// The fault's time, unless said otherwise.
const FAULT_MS: u64 = 5_000;
/// A restore hurts nobody, and a large one takes its time.
const RESTORE_MS: u64 = 60_000;
/// A worker counts as lost after some seconds, and what it ran begins anew elsewhere some seconds later.
const WORKER_LOSS_MS: u64 = 30_000;
/// Beyond the fault itself, unless said otherwise.
const GAP_MS: u64 = 3_000;

fn milliseconds(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "\"{}\" is no time: write it as 5s or 500ms",
            text.escape_debug()
        )
    };
    let time: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    u64::try_from(time.as_millis()).map_err(|_| wrong())
}

impl Bounds {
    fn ask(&self, kind: DrillKind, target: Option<String>, cut: DrillCut) -> DrillAsk {
        let (usual_ms, lost) = match kind {
            DrillKind::QuorumLoss => (FAULT_MS, true),
            DrillKind::LeaderLoss | DrillKind::Partition => (FAULT_MS, false),
            DrillKind::Restore => (RESTORE_MS, false),
            DrillKind::WorkerLoss => (WORKER_LOSS_MS, false),
        };
        let fault_ms = self.fault_ms.unwrap_or(usual_ms);
        let beyond_ms = if lost { fault_ms } else { 0 };
        DrillAsk {
            kind,
            target,
            cut,
            announce_ms: self.announce_ms,
            fault_ms,
            gap_max_ms: self.gap_max_ms.unwrap_or(beyond_ms + GAP_MS),
        }
    }
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::LeaderLoss(bounds) => {
            let ask = bounds.ask(DrillKind::LeaderLoss, None, DrillCut::Both);
            order(connection, &ask, &bounds).await
        }
        Command::Partition {
            target,
            cut,
            bounds,
        } => {
            let cut = match cut {
                Cut::Both => DrillCut::Both,
                Cut::In => DrillCut::In,
                Cut::Out => DrillCut::Out,
            };
            let ask = bounds.ask(DrillKind::Partition, target, cut);
            order(connection, &ask, &bounds).await
        }
        Command::QuorumLoss(bounds) => {
            let ask = bounds.ask(DrillKind::QuorumLoss, None, DrillCut::Both);
            order(connection, &ask, &bounds).await
        }
        Command::Restore(bounds) => {
            let ask = bounds.ask(DrillKind::Restore, None, DrillCut::Both);
            order(connection, &ask, &bounds).await
        }
        Command::WorkerLoss { worker, bounds } => {
            let ask = bounds.ask(DrillKind::WorkerLoss, worker, DrillCut::Both);
            order(connection, &ask, &bounds).await
        }
        Command::List(print) => show::list(&connection, print).await,
        Command::Show { drill, print } => {
            let view = connection.get(&format!("/drills/{drill}")).await?;
            show::one(print, &view)
        }
        Command::Abort { drill } => {
            abort(&connection, drill).await?;
            remark("Aborted. The fault heals at once; `docklet drill show` tells what came of it.");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn abort(connection: &Connection, drill: u64) -> anyhow::Result<Receipt> {
    let path = format!("/drills/{drill}/abort");
    connection.receipt(Method::POST, &path, &Value::Null).await
}

async fn order(
    connection: Connection,
    ask: &DrillAsk,
    bounds: &Bounds,
) -> anyhow::Result<ExitCode> {
    let forecast: DrillView = connection
        .change(Method::POST, "/drills/forecast", ask)
        .await?;
    let stops = match ask.kind {
        DrillKind::WorkerLoss => "keep vnodes that begin anew elsewhere away",
        DrillKind::LeaderLoss
        | DrillKind::Partition
        | DrillKind::QuorumLoss
        | DrillKind::Restore => "stop writes",
    };
    remark(&format!(
        "The plan: {}. Expected to {stops} for {}, accepted are {}. Announced {} before.",
        forecast.what,
        duration(forecast.estimate_ms),
        duration(forecast.gap_max_ms),
        duration(forecast.announce_ms)
    ));
    if !bounds.yes {
        confirm()?;
    }
    let receipt = connection.receipt(Method::POST, "/drills", ask).await?;
    let Ok(Subject::Drill(drill)) = receipt.accepted() else {
        anyhow::bail!("the answer names no drill");
    };
    if bounds.wait {
        return watch::to_the_end(connection, drill.0, bounds.print).await;
    }
    remark(&format!(
        "Drill {drill} is announced. See it with `docklet drill show {drill}`, end it early with `docklet drill abort {drill}`."
    ));
    Ok(ExitCode::SUCCESS)
}

fn confirm() -> anyhow::Result<()> {
    let refused = |text: &str| Err(Failure::new(Class::Invalid, text).into());
    if !std::io::stdin().is_terminal() {
        return refused("nothing was done: say --yes where nobody can be asked");
    }
    remark("Do this to the live cluster? Type yes to go on.");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    refused("nothing was done")
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(milliseconds("5s"), Ok(5_000));
        assert_eq!(milliseconds("500ms"), Ok(500));
        assert_eq!(milliseconds("1m 30s"), Ok(90_000));
        assert!(milliseconds("5").is_err());
        assert!(milliseconds("-5s").is_err());
        assert!(milliseconds("soon").is_err());
    }
}
