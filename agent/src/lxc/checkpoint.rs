//! Containers written to files and brought back from them: liblxc has CRIU do it. For the single-threaded helper only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::container::Container;
use super::helper::{StartRequest, silence};
use crate::fault::AgentFault;

/// Writes what runs in a container to files.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckpointRequest {
    pub lxc_path: PathBuf,
    pub name: String,
    /// Where the files are to be.
    pub directory: PathBuf,
    /// What was written of its memory before, seen from there: only pages that changed since are written.
    pub before: Option<PathBuf>,
    pub extent: Extent,
}

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// Its memory, and it runs on.
    Memory,
    /// All that runs in it, and it ends.
    All,
}

/// Starts a container with what was written.
#[derive(Debug, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// The container, as for a start. Its first process is among what was written.
    pub container: StartRequest,
    /// Where the files are.
    pub directory: PathBuf,
}

impl CheckpointRequest {
    pub(super) fn perform(&self) -> Result<(), AgentFault> {
        silence()?;
        let container = Container::open(&self.lxc_path, &self.name)?;
        container.checkpoint(&self.directory, self.before.as_deref(), self.extent)
    }
}

impl RestoreRequest {
    pub(super) fn perform(&self) -> Result<(), AgentFault> {
        self.container.bring_up(|container| {
            container.restore(&self.directory)?;
            self.container.limit(container)
        })
    }
}
