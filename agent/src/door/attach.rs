//! A helper that runs a program in a container, or acts in it: on a terminal, or on pipes.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::net::unix::pipe::{Receiver, Sender};

use super::Door;
use crate::fault::AgentFault;
use crate::lxc::HelperRequest;
use crate::lxc::helpers::Working;

/// Begins one on these standard streams.
pub(super) fn begin(
    door: &Door,
    request: &HelperRequest,
    standard: [OwnedFd; 3],
) -> Result<Working, AgentFault> {
    let unique: u64 = rand::random();
    let file = door.host.state().answer(&format!("attach-{unique:016x}"));
    door.config.helpers.run(request, standard, &file)
}

/// The helper's end of a pipe and ours, into which we write.
pub(super) fn input() -> Result<(OwnedFd, Sender), AgentFault> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC).map_err(std::io::Error::from)?;
    Ok((reading, Sender::from_owned_fd(writing)?))
}

/// The helper's end of a pipe and ours, from which we read.
pub(super) fn output() -> Result<(OwnedFd, Receiver), AgentFault> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC).map_err(std::io::Error::from)?;
    Ok((writing, Receiver::from_owned_fd(reading)?))
}

/// What takes everything and keeps nothing.
pub(super) fn nowhere() -> Result<OwnedFd, AgentFault> {
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    Ok(null.into())
}
