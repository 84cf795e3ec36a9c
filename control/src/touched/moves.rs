//! Whom moves and drills concern.

use super::{Tracing, both, differing, differs};
use crate::model::Move;

impl Tracing<'_> {
    /// The worker that is to look lost, or is not any more.
    pub(super) fn losses(&mut self) {
        for pair in differing(&self.before.losses, &self.after.losses) {
            let workers = both(pair).map(|loss| loss.worker);
            self.touched.workers.extend(workers);
        }
        for pair in differing(&self.before.drills, &self.after.drills) {
            for drill in both(pair).filter(|_| differs(pair, |drill| drill.stage)) {
                let states = [self.before, self.after];
                let loss = states.iter().find_map(|state| state.losses.get(&drill.id));
                self.touched.workers.extend(loss.map(|loss| loss.worker));
            }
        }
    }

    /// Both workers of a move, and everybody in the vnode's segment: whoever expects it is in it too.
    pub(super) fn moves(&mut self) {
        for pair in differing(&self.before.moves, &self.after.moves) {
            self.touched
                .owners
                .extend(both(pair).map(|moving| moving.owner));
            if !differs(pair, assigned) {
                continue;
            }
            for moving in both(pair) {
                self.touched.workers.extend([moving.from, moving.to]);
                for state in self.states() {
                    let network = state.network_of(moving.owner);
                    self.networks.extend(network.map(|network| network.id));
                }
            }
        }
    }
}

/// All of a move that assignments say.
fn assigned(moving: &Move) -> impl PartialEq {
    (
        moving.number,
        moving.from,
        moving.to,
        moving.way,
        moving.stage.clone(),
    )
}
