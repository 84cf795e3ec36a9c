//! The one program: parses the command line and wires the rooms together. Decides nothing.

mod cli;
mod client;
mod dev;
mod exit;
mod image;
mod role;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use docklet_control::model::ClusterVersion;

/// Runs the program, whose masters know cluster versions up to `knows`. Only tests of upgrades hand over another than
/// the newest.
#[must_use]
pub fn run(knows: ClusterVersion) -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    // First of all, while there is one thread: this process may be a helper of the agent.
    if let Some(code) = docklet_agent::lxc::helper::dispatch(&arguments) {
        return code;
    }
    // Or what ends its vnodes when it is cut off.
    if let Some(code) = docklet_agent::lease::fence::dispatch(&arguments) {
        return code;
    }
    // Or the one that holds a stopped master's lifeline.
    if let Some(code) = docklet_raft::drill_helper(&arguments) {
        return code;
    }
    // Or the one that asks PAM about one password.
    if let Some(code) = role::pam::dispatch(&arguments) {
        return code;
    }
    // Or a shell asks what words could become.
    if let Some(code) = client::names::dispatch(cli::Cli::command) {
        return code;
    }
    let cli = cli::Cli::parse();
    start_logging(&cli);
    // Fails only if a provider is installed already, and then there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = match cli.runtime() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&error.into()),
    };
    match runtime.block_on(cli::run(cli, knows)) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}

fn start_logging(cli: &cli::Cli) {
    use tracing_subscriber::EnvFilter;
    let default = if cli.is_daemon() {
        format!("info,{}", docklet_raft::LOG_DIRECTIVES)
    } else {
        "error".to_owned()
    };
    let filter = EnvFilter::try_from_env("DOCKLET_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
