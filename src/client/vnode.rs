//! Single vnodes.

use std::process::ExitCode;

use clap::Subcommand;

use super::usage;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// What a vnode has used over time
    Stats(usage::Stats),
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Stats(ask) => usage::stats(ask).await,
    }
}
