//! A frozen state with what its workers promise counted up, on which the scheduler tries things out.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use imbl::OrdMap;

use super::filter::{self, Dimension, Obstacle};
use super::load::{Load, counts};
use super::placing;
use crate::evolve::evolve;
use crate::id::{Epoch, UnixMs, VclusterId, VnodeId, WorkerId};
use crate::model::{Move, Spread, Vnode, Worker, WorkerTraits};
use crate::state::State;

/// Smaller is better: preferred labels that the worker has not, how the vnode lies to its siblings, whether the worker has GPUs for which it has no use, the
/// largest share promised in thousandths, the worker's id.
pub type Rank = (usize, Reverse<u32>, u32, u32, bool, u64, WorkerId);

/// The part of it that says how a worker suits a vnode, however much it has promised.
pub(super) type Standing = (usize, Reverse<u32>, u32, u32, bool);

/// A clone costs nothing, so that any number of trials may be made from one.
#[derive(Clone, Debug)]
pub struct Board {
    state: State,
    loads: OrdMap<WorkerId, Load>,
    /// Vnodes that are there to stay.
    counts: OrdMap<(VclusterId, WorkerId), u32>,
}

impl Board {
    #[must_use]
    pub fn of(state: &State) -> Self {
        Self::counted(state, state.workers.values())
    }

    /// As it is when everything that is on its way has come to where it goes.
    pub(super) fn settled(state: &State) -> Self {
        let mut board = Self::of(state);
        for moving in state.open_moves() {
            if let Some(vnode) = state.vnodes.get(&moving.vnode) {
                board.uncount(vnode, moving.worker_left());
            }
        }
        board
    }

