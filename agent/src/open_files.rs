//! How many files may be open. Meters keep a dozen open for each vnode, more than the 1,024 that a process may have
//! unless it asks; what runs in vnodes begins with what programs expect.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::fault::AgentFault;

/// What programs expect that use `select`, or close all that might be open.
const EXPECTED: u64 = 1_024;

/// Lets this process open as many as root allows it; answers how many that are.
///
/// # Errors
/// The kernel refuses.
pub fn raise() -> Result<u64, AgentFault> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(std::io::Error::from)?;
    set(hard, hard)?;
    Ok(hard)
}

/// What this process starts may open as many as programs expect; it may ask for more.
///
/// # Errors
/// The kernel refuses.
pub fn lower() -> Result<(), AgentFault> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(std::io::Error::from)?;
    set(soft.min(EXPECTED), hard)
}

fn set(soft: u64, hard: u64) -> Result<(), AgentFault> {
    let done = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    Ok(done.map_err(std::io::Error::from)?)
}
