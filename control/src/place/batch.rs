//! Many vnodes at once: each to the worker that suits it best, and if some find no room that way, another way in which
//! all do, if there is one.

use std::cmp::Reverse;

use super::board::Board;
use super::filter::Obstacle;
use super::standings::Standings;
use crate::gpus;
use crate::id::{VnodeId, WorkerId};
use crate::model::Vnode;

/// Placements tried at most when the obvious ones leave some without a worker. More costs the leader its time, and
/// nothing is lost: who waits is tried again with whatever changes.
const TRIALS_MAX: u32 = 4_000;
/// More at once are not tried otherwise: trials would end long before they find anything.
const SEARCHED_MAX: usize = 64;

/// Who goes where, and who must wait, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order in which they must be placed: whoever comes first takes the first GPUs that fit.
    pub placed: Vec<(VnodeId, WorkerId)>,
    pub unplaced: Vec<(VnodeId, Vec<Obstacle>)>,
}

impl Board {
    /// Places all of them that can be, and answers what came of it. Those that come first choose first.
    pub fn place_all(&mut self, vnodes: &[Vnode]) -> Batch {
        let before = self.clone();
        let greedy = self.place_each(vnodes);
        if greedy.unplaced.is_empty() || vnodes.len() > SEARCHED_MAX {
            return greedy;
        }
        // One that no worker could take if it were alone stays out: the others shall not wait for it.
        let possible = vnodes
            .iter()
            .filter(|vnode| before.candidates(vnode).is_ok());
        let possible: Vec<&Vnode> = possible.collect();
        let out: Vec<&(VnodeId, Vec<Obstacle>)> = greedy
            .unplaced
            .iter()
            .filter(|(id, _)| !possible.iter().any(|vnode| vnode.id == *id))
            .collect();
        if out.len() == greedy.unplaced.len() {
            return greedy;
        }
        let Some((board, placed)) = search(before, possible) else {
            return greedy;
        };
        let unplaced = out.into_iter().cloned().collect();
        *self = board;
        Batch { placed, unplaced }
    }

    fn place_each(&mut self, vnodes: &[Vnode]) -> Batch {
        let mut batch = Batch::default();
        let mut standings = Standings::default();
        for vnode in vnodes {
            if let Some(worker) = standings.best(self, vnode) {
                self.put(vnode.id, worker);
                standings.put(self, worker);
                batch.placed.push((vnode.id, worker));
            } else if let Err(obstacles) = self.candidates(vnode) {
                batch.unplaced.push((vnode.id, obstacles));
            }
        }
        batch
    }
}

type Placed = Vec<(VnodeId, WorkerId)>;

/// The hardest first: those that want few of the GPUs, so that whoever takes any gets what is left; who can be on few workers;
/// and then who takes much.
fn search(board: Board, mut vnodes: Vec<&Vnode>) -> Option<(Board, Placed)> {
    vnodes.sort_by_cached_key(|vnode| {
        let fitting: u32 = fitting_gpus(&board, vnode);
        let choices = board.candidates(vnode).map_or(0, |found| found.len());
        let size = vnode.size;
        (
            fitting,
            choices,
            Reverse((size.memory_mib, size.cpu_milli)),
            vnode.id,
        )
    });
    let mut trials = TRIALS_MAX;
    let mut placed = Vec::new();
    let found = descend(&board, &vnodes, &mut placed, &mut trials)?;
    Some((found, placed))
}

/// How many GPUs of the cluster are of the wanted kind: all, for who wants none.
fn fitting_gpus(board: &Board, vnode: &Vnode) -> u32 {
    let state = board.state();
    let wish = &state.wishes_of(vnode.id).gpus;
    if wish.count == 0 {
        return u32::MAX;
    }
    let workers = state.workers.values();
    workers
        .map(|worker| gpus::count(state, worker, wish).0)
        .sum()
}

fn descend(
    board: &Board,
    vnodes: &[&Vnode],
    placed: &mut Placed,
    trials: &mut u32,
) -> Option<Board> {
    let Some((vnode, rest)) = vnodes.split_first() else {
        return Some(board.clone());
    };
    for worker in board.candidates(vnode).ok()? {
        *trials = trials.checked_sub(1)?;
        let mut with = board.clone();
        with.put(vnode.id, worker);
        placed.push((vnode.id, worker));
        if let Some(found) = descend(&with, rest, placed, trials) {
            return Some(found);
        }
        placed.pop();
    }
    None
}
