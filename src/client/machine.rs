//! Status, workers, join tokens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::model::{ClusterVersion, DiskOvercommit, LastBackup, Lineage, WorkerStatus};
use docklet_control::view::certificate::Left;
use docklet_control::view::{DrillNotice, WorkerView};
use docklet_raft::{RaftStatus, machine_clock};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::amount;
use super::connection::Connection;
use super::doctor;
use super::drain;
use super::gpus;
use super::name;
use super::output::{Format, Rows, instant, line, print, print_data, print_receipt, remark};
use super::watch::{self, Shown};
use crate::cli::{MachineRole, Print};

/// Answer of `/status`.
#[derive(Serialize, Deserialize)]
pub struct Status {
    pub cluster: String,
    pub user: String,
    pub master: String,
    pub leader: Option<String>,
    pub raft: RaftStatus,
    pub lineage: Option<Lineage>,
    pub workers_up: usize,
    pub workers: usize,
    pub vclusters: usize,
    pub vnodes: usize,
    /// What everybody is told.
    pub notice: Option<DrillNotice>,
    /// What all masters write.
    #[serde(default = "first_version")]
    pub cluster_version: ClusterVersion,
    /// Who keeps that from rising.
    #[serde(default)]
    pub version_warning: Option<String>,
    /// The last one that was recorded.
    #[serde(default)]
    pub last_backup: Option<LastBackup>,
    /// What is not as it should be with certificates between masters and workers.
    #[serde(default)]
    pub certificate_warnings: Vec<String>,
}

/// That of masters which tell of none.
fn first_version() -> ClusterVersion {
    ClusterVersion::FIRST
}

