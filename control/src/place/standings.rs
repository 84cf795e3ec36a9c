//! How all workers suit vnodes that are alike, kept while one after the other is placed: what changes with each is the worker
//! that takes it, and how much lies in its zone.

use std::collections::{BTreeMap, BTreeSet};

use super::board::{Board, Rank};
use crate::amount::VnodeSize;
use crate::id::{VclusterId, WorkerId};
use crate::model::{Vnode, Wishes};

/// What vnodes are alike in: of two that agree in this, every worker lacks the same and ranks the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    vcluster: VclusterId,
    size: VnodeSize,
    wishes: Wishes,
}

/// None of vnodes that are like no other: those whose disk begins as a copy, and those that are somewhere already.
fn kind(board: &Board, vnode: &Vnode) -> Option<Kind> {
    let state = board.state();
    let copies = state.snapshot_copies.contains_key(&vnode.id);
    let somewhere = state.workers_of(vnode).next().is_some();
    (!copies && !somewhere).then(|| Kind {
        vcluster: vnode.vcluster,
        size: state.promised_to(vnode),
        wishes: state.wishes_of(vnode.id).clone(),
    })
}

/// The workers that can take the vnodes of one kind, the best first.
#[derive(Debug, Default)]
pub(super) struct Standings {
    kind: Option<Kind>,
    ranks: BTreeSet<Rank>,
    of: BTreeMap<WorkerId, Rank>,
    /// Workers whose rank may be another since the last look.
    changed: BTreeSet<WorkerId>,
}

impl Standings {
    /// The worker that suits a vnode best.
    pub(super) fn best(&mut self, board: &Board, vnode: &Vnode) -> Option<WorkerId> {
        let kind = kind(board, vnode);
        if kind.is_none() || kind != self.kind {
            *self = Self {
                kind,
                changed: board.state().workers.keys().copied().collect(),
                ..Self::default()
            };
        }
        for worker in std::mem::take(&mut self.changed) {
            self.look(board, vnode, worker);
        }
        let (.., best) = self.ranks.first()?;
        Some(*best)
    }

    fn look(&mut self, board: &Board, vnode: &Vnode, worker: WorkerId) {
        if let Some(before) = self.of.remove(&worker) {
            self.ranks.remove(&before);
        }
        let Some(worker) = board.state().workers.get(&worker) else {
            return;
        };
        if board.lacks(worker, vnode).is_empty() {
            let rank = board.rank(worker, vnode);
            self.of.insert(worker.id, rank);
            self.ranks.insert(rank);
        }
    }

    /// A vnode was put on `taker`.
    pub(super) fn put(&mut self, board: &Board, taker: WorkerId) {
        self.changed.insert(taker);
        let Some(zone) = board.zone(taker) else {
            return;
        };
        let known = self.of.keys().copied();
        let near = known.filter(|worker| board.zone(*worker) == Some(zone));
        self.changed.extend(near);
    }
}
