//! Moves of vnodes: finding them, and rows that come and go.

use std::ops::RangeBounds;

use crate::id::{Digest, Epoch, VnodeId, WorkerId};
use crate::model::{Checkpointing, Move, Vnode};
use crate::state::State;

impl State {
    /// The move that a vnode is on.
    #[must_use]
    pub fn open_move(&self, vnode: VnodeId) -> Option<&Move> {
        self.moves.get(&vnode).filter(|moving| moving.is_open())
    }

    /// All moves that are under way, by vnode.
    pub fn open_moves(&self) -> impl Iterator<Item = &Move> {
        let open = self.lookup.open_moves.iter();
        open.filter_map(|vnode| self.moves.get(vnode))
    }

    /// Moves under way in which a worker has part, by vnode.
    pub fn moves_at(&self, worker: WorkerId) -> impl Iterator<Item = &Move> {
        let range = (worker, VnodeId(0))..=(worker, VnodeId(u64::MAX));
        let found = self.lookup.moves_by_worker.range(range);
        found.filter_map(|(_, vnode)| self.moves.get(vnode))
    }

    /// Vnodes for which a worker keeps room: those placed there, and those on their way, which come or may have to come back.
    pub fn kept_on(&self, worker: WorkerId) -> impl Iterator<Item = &Vnode> {
        let moves = self.moves_at(worker);
        let other = moves.filter(move |moving| moving.other_worker() == worker);
        let expected = other.filter_map(|moving| self.vnodes.get(&moving.vnode));
        self.vnodes_on(worker).chain(expected)
    }

    /// Workers within `range` that expect a vnode of `image`.
    pub(super) fn expecting(
        &self,
        image: Digest,
        range: impl RangeBounds<WorkerId>,
    ) -> impl Iterator<Item = WorkerId> {
        let of_image = move |moving: &&Move| {
            let vnode = self.vnodes.get(&moving.vnode);
            vnode.is_some_and(|vnode| vnode.image == image)
        };
        let expecting = self.open_moves().filter(of_image).map(Move::other_worker);
        expecting.filter(move |worker| range.contains(worker))
    }

    /// Workers at which there is something of a vnode, or shall be.
    pub fn workers_of(&self, vnode: &Vnode) -> impl Iterator<Item = WorkerId> + use<> {
        let placed = vnode.placement.map(|placed| placed.worker);
        let moving = self.open_move(vnode.id).map(Move::other_worker);
        placed.into_iter().chain(moving)
    }

    /// Whether a GPU is kept for a vnode that is on its way.
    #[must_use]
    pub fn gpu_is_kept(&self, uuid: &str) -> bool {
        self.open_moves()
            .any(|moving| moving.gpus.iter().any(|kept| kept == uuid))
    }

    pub(crate) fn put_move(&mut self, moving: Move) {
        self.remove_move(&moving.vnode);
        if moving.is_open() {
            self.lookup.open_moves.insert(moving.vnode);
            for worker in [moving.from, moving.to] {
                self.lookup.moves_by_worker.insert((worker, moving.vnode));
            }
        }
        self.moves.insert(moving.vnode, moving);
    }

    pub(crate) fn remove_move(&mut self, vnode: &VnodeId) {
        if let Some(moving) = self.moves.remove(vnode) {
            self.lookup.open_moves.remove(vnode);
            for worker in [moving.from, moving.to] {
                self.lookup.moves_by_worker.remove(&(worker, *vnode));
            }
        }
    }

    pub(crate) fn put_checkpointing(&mut self, row: Checkpointing) {
        self.checkpointing.insert(row.worker, row);
    }

    pub(crate) fn remove_checkpointing(&mut self, worker: &WorkerId) {
        self.checkpointing.remove(worker);
    }

    /// What a vnode had with it at one placement it has at this one.
    pub(crate) fn snapshots_follow(&mut self, vnode: VnodeId, epoch: Epoch) {
        let here: Vec<_> = self.snapshots_of(vnode).cloned().collect();
        for mut snapshot in here {
            snapshot.epoch = epoch;
            self.put_snapshot(snapshot);
        }
    }
}
