//! The agent's helper as a program of its own, for tests: in the field it is the one binary, re-executed.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    docklet_agent::lxc::helper::dispatch(&arguments).unwrap_or(ExitCode::FAILURE)
}
