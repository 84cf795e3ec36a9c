//! What is promised on a worker, and what may be.

use crate::amount::VnodeSize;
use crate::model::{Settings, Vnode, VnodeWanted, Wishes, Worker};
use crate::state::State;

/// What is promised on a worker, and what may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Thousandths of a core promised.
    pub cpu_milli: u64,
    /// MiB promised.
    pub memory_mib: u64,
    /// Thousandths of a core that may be promised in all.
    pub cpu_milli_max: u64,
    /// MiB that may be promised in all.
    pub memory_mib_max: u64,
    /// MiB of disk promised.
    pub disk_mib: u64,
    /// MiB of disk that may be promised in all.
    pub disk_mib_max: u64,
}

/// What is promised on `worker`. One that is to have less keeps its promise until its worker has taken that. A stopped
/// vnode keeps its promise, so that starting it never fails. One that goes away gives its promise back at once, but not
/// its GPUs: they are in its hands until it is gone. One on its way is promised its room at both workers.
#[must_use]
pub fn load(state: &State, worker: &Worker) -> Load {
    let promised = state.kept_on(worker.id).filter(|vnode| counts(vnode));
    promised.fold(Load::none(state, worker), |load, vnode| {
        load.with(state.promised_to(vnode), state.wishes_of(vnode.id))
    })
}

/// Whether anything is promised to a vnode.
pub(super) fn counts(vnode: &Vnode) -> bool {
    vnode.wanted != VnodeWanted::Removed
}

impl Load {
    /// With nothing promised.
    pub(super) fn none(state: &State, worker: &Worker) -> Self {
        let capacity = &worker.facts.capacity;
        let (cpu_percent, memory_percent) = state.settings.as_ref().map_or((100, 100), overcommit);
        let disk_percent = u64::from(state.overcommit_of_disks().percent);
        Self {
            cpu_milli_max: u64::from(capacity.cpu_milli.0) * cpu_percent / 100,
            memory_mib_max: u64::from(capacity.memory_mib.0) * memory_percent / 100,
            disk_mib_max: capacity.disk_mib.0.saturating_mul(disk_percent) / 100,
            ..Self::default()
        }
    }

    /// With one more vnode.
    #[must_use]
    pub(super) fn with(mut self, size: VnodeSize, wishes: &Wishes) -> Self {
        self.cpu_milli += u64::from(size.cpu_milli.0);
        self.memory_mib += u64::from(size.memory_mib.0);
        self.disk_mib += wishes.disk_mib.0;
        self
    }

    /// With one less.
    #[must_use]
    pub(super) fn without(mut self, size: VnodeSize, wishes: &Wishes) -> Self {
        self.cpu_milli = self.cpu_milli.saturating_sub(u64::from(size.cpu_milli.0));
        self.memory_mib = self.memory_mib.saturating_sub(u64::from(size.memory_mib.0));
        self.disk_mib = self.disk_mib.saturating_sub(wishes.disk_mib.0);
        self
    }

    /// Thousandths of a core that may still be promised.
    #[must_use]
    pub fn cpu_milli_free(&self) -> u64 {
        self.cpu_milli_max.saturating_sub(self.cpu_milli)
    }

    /// MiB of memory that may still be promised.
    #[must_use]
    pub fn memory_mib_free(&self) -> u64 {
        self.memory_mib_max.saturating_sub(self.memory_mib)
    }

    /// MiB of disk that may still be promised.
    #[must_use]
    pub fn disk_mib_free(&self) -> u64 {
        self.disk_mib_max.saturating_sub(self.disk_mib)
    }

    /// The largest of its shares that is promised, in thousandths: what will be short first.
    #[must_use]
    pub fn share(&self) -> u64 {
        let shares = [
            (self.cpu_milli, self.cpu_milli_max),
            (self.memory_mib, self.memory_mib_max),
            (self.disk_mib, self.disk_mib_max),
        ];
        let share = |(promised, most): (u64, u64)| promised.saturating_mul(1_000) / most.max(1);
        shares.into_iter().map(share).max().unwrap_or_default()
    }
}

fn overcommit(settings: &Settings) -> (u64, u64) {
    (
        u64::from(settings.cpu_overcommit_percent),
        u64::from(settings.memory_overcommit_percent),
    )
}
