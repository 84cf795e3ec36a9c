//! An image of a vnode, as it is at one moment: it is frozen while its own layer is read, and goes on before anything is
//! packed. What came of it is noted beside the vnode, so that no restart does it twice. It can be ended at any moment: then
//! the vnode goes on at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use docklet_control::assignment::{AssignedSave, AssignedVnode};
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::report::Saved;
use serde::{Deserialize, Serialize};

use crate::archive::Limits;
use crate::archive::save::{Base, Taken};
use crate::archive::stop::Stop;
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

/// Saves that are under way or waited for, and the word for each that it shall stop.
#[derive(Debug, Default)]
pub(crate) struct Saves(Mutex<BTreeMap<(VnodeId, LogIndex), Stop>>);

impl Saves {
    fn stop_of(&self, save: &AssignedSave) -> Stop {
        let mut stops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of earlier ones of that vnode none is left: there is one at a time.
        stops.retain(|(vnode, number), _| *vnode != save.vnode || *number == save.number);
        stops.entry((save.vnode, save.number)).or_default().clone()
    }

    fn forget(&self, save: &AssignedSave) {
        let mut stops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stops.remove(&(save.vnode, save.number));
    }

    /// Ends a save at once, whether it has begun or not: nobody wants it any more.
    pub(crate) fn cancel(&self, save: &AssignedSave) {
        self.stop_of(save).say();
    }
}

/// Makes the image, or notes why there is none: trying again by itself would freeze the vnode again and again. Of one that
/// is cancelled nothing stays, and nothing is noted.
pub(crate) fn save(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    save: AssignedSave,
) -> Result<(), AgentFault> {
    let stop = host.saves.stop_of(&save);
    let made = if stop.is_said() {
        None
    } else {
        let made = make(host, vnode, &save, &stop);
        // Whatever a cancelled one failed at, that was why.
        Some(made).filter(|made| made.is_ok() || !stop.is_said())
    };
    host.saves.forget(&save);
    let saved = match made {
        None => return Ok(()),
        Some(Ok(saved)) => saved,
        Some(Err(fault)) => Saved::Failed {
            cause: fault.full_text().chars().take(300).collect(),
        },
    };
    Note { save, saved }.write(&host.state)
}

fn make(
    host: &LinuxHost,
    vnode: &AssignedVnode,
    save: &AssignedSave,
    stop: &Stop,
) -> Result<Saved, AgentFault> {
    let images = &host.images;
    let made = images.make("save", stop, |staging, limits| {
        let limits = Limits {
            blob_bytes_max: save.blob_bytes_max.unwrap_or(limits.blob_bytes_max),
            ..*limits
        };
        let base = base(host, vnode, staging, &limits, stop)?;
        let taken = match save.snapshot {
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
    stop: &Stop,
) -> Result<Base, AgentFault> {
    let blob = host.images.blob(vnode.image);
    let blob = File::open(&blob).map_err(AgentFault::file("read", blob))?;
    Base::read(blob, staging, limits, stop).map_err(unfit)
}

/// Of what is in the vnode now.
fn take(host: &LinuxHost, vnode: &AssignedVnode, base: Base) -> Result<Taken, AgentFault> {
    let layer = disk::mount_disk(&host.state, &host.spares, vnode)?;
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
