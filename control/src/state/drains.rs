//! Workers that are emptied.

use crate::id::{UnixMs, VnodeId, WorkerId};
use crate::model::{Drain, DrainFailure, Move, MoveEnd, MoveWhy};
use crate::state::State;

impl State {
    pub(crate) fn put_drain(&mut self, drain: Drain) {
        self.drains.insert(drain.worker, drain);
    }

    pub(crate) fn remove_drain(&mut self, worker: &WorkerId) {
        self.drains.remove(worker);
    }

    /// Takes in what came of a move by which a worker was to be emptied or filled again.
    pub(crate) fn drained_by(&mut self, at: UnixMs, moving: &Move, end: &MoveEnd) {
        let (worker, away) = match moving.why {
            MoveWhy::Drain => (moving.from, true),
            MoveWhy::Restore => (moving.to, false),
            MoveWhy::Asked(_) | MoveWhy::Rebalance => return,
        };
        let Some(mut drain) = self.drains.get(&worker).cloned() else {
            return;
        };
        match end {
            MoveEnd::Moved => {
                drain.failed.remove(&moving.vnode);
                if away {
                    drain.moved.insert(moving.vnode);
                } else {
                    drain.moved.remove(&moving.vnode);
                }
            }
            MoveEnd::Failed { cause } => {
                let before = drain.failed.get(&moving.vnode);
                let attempts = before.map_or(0, |failed| failed.attempts);
                let failed = DrainFailure {
                    attempts: attempts + 1,
                    cause: cause.clone(),
                    at,
                };
                drain.failed.insert(moving.vnode, failed);
            }
            MoveEnd::Cancelled => {
                // Whoever cancelled it wants it to stay.
                let failed = DrainFailure {
                    attempts: Drain::ATTEMPTS_MAX,
                    cause: "the move was cancelled".to_owned(),
                    at,
                };
                drain.failed.insert(moving.vnode, failed);
            }
        }
        self.put_drain(drain);
    }

    /// A vnode that is gone is in no list.
    pub(crate) fn undrain(&mut self, vnode: VnodeId) {
        let named =
            |drain: &&Drain| drain.moved.contains(&vnode) || drain.failed.contains_key(&vnode);
        let named: Vec<Drain> = self.drains.values().filter(named).cloned().collect();
        for mut drain in named {
            drain.moved.remove(&vnode);
            drain.failed.remove(&vnode);
            self.put_drain(drain);
        }
    }
}
