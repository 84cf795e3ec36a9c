//! An image of a vnode, as it is at one moment: it is frozen while its own layer is read, and goes on before anything is
//! packed. What came of it is noted beside the vnode, so that no restart does it twice.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use docklet_control::assignment::{AssignedSave, AssignedVnode};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::report::Saved;
use serde::{Deserialize, Serialize};

use crate::archive::Limits;
use crate::archive::save::{Base, Taken};
use crate::disk;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::snapshot::Look;
use crate::snapshot::still::Frozen;
use crate::vnode_dir::StateDir;

/// What came of the last save of a vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub save: AssignedSave,
    pub saved: Saved,
}

impl Note {
    /// The note of a vnode, if there is one.
    #[must_use]
    pub fn read(state: &StateDir, id: VnodeId) -> Option<Self> {
        let bytes = fs::read(path(state, id)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn write(&self, state: &StateDir) -> Result<(), AgentFault> {
        let path = path(state, self.save.vnode);
        docklet_link::credentials::write_private(&path, &serde_json::to_vec(self)?)?;
        Ok(())
    }
}

fn path(state: &StateDir, id: VnodeId) -> PathBuf {
    state.vnode(id).join("saved.json")
}

/// Makes the image, or notes why there is none: trying again by itself would freeze the vnode again and again.
pub(crate) fn save(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    save: AssignedSave,
) -> Result<(), AgentFault> {
    let saved = match make(host, vnode, save.snapshot) {
        Ok(saved) => saved,
        Err(fault) => Saved::Failed {
            cause: fault.full_text().chars().take(300).collect(),
        },
    };
    Note { save, saved }.write(&host.state)
}

fn make(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    snapshot: Option<LogIndex>,
) -> Result<Saved, AgentFault> {
    let images = &host.images;
    let made = images.make("save", |staging, limits| {
        let base = base(host, vnode, staging, limits)?;
        let taken = match snapshot {
            Some(number) => take_snapshot(host, vnode, base, number)?,
            None => take(host, vnode, base)?,
        };
        let blob = staging.join(crate::images::BLOB);
        taken.pack(&blob).map_err(unfit)
    })?;
    Ok(Saved::Done {
        digest: made.digest,
        blob_bytes: made.blob_bytes,
    })
}

fn unfit(unfit: crate::archive::Unfit) -> AgentFault {
    AgentFault::Upload(unfit.full_text())
}

/// Reads the image before anything stands still: that takes longer than the vnode's own layer.
fn base(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    staging: &Path,
    limits: &Limits,
) -> Result<Base, AgentFault> {
    let blob = host.images.blob(vnode.image);
    let blob = File::open(&blob).map_err(AgentFault::file("read", blob))?;
    Base::read(blob, staging, limits).map_err(unfit)
}

/// Of what is in the vnode now.
fn take(host: &LinuxHost, vnode: &AssignedVnode, base: Base) -> Result<Taken, AgentFault> {
    let layer = disk::mount_disk(&host.state, vnode.id, vnode.disk_mib, vnode.uid_base)?;
    let upper = layer.upper;
    let _still = Frozen::freeze(&host.state, vnode.id)?;
    let dir = File::open(&upper).map_err(AgentFault::file("open", &upper))?;
    nix::unistd::syncfs(dir).map_err(|errno| AgentFault::file("sync", &upper)(errno.into()))?;
    base.take(&upper, vnode.uid_base).map_err(unfit)
}

/// Of what was in it then; the vnode does not notice.
fn take_snapshot(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    base: Base,
    number: LogIndex,
) -> Result<Taken, AgentFault> {
    let look = Look::at(&host.state, vnode.id, number)?;
    base.take(&look.upper(), vnode.uid_base).map_err(unfit)
}
