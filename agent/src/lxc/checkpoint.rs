//! Containers written to files and brought back from them: liblxc has CRIU do it. For the single-threaded helper only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::container::Container;
use super::helper::{StartRequest, silence};
use crate::fault::AgentFault;

/// Writes what runs in a container to files, and ends it.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckpointRequest {
    pub lxc_path: PathBuf,
    pub name: String,
    /// Where the files are to be.
    pub directory: PathBuf,
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
        Container::open(&self.lxc_path, &self.name)?.checkpoint(&self.directory)
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
