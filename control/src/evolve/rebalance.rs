//! The evening out of workers.

use crate::id::UnixMs;
use crate::model::{Move, MoveWhy, Rebalance};
use crate::rebalance::event::RebalanceEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, at: UnixMs, event: &RebalanceEvent) {
    let mut row = state.rebalance.clone().unwrap_or_default();
    match event {
        RebalanceEvent::PolicySet { policy } => {
            // How long it has lasted counts by what is wanted now.
            row.uneven_since = None;
            row.policy = *policy;
        }
        RebalanceEvent::BecameUneven => row.uneven_since = Some(at),
        RebalanceEvent::BecameEven => row.uneven_since = None,
    }
    state.rebalance = Some(row);
}

/// Counts against what the policy allows, whoever wanted it.
pub(super) fn move_begun(state: &mut State, at: UnixMs, moving: &Move) {
    if moving.why != MoveWhy::Rebalance {
        return;
    }
    let mut row = state.rebalance.clone().unwrap_or_default();
    row.begun.push_back(at);
    while row.begun.len() > Rebalance::BEGUN_MAX {
        row.begun.pop_front();
    }
    state.rebalance = Some(row);
}
