//! The helper that runs a program in a container: a shell on a terminal, or a program on three pipes.

use std::process::{Command, Stdio};

use super::Door;
use crate::fault::AgentFault;
use crate::lxc::{HelperRequest, helper};

/// The attaching helper on these standard streams. Its request is a file, as its standard input is not ours.
pub(super) fn command(
    door: &Door,
    request: &HelperRequest,
    [stdin, stdout, stderr]: [Stdio; 3],
) -> Result<Command, AgentFault> {
    let unique: u64 = rand::random();
    let path = door.host.state().answer(&format!("attach-{unique:016x}"));
    docklet_link::credentials::write_private(&path, &serde_json::to_vec(request)?)?;
    let mut command = Command::new(&door.config.helper);
    command
        .arg(helper::ARGUMENT)
        .arg(&path)
        .arg("/dev/null")
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr);
    Ok(command)
}

/// The fault of a helper that does not start.
pub(super) fn no_helper(door: &Door) -> impl FnOnce(std::io::Error) -> AgentFault {
    let program = door.config.helper.display().to_string();
    move |source| AgentFault::Spawn { program, source }
}
