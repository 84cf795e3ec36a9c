//! The worker's lease: while it lasts, vnodes that are restarted elsewhere when this worker is lost may run here.
//!
//! It is kept in a note that a process of its own reads, the [`fence`], which ends those vnodes when the lease is over:
//! this agent may be stopped or gone by then. So nothing is added to a lease while no fence lives, and whatever starts
//! such a vnode asks here first. Times are of the clock that runs on while the machine is suspended: docs/adr/0024.

pub mod fence;
mod note;
pub mod renewals;

use std::path::PathBuf;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docklet_control::assignment::Assignment;
use docklet_control::id::VnodeId;
use docklet_control::lost::Fencing;
use docklet_control::model::{VnodeFence, VnodeWanted};
use tokio::sync::Notify;

use crate::cgroup::Cgroups;
use crate::fault::AgentFault;
use crate::vnode_dir::StateDir;
use note::Note;
pub use note::boot_ms;

/// The lease of this worker.
pub struct Lease {
    note: PathBuf,
    lock: PathBuf,
    program: PathBuf,
    inner: Mutex<Inner>,
    /// Something that runs only under a lease has come.
    needed: Notify,
}

struct Inner {
    note: Note,
    /// What the masters said last.
    fencing: Fencing,
    fence: Option<Child>,
}

impl Lease {
    /// What there is of it on this machine: an agent that restarts goes on with the lease that it had. After a reboot there
    /// is none.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn open(state: &StateDir, cgroups: &Cgroups, program: PathBuf) -> Result<Self, AgentFault> {
        let note = state.answer("lease");
        let known = Note::read(&note)?.filter(Note::is_of_this_boot);
        let known = match known {
            Some(known) => known,
            None => Note::none(cgroups.clone())?,
        };
        Ok(Self {
            lock: state.answer("fence"),
            program,
            inner: Mutex::new(Inner {
                fencing: Fencing {
                    lease_ms: 0,
                    vnodes: Vec::new(),
                },
                note: known,
                fence: None,
            }),
            needed: Notify::new(),
            note,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything runs only under a lease.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.inner().fencing.vnodes.is_empty()
    }

    /// Waits until something has come that runs only under a lease, and there is none.
    pub async fn comes_to_be_needed(&self) {
        self.needed.notified().await;
    }

    /// How much of it is left; none if it is over.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let left_ms = self.inner().note.ends_ms.checked_sub(boot_ms());
        left_ms.filter(|ms| *ms > 0).map(Duration::from_millis)
    }

    /// When it ends, if this vnode runs only until then.
    #[must_use]
    pub fn end_for(&self, vnode: VnodeId) -> Option<u64> {
        let inner = self.inner();
        let needs = inner.note.vnodes.contains(&vnode);
        needs.then_some(inner.note.ends_ms)
    }

    /// Takes in which vnodes need it, before anything is done about them. Answers what can be promised to the masters.
    ///
    /// # Errors
    /// That cannot be noted, or no fence lives.
    pub fn assign(&self, assignment: &Assignment) -> Result<Vec<VnodeFence>, AgentFault> {
        let mut inner = self.inner();
        let fencing = &assignment.fencing;
        let vnodes: Vec<VnodeId> = fencing.vnodes.iter().map(|(id, _)| *id).collect();
        // What needs it and cannot be noted must not start either.
        inner.fencing = fencing.clone();
        if inner.note.vnodes != vnodes {
            inner.note.vnodes = vnodes;
            inner.note.write(&self.note)?;
        }
        if inner.note.vnodes.is_empty() {
            return Ok(Vec::new());
        }
        self.keep_fence(&mut inner)?;
        if inner.note.ends_ms <= boot_ms() {
            self.needed.notify_one();
        }
        let epoch = |id: VnodeId| {
            let vnode = assignment.vnodes.iter().find(|vnode| vnode.id == id);
            vnode.map(|vnode| vnode.epoch)
        };
        let fences = fencing.vnodes.iter().filter_map(|(vnode, number)| {
            Some(VnodeFence {
                vnode: *vnode,
                epoch: epoch(*vnode)?,
                number: *number,
            })
        });
        Ok(fences.collect())
    }

    /// It was granted to a heartbeat that was sent at this time. One that is over is added to only if it was asked for
    /// anew: otherwise nobody has looked whether what runs here has begun elsewhere.
    ///
    /// # Errors
    /// That cannot be noted, or no fence lives: then it is not longer than before.
    pub fn extend(&self, sent_ms: u64, anew: bool) -> Result<(), AgentFault> {
        let mut inner = self.inner();
        let now_ms = boot_ms();
        let ends_ms = sent_ms.saturating_add(inner.fencing.lease_ms);
        let over = inner.note.ends_ms <= now_ms;
        if ends_ms <= now_ms.max(inner.note.ends_ms) || over && !anew {
            return Ok(());
        }
        self.keep_fence(&mut inner)?;
        let longer = Note {
            ends_ms,
            ..inner.note.clone()
        };
        longer.write(&self.note)?;
        inner.note = longer;
        Ok(())
    }

    /// Starts a fence if none lives that can act.
    fn keep_fence(&self, inner: &mut Inner) -> Result<(), AgentFault> {
        if let Some(child) = &mut inner.fence {
            // One that has ended leaves the process table.
            drop(child.try_wait());
        }
        if fence::lives(&self.lock)? {
            return Ok(());
        }
        let child = fence::start(&self.program, &self.note, &self.lock)?;
        inner.fence = Some(child);
        Ok(())
    }

    /// The assignment as it may be acted upon now: without a lease, what needs one does not run.
    #[must_use]
    pub fn allowed(&self, wanted: Assignment) -> Assignment {
        if self.left().is_some() {
            return wanted;
        }
        let mut wanted = wanted;
        let inner = self.inner();
        let fenced = |id| inner.fencing.vnodes.iter().any(|(fenced, _)| *fenced == id);
        for vnode in &mut wanted.vnodes {
            if vnode.wanted == VnodeWanted::Running && fenced(vnode.id) {
                vnode.wanted = VnodeWanted::Stopped;
            }
        }
        wanted
    }
}
