//! Running programs: argument vectors, never a shell; what they say is kept for the fault.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::fault::AgentFault;

/// Runs a program to its end with `input` on its standard input; answers its standard output.
///
/// # Errors
/// It cannot be run, or exits with another status than 0; then what it printed is in the fault.
pub fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, AgentFault> {
    let output = output(program, arguments, input)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(AgentFault::Program {
        program: format!("{program} {}", arguments.join(" ")),
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn output(program: &str, arguments: &[&str], input: &str) -> Result<Output, AgentFault> {
    let spawn = |source| AgentFault::Spawn {
        program: program.to_owned(),
        source,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(spawn)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(spawn)?;
    }
    child.wait_with_output().map_err(spawn)
}
