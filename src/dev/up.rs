//! Bringing the dev cluster up, by the same commands that make a real one. What runs already is left alone.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use docklet_control::model::WorkerStatus;
use docklet_control::view::{ImageView, WorkerView};
use tokio::net::TcpStream;

use super::layout::{DevMaster, DevWorker, Layout};
use super::{lxcfs, network, process};
use crate::cli::MachineRole;
use crate::client::connection::Connection;
use crate::client::context::Context;
use crate::client::login;
use crate::client::machine::create_token;
use crate::client::master::Masters;
use crate::client::output::remark;
use crate::exit::{Class, Failure};
use crate::image;

/// Each step may take this long.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(layout: &Layout) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        let text = "the dev cluster needs root, for namespaces and containers: use sudo";
        return Err(Failure::new(Class::Denied, text).into());
    }
    std::fs::create_dir_all(&layout.dir)
        .with_context(|| format!("make {}", layout.dir.display()))?;
    std::fs::set_permissions(
        &layout.dir,
        std::os::unix::fs::PermissionsExt::from_mode(0o711),
    )?;
    network::ensure(layout)?;
    lxcfs::ensure();
    let connection = masters(layout).await?;
    workers(layout, &connection).await?;
    base_image(&connection).await?;
    tell(layout);
    Ok(())
}

fn tell(layout: &Layout) {
    let portal = layout.portal();
    let (password, ca) = (layout.password_file(), layout.ca_file());
    remark("The dev cluster is up.");
    remark(&format!("  portal          https://{portal}"));
    remark(&format!(
        "  user            admin, password in {}",
        password.display()
    ));
    remark(&format!(
        "  command line    docklet login --server https://{portal} --ca {} --user admin --password-file {}",
        ca.display(),
        password.display()
    ));
}

/// Starts the masters; answers a login of the admin.
async fn masters(layout: &Layout) -> anyhow::Result<Connection> {
    let masters = layout.masters();
    let (first, others) = masters.split_first().context("a dev cluster has masters")?;
    if !first.dir.join("master.toml").exists() {
        init(layout, first)?;
    }
    for master in &masters {
        if master.dir.join("master.toml").exists() {
            run_master(layout, master)?;
        }
    }
    let connection = log_in(layout).await?;
    for master in others {
        if !master.dir.join("master.toml").exists() {
            let token = create_token(&connection, MachineRole::Master, 600, 1).await?;
            join(layout, master, &token)?;
            run_master(layout, master)?;
        }
    }
    wait_for("three voting masters", || async {
        let masters: Masters = connection.get("/masters").await?;
        let voters = masters
            .raft
            .members
            .iter()
            .filter(|member| member.voter)
            .count();
        Ok(voters == 3 && masters.raft.leader.is_some())
    })
    .await?;
    Ok(connection)
}

fn addresses<'m>(layout: &Layout, master: &'m DevMaster) -> Vec<String> {
    let dir: &'m Path = &master.dir;
    [
        ("--dir", dir.display().to_string()),
        ("--name", master.name.clone()),
        ("--cluster-addr", master.cluster.to_string()),
        ("--public-addr", master.public.to_string()),
        ("--shared-addr", layout.portal().to_string()),
        ("--proxy-domain", Layout::SERVICES.to_owned()),
        ("--proxy-addr", layout.services().to_string()),
    ]
    .into_iter()
    .flat_map(|(key, value)| [key.to_owned(), value])
    .collect()
}

fn init(layout: &Layout, master: &DevMaster) -> anyhow::Result<()> {
    let password = layout.password_file();
    if !password.exists() {
        let text = hex::encode(rand::random::<[u8; 12]>());
        docklet_link::credentials::write_private(&password, format!("{text}\n").as_bytes())?;
    }
    let mut arguments = vec!["master".to_owned(), "init".to_owned()];
    arguments.extend(addresses(layout, master));
    arguments.extend(["--cpu-overcommit-percent".to_owned(), "3200".to_owned()]);
    arguments.extend([
        "--admin-password-file".to_owned(),
        password.display().to_string(),
    ]);
    this_program(&arguments)?;
    std::fs::copy(master.dir.join("ca.pem"), layout.ca_file())
        .context("copy the authority's certificate")?;
    Ok(())
}

fn join(layout: &Layout, master: &DevMaster, token: &str) -> anyhow::Result<()> {
    let mut arguments = ["master", "join", token].map(str::to_owned).to_vec();
    arguments.extend(addresses(layout, master));
    this_program(&arguments)
}