pub async fn status(format: Print) -> anyhow::Result<ExitCode> {
    let status: Status = Connection::open()?.get("/status").await?;
    if let Some(warning) = &status.version_warning {
        remark(&format!("Warning: {warning}"));
    }
    for warning in &status.certificate_warnings {
        remark(&format!("Warning: {warning}"));
    }
    print(format.format, &status, |status| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        add("cluster", status.cluster.clone());
        add("logged in as", status.user.clone());
        add(
            "answered by",
            format!("{} ({})", status.master, status.raft.role),
        );
        let voters = status
            .raft
            .members
            .iter()
            .filter(|member| member.voter)
            .count();
        let leader = status.leader.clone();
        add(
            "leader",
            leader.unwrap_or_else(|| "none: election under way".to_owned()),
        );
        add("voters", voters.to_string());
        add("cluster version", status.cluster_version.to_string());
        add("term", status.raft.term.to_string());
        add("applied entry", status.raft.applied.to_string());
        add("state hash", status.raft.state_hash.clone());
        if let Some(lineage) = &status.lineage {
            add("began anew", came_from(lineage));
        }
        add(
            "workers",
            format!("{} of {} up", status.workers_up, status.workers),
        );
        add("your vclusters", status.vclusters.to_string());
        add("your vnodes", status.vnodes.to_string());
        if let Some(backup) = &status.last_backup {
            add(
                "last backup",
                format!("{}, of entry {}", instant(backup.at), backup.index),
            );
        }
        if let Some(notice) = &status.notice {
            add("notice", notice.text.clone());
        }
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

fn came_from(lineage: &Lineage) -> String {
    let (begun, at, last) = (lineage.begun, instant(lineage.at), lineage.last);
    match lineage.from {
        Some(cluster) => {
            format!(
                "with entry {begun} at {at}, from a backup of cluster {cluster} after its entry {last}"
            )
        }
        None => {
            format!("with entry {begun} at {at}, by one master whose log ended with entry {last}")
        }
    }
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum WorkerCommand {
    /// List workers
    List(Shown),
    /// Look at what this machine can do as a worker, and what it lacks; asks no cluster
    Doctor {
        /// Directory of an agent or a master: until when it can prove who it is, too
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        #[command(flatten)]
        print: Print,
    },
    /// List their GPUs: who has them, what is used of them, and why one is offered to nobody
    Gpus(Print),
    /// Show or set how much disk may be promised to vnodes on each worker
    #[command(allow_negative_numbers = true)]
    Overcommit {
        /// Percent of what a worker has; disks take only what is written to them
        #[arg(long, value_name = "PERCENT")]
        disk: Option<u32>,
        #[command(flatten)]
        print: Print,
    },
    /// Let nothing new come to a worker; what is there stays and runs
    Cordon {
        worker: String,
        /// Why, for people
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        print: Print,
    },
    /// Make a token by which a worker joins again under its name and keeps what it has, as its certificate has ended
    Readmit {
        worker: String,
        /// Refuse the certificates that it has from now on: its key may be in others' hands
        #[arg(long)]
        revoke: bool,
        /// Seconds for which the token is good
        #[arg(long, default_value_t = 3_600)]
        ttl_s: u64,
        #[command(flatten)]
        print: Print,
    },
    /// Let a worker take vnodes again
    Uncordon {
        worker: String,
        #[command(flatten)]
        print: Print,
    },
    /// Empty a worker: nothing new comes to it, and what is there moves to others
    Drain(drain::Drain),
    /// Bring back what draining moved away, and let the worker take vnodes again
    Restore(drain::Restore),
    /// Label a worker, as zone=a or disk=ssd, or take a label away, as disk-
    Label {
        worker: String,
        #[arg(required = true, value_name = "KEY=VALUE|KEY-", value_parser = amount::label_change)]
        label: Vec<(String, Option<String>)>,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn worker(command: WorkerCommand) -> anyhow::Result<ExitCode> {
    // A machine that is no worker yet has no cluster.
    if let WorkerCommand::Doctor { dir, print } = command {
        return doctor::run(print, dir.as_deref());
    }
    let connection = Connection::open()?;
    match command {
        WorkerCommand::Doctor { dir, print } => doctor::run(print, dir.as_deref()),
        WorkerCommand::List(format) => list_workers(&connection, format).await,
        WorkerCommand::Gpus(format) => gpus::list(&connection, format).await,
        WorkerCommand::Overcommit { disk, print } => overcommit(&connection, disk, print).await,
        WorkerCommand::Cordon {
            worker,
            reason,
            print,
        } => {
            let (method, path) = (Method::POST, path(&worker, "cordon")?);
            told(&connection, method, &path, json!({"reason": reason}), print).await
        }
        WorkerCommand::Readmit {
            worker,
            revoke,
            ttl_s,
            print,
        } => {
            let (path, body) = (
                path(&worker, "readmit")?,
                json!({"ttl_s": ttl_s, "revoke": revoke}),
            );
            let answer = connection.change(Method::POST, &path, &body).await?;
            print_token(print, &token_in(&answer)?, ttl_s, 1)?;
            Ok(ExitCode::SUCCESS)
        }
        WorkerCommand::Uncordon { worker, print } => {
            let (method, path) = (Method::POST, path(&worker, "uncordon")?);
            told(&connection, method, &path, Value::Null, print).await
        }
        WorkerCommand::Drain(asked) => drain::run(&connection, asked).await,
        WorkerCommand::Restore(asked) => drain::restore(&connection, asked).await,
        WorkerCommand::Label {
            worker,
            label,
            print,
        } => {
            let labels: BTreeMap<String, Option<String>> = label.into_iter().collect();
            let (method, path) = (Method::PUT, path(&worker, "labels")?);
            told(&connection, method, &path, json!(labels), print).await
        }
    }
}

/// Path of what is done with a worker.
pub(super) fn path(worker: &str, act: &str) -> anyhow::Result<String> {
    Ok(format!("/workers/{}/{act}", name("worker", worker)?))
}

async fn told(
    connection: &Connection,
    method: Method,
    path: &str,
    body: Value,
    format: Print,
) -> anyhow::Result<ExitCode> {
    let receipt = connection.receipt(method, path, &body).await?;
    print_receipt(format.format, &receipt)?;
    Ok(ExitCode::SUCCESS)
}

async fn overcommit(
    connection: &Connection,
    disk: Option<u32>,
    format: Print,
) -> anyhow::Result<ExitCode> {
    if let Some(percent) = disk {
        let receipt = connection
            .receipt(Method::PUT, "/disk-overcommit", &DiskOvercommit { percent })
            .await?;
        print_receipt(format.format, &receipt)?;
        return Ok(ExitCode::SUCCESS);
    }
    let overcommit: DiskOvercommit = connection.get("/disk-overcommit").await?;
    print(format.format, &overcommit, |overcommit| {
        let mut rows = Rows::new(&["of each worker", "may be promised"]);
        rows.add(["disk".to_owned(), format!("{} %", overcommit.percent)]);
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list_workers(connection: &Connection, ask: Shown) -> anyhow::Result<ExitCode> {
    let look = async || connection.list::<WorkerView>("/workers").await;
    watch::show(connection, ask, look, |format, workers| {
        table(format, workers)
    })
    .await
}

fn table(format: Format, workers: &[WorkerView]) -> anyhow::Result<()> {
    print(format, &workers, |workers| {
        let mut rows = Rows::new(&[
            "id",
            "name",
            "status",
            "since",
            "vnodes",
            "memory mib",
            "cpu milli",
            "disk gib",
            "gpus",
            "certificate until",
            "labels",
            "data address",
        ]);
        for worker in *workers {
            let status = match worker.status {
                WorkerStatus::Joined => "joined",
                WorkerStatus::Up => "up",
                WorkerStatus::Down => "down",
                WorkerStatus::Unadmitted => "must join again",
            };
            rows.add([
                worker.id.to_string(),
                worker.name.clone(),
                match &worker.cordon {
                    Some(_) => format!("{status}, cordoned"),
                    None => status.to_owned(),
                },
                instant(worker.status_since),
                worker.vnodes.to_string(),
                format!("{}/{}", worker.memory_mib_promised, worker.memory_mib_max),
                format!("{}/{}", worker.cpu_milli_promised, worker.cpu_milli_max),
                format!(
                    "{}/{}",
                    worker.disk_mib_promised >> 10,
                    worker.disk_mib_max >> 10
                ),
                format!("{}/{}", worker.gpus_given, worker.facts.capacity.gpus.len()),
                certificate(worker),
                amount::of_labels(&worker.labels),
                worker.data_addr.clone(),
            ]);
        }
        rows
    })
}

/// When it ends, and what is to be done about it.
fn certificate(worker: &WorkerView) -> String {
    let Some(held) = &worker.certificate else {
        return "-".to_owned();
    };
    let until = instant(held.ends_at);
    let word = match held.left(machine_clock()()) {
        _ if worker.awaited => ", may join again",
        Left::Enough => "",
        Left::Little => ", ends soon",
        Left::Nothing => ", HAS ENDED",
    };
    format!("{until}{word}")
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum TokenCommand {
    /// Make a token with which machines may join
    Create {
        /// What they become
        #[arg(long, value_enum)]
        role: MachineRole,
        /// Seconds for which it is good
        #[arg(long, default_value_t = 3_600)]
        ttl_s: u64,
        /// Machines that it admits
        #[arg(long, default_value_t = 1)]
        uses: u32,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn token(command: TokenCommand) -> anyhow::Result<ExitCode> {
    let TokenCommand::Create {
        role,
        ttl_s,
        uses,
        print,
    } = command;
    let token = create_token(&Connection::open()?, role, ttl_s, uses).await?;
    print_token(print, &token, ttl_s, uses)?;
    Ok(ExitCode::SUCCESS)
}

fn print_token(print: Print, token: &str, ttl_s: u64, uses: u32) -> anyhow::Result<()> {
    let made = json!({"token": token, "ttl_s": ttl_s, "uses": uses});
    let is_data = print_data(print.format, &made, |_| {
        let mut rows = Rows::new(&["token", "ttl s", "uses"]);
        rows.add([token.to_owned(), ttl_s.to_string(), uses.to_string()]);
        rows
    })?;
    if !is_data {
        // Alone on its line, so that it can be handed to another command as it is.
        line(token);
    }
    Ok(())
}

fn token_in(answer: &Value) -> anyhow::Result<String> {
    let token = answer["token"].as_str().map(str::to_owned);
    token.ok_or_else(|| anyhow::anyhow!("the answer has no token in it"))
}

/// Makes a token; answers its text.
pub async fn create_token(
    connection: &Connection,
    role: MachineRole,
    ttl_s: u64,
    uses: u32,
) -> anyhow::Result<String> {
    let role = match role {
        MachineRole::Master => "master",
        MachineRole::Agent => "agent",
    };
    let body = json!({"role": role, "ttl_s": ttl_s, "uses": uses});
    let answer: Value = connection.change(Method::POST, "/tokens", &body).await?;
    token_in(&answer)
}