    /// For questions about these workers only: nothing of others is counted.
    pub(crate) fn counted<'s>(state: &'s State, workers: impl Iterator<Item = &'s Worker>) -> Self {
        Self::counting(state, workers, |_| true)
    }

    /// For questions about vnodes of one vcluster only: no siblings of others are counted.
    pub(crate) fn of_vcluster(state: &State, vcluster: VclusterId) -> Self {
        Self::counting(state, state.workers.values(), |of| of == vcluster)
    }

    fn counting<'s>(
        state: &'s State,
        workers: impl Iterator<Item = &'s Worker>,
        matters: impl Fn(VclusterId) -> bool,
    ) -> Self {
        let mut loads = BTreeMap::new();
        let mut siblings: BTreeMap<_, u32> = BTreeMap::new();
        for worker in workers {
            if loads.contains_key(&worker.id) {
                continue;
            }
            let mut load = Load::none(state, worker);
            for vnode in state.kept_on(worker.id).filter(|vnode| counts(vnode)) {
                load = load.with(state.promised_to(vnode), state.wishes_of(vnode.id));
                if matters(vnode.vcluster) {
                    *siblings.entry((vnode.vcluster, worker.id)).or_default() += 1;
                }
            }
            loads.insert(worker.id, load);
        }
        Self {
            state: state.clone(),
            loads: loads.into_iter().collect(),
            counts: siblings.into_iter().collect(),
        }
    }

    /// What is so far.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What a worker promises; nothing if there is no such worker.
    #[must_use]
    pub fn load(&self, worker: WorkerId) -> Load {
        self.loads.get(&worker).copied().unwrap_or_default()
    }

    /// The same with one vnode more, or with one less that is there.
    pub(super) fn load_with(&self, worker: WorkerId, vnode: &Vnode) -> Load {
        let size = self.state.promised_to(vnode);
        let load = self.load(worker);
        load.with(size, self.state.wishes_of(vnode.id))
    }

    pub(super) fn load_without(&self, worker: WorkerId, vnode: &Vnode) -> Load {
        let size = self.state.promised_to(vnode);
        let load = self.load(worker);
        load.without(size, self.state.wishes_of(vnode.id))
    }

    fn count(&mut self, vnode: &Vnode, worker: WorkerId) {
        if !counts(vnode) {
            return;
        }
        if let Some(load) = self.loads.get_mut(&worker) {
            *load = load.with(
                self.state.promised_to(vnode),
                self.state.wishes_of(vnode.id),
            );
        }
        *self.counts.entry((vnode.vcluster, worker)).or_default() += 1;
    }

    /// Vnodes of the same vcluster on a worker, this one not among them.
    #[must_use]
    pub fn siblings(&self, worker: WorkerId, vnode: &Vnode) -> u32 {
        let all = self.counts.get(&(vnode.vcluster, worker));
        let there = self.state.workers_of(vnode).any(|there| there == worker);
        let own = u32::from(there && counts(vnode));
        all.copied().unwrap_or_default().saturating_sub(own)
    }

    /// The same for a zone. A worker without one is a zone of its own.
    fn siblings_in_zone(&self, worker: WorkerId, vnode: &Vnode) -> u32 {
        let Some(zone) = self.zone(worker) else {
            return self.siblings(worker, vnode);
        };
        let range = (vnode.vcluster, WorkerId(0))..=(vnode.vcluster, WorkerId(u64::MAX));
        let on = self.counts.range(range).map(|((_, worker), _)| *worker);
        on.filter(|other| self.zone(*other) == Some(zone))
            .map(|other| self.siblings(other, vnode))
            .sum()
    }

    /// Where a worker stands.
    #[must_use]
    pub fn zone(&self, worker: WorkerId) -> Option<&str> {
        let traits = self.state.worker_traits.get(&worker)?;
        traits.label(WorkerTraits::ZONE)
    }

    /// Every dimension in which `worker` cannot take `vnode`.
    #[must_use]
    pub fn lacks(&self, worker: &Worker, vnode: &Vnode) -> Vec<Dimension> {
        filter::lacks(self, worker, vnode)
    }

    /// How well `worker` suits `vnode`, if it can take it.
    #[must_use]
    pub fn rank(&self, worker: &Worker, vnode: &Vnode) -> Rank {
        let (unlike, together, first, second, in_the_way) = self.standing(worker, vnode);
        let share = self.load(worker.id).share();
        (
            unlike, together, first, second, in_the_way, share, worker.id,
        )
    }

    /// How well `worker` suits `vnode`, whether it can take it or not and however much it has promised.
    pub(super) fn standing(&self, worker: &Worker, vnode: &Vnode) -> Standing {
        let near = self.siblings(worker.id, vnode);
        let rules = self.state.rules_of(vnode.vcluster);
        let traits = self.state.worker_traits.get(&worker.id);
        let unlike = filter::missing(&rules.prefers, traits).count();
        let (together, first, second) = match rules.spread {
            Spread::Workers => (0, near, self.siblings_in_zone(worker.id, vnode)),
            Spread::Zones => (0, self.siblings_in_zone(worker.id, vnode), near),
            Spread::Together => (near, 0, 0),
        };
        let wants_none = self.state.wishes_of(vnode.id).gpus.count == 0;
        let in_the_way = wants_none && !worker.facts.capacity.gpus.is_empty();
        (unlike, Reverse(together), first, second, in_the_way)
    }

    /// Workers that can take `vnode`, the best first.
    ///
    /// # Errors
    /// None can: every worker with every dimension that failed; empty when there is no worker at all.
    pub fn candidates(&self, vnode: &Vnode) -> Result<Vec<WorkerId>, Vec<Obstacle>> {
        let mut ranks = Vec::new();
        let mut obstacles = Vec::new();
        for worker in self.state.workers.values() {
            let lacks = self.lacks(worker, vnode);
            if lacks.is_empty() {
                ranks.push(self.rank(worker, vnode));
            } else {
                obstacles.push(Obstacle {
                    worker: worker.id,
                    lacks,
                });
            }
        }
        if ranks.is_empty() {
            return Err(obstacles);
        }
        ranks.sort_unstable();
        Ok(ranks.into_iter().map(|(.., worker)| worker).collect())
    }

    /// With `vnode` placed on `worker`, which can take it.
    pub fn put(&mut self, vnode: VnodeId, worker: WorkerId) {
        let state = &self.state;
        let (Some(row), Some(to)) = (state.vnodes.get(&vnode), state.workers.get(&worker)) else {
            return;
        };
        let (row, events) = (row.clone(), placing(state, to, row, Epoch(0)));
        for event in &events {
            self.state = evolve(std::mem::take(&mut self.state), UnixMs::default(), event);
        }
        self.count(&row, worker);
    }

    /// The worker that suits a vnode best beside the one that it is on.
    #[must_use]
    pub fn best_other(&self, vnode: &Vnode) -> Option<WorkerId> {
        let others = self.candidates(vnode).ok()?;
        others.into_iter().find(|other| !vnode.is_on(*other))
    }

    /// What every other worker lacks for a vnode.
    #[must_use]
    pub fn others_lack(&self, vnode: &Vnode) -> Vec<Obstacle> {
        let others = self.state.workers.values();
        let others = others.filter(|other| !vnode.is_on(other.id));
        let obstacles = others.map(|other| Obstacle {
            worker: other.id,
            lacks: self.lacks(other, vnode),
        });
        obstacles.collect()
    }

    /// With room for `vnode` on `worker`, beside the room that it has where it is.
    pub(crate) fn reserve(&mut self, vnode: VnodeId, worker: WorkerId) {
        if let Some(row) = self.state.vnodes.get(&vnode).cloned() {
            self.count(&row, worker);
        }
    }

    /// With a move under way.
    pub(crate) fn expect(&mut self, moving: Move) {
        let (vnode, to) = (moving.vnode, moving.to);
        self.state.put_move(moving);
        self.reserve(vnode, to);
    }

    /// With `vnode` placed nowhere, as if its worker had never had it.
    pub fn take_off(&mut self, vnode: VnodeId) {
        let Some(row) = self.state.vnodes.get(&vnode).cloned() else {
            return;
        };
        let Some(placed) = row.placement.filter(|_| counts(&row)) else {
            return;
        };
        self.uncount(&row, placed.worker);
        self.state.unplace(vnode);
    }

    fn uncount(&mut self, vnode: &Vnode, worker: WorkerId) {
        if !counts(vnode) {
            return;
        }
        if let Some(load) = self.loads.get_mut(&worker) {
            let size = self.state.promised_to(vnode);
            *load = load.without(size, self.state.wishes_of(vnode.id));
        }
        if let Some(count) = self.counts.get_mut(&(vnode.vcluster, worker)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Without a worker that has no vnodes any more.
    pub(crate) fn remove_worker(&mut self, worker: WorkerId) {
        self.state.remove_worker(&worker);
    }
}