fn this_program(arguments: &[String]) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("find this program")?;
    let output = Command::new(program)
        .args(arguments)
        .output()
        .context("run a command of this program")?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    bail!("docklet {} {}: {}", arguments[0], arguments[1], text.trim())
}

fn run_master(layout: &Layout, master: &DevMaster) -> anyhow::Result<()> {
    let dir = master.dir.display().to_string();
    start(
        layout,
        &master.name,
        &["master", "run", "--dir", &dir],
        None,
    )
}

fn start(
    layout: &Layout,
    name: &str,
    arguments: &[&str],
    namespace: Option<&str>,
) -> anyhow::Result<()> {
    let pid_file = layout.pid_file(name);
    if process::running(&pid_file).is_some() {
        return Ok(());
    }
    let (dir, log) = (layout.dir.join(name), layout.log_file(name));
    process::start(arguments, &dir, namespace, &log, &pid_file)
}

async fn log_in(layout: &Layout) -> anyhow::Result<Connection> {
    let password =
        std::fs::read_to_string(layout.password_file()).context("read the admin's password")?;
    let ca_pem =
        std::fs::read_to_string(layout.ca_file()).context("read the authority's certificate")?;
    let servers: Vec<String> = layout
        .masters()
        .iter()
        .map(|m| format!("https://{}", m.public))
        .collect();
    let mut last = None;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        let user = "admin".to_owned();
        let login = login::log_in(
            servers.clone(),
            Some(ca_pem.clone()),
            user,
            password.trim_end(),
            None,
        );
        match login.await {
            Ok(context) => return Connection::with(Context { servers, ..context }),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = layout.dir.join("log");
    let context = format!("no master answers; their logs are in {}", log.display());
    Err(last.unwrap_or_else(|| anyhow::anyhow!("out of time"))).context(context)
}

async fn workers(layout: &Layout, connection: &Connection) -> anyhow::Result<()> {
    let workers = layout.workers();
    for worker in &workers {
        if !worker.dir.join("agent.toml").exists() {
            let token = create_token(connection, MachineRole::Agent, 600, 1).await?;
            join_worker(worker, workers.len(), &token)?;
        }
        let dir = worker.dir.display().to_string();
        let arguments = ["agent", "run", "--dir", &dir];
        start(layout, &worker.name, &arguments, Some(&worker.namespace))?;
    }
    wait_for("two workers", || async {
        let up: Vec<WorkerView> = connection.list("/workers").await?;
        let up = up.iter().filter(|worker| worker.status == WorkerStatus::Up);
        Ok(up.count() == workers.len())
    })
    .await?;
    // Of one that was up a moment ago the masters do not know yet that it was not since.
    wait_for("two workers that answer", || async {
        for worker in &workers {
            if TcpStream::connect(worker.data).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

/// Each worker offers its share of the machine's memory.
fn join_worker(worker: &DevWorker, workers: usize, token: &str) -> anyhow::Result<()> {
    let whole = docklet_agent::inventory::capacity(Path::new("/"))
        .memory_mib
        .0;
    let share = whole / u32::try_from(workers)?;
    let mut arguments = ["agent", "join", token].map(str::to_owned).to_vec();
    let options = [
        ("--dir", worker.dir.display().to_string()),
        ("--name", worker.name.clone()),
        ("--data-addr", worker.data.to_string()),
        ("--cgroup-prefix", worker.cgroup.clone()),
        ("--memory-mib", share.to_string()),
    ];
    arguments.extend(
        options
            .into_iter()
            .flat_map(|(key, value)| [key.to_owned(), value]),
    );
    this_program(&arguments)
}

/// Busybox, unless there are images already.
async fn base_image(connection: &Connection) -> anyhow::Result<()> {
    let images: Vec<ImageView> = connection.get("/images").await?;
    if images.is_empty() {
        image::build(connection, "busybox", None, false, &image::Version::plain()).await?;
    }
    Ok(())
}

async fn wait_for<F>(what: &str, holds: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let begun = tokio::time::Instant::now();
    while !holds().await? {
        if begun.elapsed() > PATIENCE {
            let text = format!(
                "no {what} within {} s: see the logs of the dev cluster",
                PATIENCE.as_secs()
            );
            return Err(Failure::new(Class::Timeout, text).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
