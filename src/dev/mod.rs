//! The dev cluster: three masters and two workers on this machine, each a process of its own, each worker in a
//! network namespace of its own. All real but the hardware.

mod layout;
mod lxcfs;
mod network;
mod process;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::Print;
use crate::client::output::{Rows, print, remark};
use layout::Layout;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Start the cluster, or whatever of it does not run
    Up(Options),
    /// Stop it and remove its containers, namespaces and bridges; its data stays
    Down {
        #[command(flatten)]
        options: Options,
        /// Delete its data too
        #[arg(long)]
        wipe: bool,
    },
    /// Show its processes
    Status {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        print: Print,
    },
}

#[derive(Args)]
pub struct Options {
    /// Where its files are
    #[arg(long, env = "DOCKLET_DEV_DIR", default_value = "/var/lib/docklet-dev")]
    dir: PathBuf,
    /// Tells several dev clusters on one machine apart: names, ports and addresses follow from it
    #[arg(long, env = "DOCKLET_DEV_INSTANCE", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=99))]
    instance: u8,
}

impl Options {
    fn layout(&self) -> std::io::Result<Layout> {
        Layout::new(&self.dir, self.instance)
    }
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(options) => up::run(&options.layout()?).await?,
        Command::Down { options, wipe } => down(&options.layout()?, wipe)?,
        Command::Status { options, print } => {
            status(&options.layout()?, print)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn down(layout: &Layout, wipe: bool) -> anyhow::Result<()> {
    for name in layout.process_names() {
        process::stop(&layout.pid_file(&name))?;
    }
    for worker in layout.workers() {
        process::clear_cgroups(&worker.cgroup)?;
    }
    process::unmount_below(&layout.dir)?;
    network::remove(layout)?;
    if wipe && layout.dir.exists() {
        std::fs::remove_dir_all(&layout.dir)?;
    }
    remark("The dev cluster is down.");
    Ok(())
}

#[derive(serde::Serialize)]
struct Row {
    name: String,
    pid: Option<i32>,
    address: String,
}

fn status(layout: &Layout, format: Print) -> anyhow::Result<()> {
    let masters = layout.masters().into_iter().map(|master| Row {
        pid: process::running(&layout.pid_file(&master.name)),
        address: format!("https://{}", master.public),
        name: master.name,
    });
    let workers = layout.workers().into_iter().map(|worker| Row {
        pid: process::running(&layout.pid_file(&worker.name)),
        address: worker.data.to_string(),
        name: worker.name,
    });
    let rows: Vec<Row> = masters.chain(workers).collect();
    print(format.format, &rows, |all| {
        let mut rows = Rows::new(&["name", "pid", "address"]);
        for row in all {
            let pid = row
                .pid
                .map_or_else(|| "not running".to_owned(), |pid| pid.to_string());
            rows.add([row.name.clone(), pid, row.address.clone()]);
        }
        rows
    })
}
