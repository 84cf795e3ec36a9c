//! What the agent leaves for the fence: until when the lease lasts, and what needs it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use docklet_control::id::VnodeId;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::boot;
use crate::cgroup::Cgroups;
use crate::fault::AgentFault;

/// The note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Which start of the machine `ends_ms` counts from.
    pub(super) boot: String,
    /// By [`boot_ms`].
    pub(super) ends_ms: u64,
    pub(super) vnodes: Vec<VnodeId>,
    pub(super) cgroups: Cgroups,
}

impl Note {
    /// Of a lease that is over.
    pub(super) fn none(cgroups: Cgroups) -> Result<Self, AgentFault> {
        Ok(Self {
            boot: boot::id()?,
            ends_ms: 0,
            vnodes: Vec::new(),
            cgroups,
        })
    }

    pub(super) fn is_of_this_boot(&self) -> bool {
        boot::id().is_ok_and(|boot| boot == self.boot)
    }

    /// None if there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, AgentFault> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(AgentFault::file("read", path)(error)),
        }
    }

    /// Whoever reads has the whole of this one or of the one before. It need not survive the machine.
    pub(super) fn write(&self, path: &Path) -> Result<(), AgentFault> {
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?).map_err(AgentFault::file("write", &new))?;
        fs::rename(&new, path).map_err(AgentFault::file("replace", path))
    }
}

/// Milliseconds since this machine began, its sleep included. Nobody can set it.
///
/// # Panics
/// The kernel has no such clock: all since 2.6.39 have.
#[must_use]
pub fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every kernel has this clock");
    let ms = i128::from(now.tv_sec()) * 1_000 + i128::from(now.tv_nsec()) / 1_000_000;
    u64::try_from(ms).unwrap_or_default()
}
