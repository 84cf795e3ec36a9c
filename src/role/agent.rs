//! Workers' agents: joining, running.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use docklet_agent::cgroup::favour::{self, Favoured};
use docklet_agent::lxc::Helpers;
use docklet_agent::{AgentConfig, inventory};
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib};
use docklet_control::model::WorkerCapacity;
use docklet_link::token::TokenMalformed;
use docklet_link::{JoinSecret, Own};
use docklet_raft::{JoinKind, join};
use tokio::signal::unix::{SignalKind, signal};

use super::again;
use super::config::{self, AgentFile};
use super::master::failure;
use crate::cli::Dir;
use crate::client::output::remark;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Make this machine a worker of a cluster
    Join(Join),
    /// Run this machine's agent until it is told to stop; containers go on
    Run(Dir),
}

#[derive(Args)]
pub struct Join {
    /// Token from `docklet token create --role agent`
    token: String,
    #[command(flatten)]
    dir: Dir,
    /// Name for people
    #[arg(long)]
    name: String,
    /// Address and port of its data port, as masters and other workers reach it
    #[arg(long, value_name = "ADDR:PORT")]
    data_addr: SocketAddr,
    /// Address for VXLAN; that of the data port if absent
    #[arg(long)]
    underlay: Option<IpAddr>,
    /// First component of its containers' cgroups
    #[arg(long, default_value = "docklet")]
    cgroup_prefix: String,
    /// Memory to offer, in MiB; all that there is if absent
    #[arg(long)]
    memory_mib: Option<u32>,
    /// CPU to offer, in thousandths of a core; all that there is if absent
    #[arg(long)]
    cpu_milli: Option<u32>,
    /// Disk to offer, in MiB; the whole file system of --dir if absent
    #[arg(long)]
    disk_mib: Option<u64>,
    /// Be the worker of this name again, with the vnodes' files in --dir: its cluster was restored from a backup, or an
    /// admin let it join again with `docklet worker readmit`
    #[arg(long)]
    again: bool,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Join(ask) => join_cluster(ask).await,
        Command::Run(dir) => serve(&dir.dir).await,
    }
}

/// A token that is none.
pub fn bad_token(malformed: TokenMalformed) -> anyhow::Error {
    Failure::new(Class::Invalid, malformed.to_string()).into()
}

async fn join_cluster(ask: Join) -> anyhow::Result<ExitCode> {
    let dir = &ask.dir.dir;
    if !ask.again && dir.join("own.key").exists() {
        let text = format!(
            "{} holds an agent already: choose another --dir; or, if its cluster was restored from a backup or the token is from `docklet worker readmit`, join --again",
            dir.display()
        );
        return Err(Failure::new(Class::Conflict, text).into());
    }
    let token: JoinSecret = ask.token.parse().map_err(bad_token)?;
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let underlay = ask.underlay.unwrap_or_else(|| ask.data_addr.ip());
    let mut file = AgentFile {
        masters: Vec::new(),
        data_listen: ask.data_addr,
        underlay,
        cgroup_prefix: ask.cgroup_prefix,
        favour_cgroup_moves: config::favour_cgroup_moves(),
        memory_mib: ask.memory_mib,
        cpu_milli: ask.cpu_milli,
        disk_mib: ask.disk_mib,
        vnode_io_mib_per_s: config::vnode_io_mib_per_s(),
        vnode_io_operations_per_s: config::vnode_io_operations_per_s(),
        terminal_alone_s: config::terminal_alone_s(),
        uploads_kept_s: config::uploads_kept_s(),
        move_mib_per_s: None,
        home_dir: None,
        home_mounted: false,
        nvml_library: config::nvml_library(),
        gpu_dev_dir: config::gpu_dev_dir(),
        gpu_driver_dir: None,
    };
    let kind = JoinKind::Agent {
        name: ask.name,
        data_addr: ask.data_addr.to_string(),
        underlay,
        capacity: offer(dir, &file),
    };
    if ask.again {
        let worker = again::join_again(&token, kind, dir, file).await?;
        remark(&format!(
            "Joined again as worker {worker}. Run it with: docklet agent run --dir {}",
            dir.display()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let answer = join(&token, kind, dir).await.map_err(failure)?;
    file.masters = answer.masters;
    config::write(&dir.join("agent.toml"), &file)?;
    remark(&format!(
        "Joined as worker {} at entry {}. Run it with: docklet agent run --dir {}",
        answer.id,
        answer.index,
        dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// What the machine has, or less if the configuration says so.
fn offer(dir: &Path, file: &AgentFile) -> WorkerCapacity {
    let mut capacity = inventory::capacity(dir);
    if let Some(memory_mib) = file.memory_mib {
        capacity.memory_mib = MemoryMib(memory_mib);
    }
    if let Some(cpu_milli) = file.cpu_milli {
        capacity.cpu_milli = CpuMilli(cpu_milli);
    }
    if let Some(disk_mib) = file.disk_mib {
        capacity.disk_mib = DiskMib(disk_mib);
    }
    capacity
}

/// An agent without it is slower, and no less an agent.
fn favour_cgroup_moves() {
    match favour::favour() {
        Favoured::Now => tracing::info!(
            "processes move between cgroups without waiting (favordynmods, for the whole machine)"
        ),
        Favoured::Already => {}
        Favoured::Not(why) => {
            tracing::info!(%why, "processes wait when they move between cgroups: starting and exec take longer")
        }
    }
}

async fn serve(dir: &Path) -> anyhow::Result<ExitCode> {
    let file: AgentFile = config::read(&dir.join("agent.toml"))?;
    let dir = dir
        .canonicalize()
        .with_context(|| format!("find {}", dir.display()))?;
    let homes = file.homes(&dir)?;
    if !homes.mounted {
        tracing::info!(dir = %homes.dir.display(), "shared homes are on this worker only");
    }
    let gpus = file.gpus()?;
    if file.favour_cgroup_moves {
        favour_cgroup_moves();
    }
    let config = AgentConfig {
        state_dir: dir.join("state"),
        credentials: Own::load(&dir)?,
        capacity: offer(&dir, &file),
        vnode_io: file.vnode_io(),
        masters: file.masters,
        data_listen: file.data_listen,
        underlay: file.underlay,
        resolv_conf: "/etc/resolv.conf".into(),
        cgroup_prefix: file.cgroup_prefix,
        terminal_alone: Duration::from_secs(file.terminal_alone_s),
        uploads_kept: Duration::from_secs(file.uploads_kept_s),
        move_bytes_per_s: file
            .move_mib_per_s
            .map(|mib| mib.get().saturating_mul(1 << 20)),
        homes,
        gpus,
        helpers: Helpers::copied(std::env::current_exe().context("find this program")?)?,
        gate: docklet_link::Gate::default(),
    };
    let mut stop = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = docklet_agent::run(config) => ended.context("run the agent")?,
        _ = stop.recv() => tracing::info!("told to stop"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted"),
    }
    Ok(ExitCode::SUCCESS)
}
