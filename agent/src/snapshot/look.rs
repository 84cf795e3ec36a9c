//! A snapshot to read from: mounted for as long as somebody reads, and for reading only.

use std::path::{Path, PathBuf};

use docklet_control::id::{LogIndex, VnodeId};

use super::notes::Places;
use crate::disk::{self, Layer};
use crate::fault::AgentFault;
use crate::rootfs::unmount;
use crate::vnode_dir::{StateDir, make_dir};

/// One at a time of each vnode.
pub(crate) struct Look(PathBuf);

impl Look {
    pub(crate) fn at(state: &StateDir, id: VnodeId, number: LogIndex) -> Result<Self, AgentFault> {
        let places = Places::of(state, id);
        let file = places.disk(number);
        if !file.exists() {
            let text = "the snapshot is not on this worker any more";
            return Err(AgentFault::Snapshot(text.to_owned()));
        }
        let point = places.looked_at();
        // What an earlier process was reading.
        unmount(&point)?;
        make_dir(&point, 0o700)?;
        disk::mount_to_read(&file, &point)?;
        Ok(Self(point))
    }

    /// What the vnode wrote.
    pub(crate) fn upper(&self) -> PathBuf {
        Layer::within(&self.0).upper
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if let Err(fault) = end(&self.0) {
            tracing::error!(fault = fault.full_text(), "a snapshot stays mounted");
        }
    }
}

/// Ends what an earlier process did not live to end.
pub(super) fn end(point: &Path) -> Result<(), AgentFault> {
    unmount(point)?;
    match std::fs::remove_dir(point) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(AgentFault::file("delete", point)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
