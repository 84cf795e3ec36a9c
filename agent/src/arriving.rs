//! Vnodes that come to this worker: those that are being copied, and what there is of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docklet_control::assignment::moves::AssignedArrival;
use docklet_control::id::{LogIndex, VnodeId};
use docklet_control::model::Copied;
use tokio::sync::watch;

use crate::disk;
use crate::fault::AgentFault;
use crate::host::linux::LinuxHost;
use crate::host::{Observation, SeenArrival};
use crate::transfer::{self, Arrival, Moving, Progress, Source, Stage};
use crate::vnode_dir::StateDir;

/// Bytes that the image of a vnode's processes may have: no vnode is expected to hold more memory.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 30;

type Key = (VnodeId, LogIndex);

/// What is remembered of a vnode that comes. What is on the disk outlives it.
#[derive(Default)]
struct Coming {
    /// Taken by whoever copies.
    arrival: Arc<tokio::sync::Mutex<Option<Arrival>>>,
    cancelled: watch::Sender<bool>,
    progress: Option<watch::Receiver<Progress>>,
    copied: Copied,
    near: bool,
}

impl Coming {
    /// Takes in how far it is.
    fn look(&mut self) -> Copied {
        let now = self.progress.as_ref().map(|progress| *progress.borrow());
        if let Some(now) = now {
            match now.stage {
                Stage::Round(round) => self.copied.round = round,
                Stage::Memory(round) => self.copied.memory_rounds = round,
                Stage::Begun | Stage::Snapshot(_) | Stage::Rest | Stage::Whole => {}
            }
            self.copied.memory_bytes = now.memory_bytes;
            self.copied.done_bytes = now.done_bytes;
            self.copied.all_bytes = now.all_bytes;
            self.copied.sent_bytes = now.came_bytes;
        }
        self.copied
    }
}

/// All that come.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<BTreeMap<Key, Coming>>);

/// How much is copied at a time.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// Little is missing.
    Near,
    /// Nothing is.
    Whole,
}

impl Arrivals {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Coming>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters what there is of vnodes that come.
    pub(crate) fn observe(
        &self,
        state: &StateDir,
        seen: &mut Observation,
    ) -> Result<(), AgentFault> {
        let mut known = self.lock();
        seen.arrivals.clear();
        for key in transfer::arrivals(state)? {
            let whole = transfer::whole(state, key.0, key.1).is_some();
            let coming = known.get_mut(&key);
            let (near, copied) =
                coming.map_or_else(Default::default, |coming| (coming.near, coming.look()));
            let arrival = SeenArrival {
                near,
                whole,
                copied,
            };
            seen.arrivals.insert(key, arrival);
        }
        Ok(())
    }

    /// Ends copying at once.
    pub(crate) fn cancel(&self, key: Key) {
        if let Some(coming) = self.lock().get(&key) {
            coming.cancelled.send_replace(true);
        }
    }

    fn with<T>(&self, key: Key, with: impl FnOnce(&mut Coming) -> T) -> T {
        with(self.lock().entry(key).or_default())
    }

    /// Forgets a vnode that comes no more, or is here.
    fn forget(&self, key: Key) {
        self.lock().remove(&key);
    }
}

/// Copies a vnode. It may be repeated, and goes on with what came.
pub(crate) fn copy(
    host: &LinuxHost,
    arrival: &AssignedArrival,
    until: Until,
) -> Result<(), AgentFault> {
    let key = (arrival.vnode, arrival.number);
    let (slot, mut cancelled) = host.arrivals.with(key, |coming| {
        coming.cancelled.send_replace(false);
        (coming.arrival.clone(), coming.cancelled.subscribe())
    });
    let copying = async {
        let mut slot = slot.lock().await;
        let mut coming = match slot.take() {
            Some(coming) => coming,
            None => begun(host, arrival).await?,
        };
        let progress = coming.progress();
        host.arrivals
            .with(key, |known| known.progress = Some(progress));
        match until {
            Until::Near => {
                coming.near().await?;
                host.arrivals.with(key, |known| known.near = true);
            }
            Until::Whole => drop(coming.rest().await?),
        }
        *slot = Some(coming);
        Ok(())
    };
    host.runtime.block_on(async {
        tokio::select! {
            copied = copying => copied,
            _ = cancelled.wait_for(|cancelled| *cancelled) => {
                Err(AgentFault::Moving("it is not wanted any more".to_owned()))
            }
        }
    })
}

async fn begun(host: &LinuxHost, arrival: &AssignedArrival) -> Result<Arrival, AgentFault> {
    let source = Source {
        worker: arrival.from,
        addr: arrival.from_addr.clone(),
    };
    let moving = Moving {
        vnode: arrival.vnode,
        number: arrival.number,
        snapshots: arrival.snapshots.iter().copied().collect(),
        disk_bytes_max: disk::bytes(arrival.disk_mib),
        checkpoint_bytes_max: CHECKPOINT_BYTES_MAX,
        live: arrival.live,
    };
    Arrival::begin(host.state.clone(), host.config.dialer(), source, moving).await
}

/// Deletes what came.
pub(crate) fn forget(host: &LinuxHost, key: Key) -> Result<(), AgentFault> {
    host.arrivals.forget(key);
    transfer::forget(&host.state, key.0, key.1)
}

/// Makes what came the vnode's files.
pub(crate) fn adopt(host: &LinuxHost, key: Key, root: u32) -> Result<(), AgentFault> {
    host.arrivals.forget(key);
    transfer::adopt(&host.state, key.0, key.1, root)
}
