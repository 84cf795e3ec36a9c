//! Which start of the machine this is.

use std::fs;

use crate::fault::AgentFault;

const ID: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel's own name of it: another after each start.
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn id() -> Result<String, AgentFault> {
    let text = fs::read_to_string(ID).map_err(AgentFault::file("read", ID))?;
    Ok(text.trim().to_owned())
}
