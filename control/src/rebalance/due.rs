//! What the leader must do about workers that are loaded unevenly, if a policy says so: it notes when that begins and
//! ends, and once it has lasted long enough it moves so many vnodes as the policy allows.

use crate::command::Command;
use crate::id::{UnixMs, VnodeId, WorkerId};
use crate::model::{MoveWhy, Rebalance};
use crate::moves::command::MoveCommand;
use crate::place::rebalance::{Balance, Bounds, plan};
use crate::rebalance::command::RebalanceCommand;
use crate::state::State;

/// How often the leader looks: all promises of the cluster are counted for it, and nothing of this is urgent.
pub const LOOK_EVERY_MS: u64 = 5_000;

/// What is due at `now`. While the policy is off nothing is counted.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Option<Command> {
    let row = state.rebalance.as_ref().filter(|row| row.policy.enabled)?;
    if transition(state, row).is_some() {
        return Some(Command::Rebalance(RebalanceCommand::Note));
    }
    let held_ms = now.since_ms(row.uneven_since?);
    let moves = if held_ms < row.policy.hold_ms {
        Vec::new()
    } else {
        wanted_moves(state, row, now)
    };
    let why = MoveWhy::Rebalance;
    (!moves.is_empty()).then_some(Command::Move(MoveCommand::BeginAll { moves, why }))
}

/// Whether workers are unevenly loaded now, if that was different before.
pub(crate) fn transition(state: &State, row: &Rebalance) -> Option<bool> {
    if !row.policy.enabled {
        return None;
    }
    let spread = Balance::of(state).spread();
    let uneven = spread > u64::from(row.policy.threshold_permille);
    (uneven != row.uneven_since.is_some()).then_some(uneven)
}

fn wanted_moves(state: &State, row: &Rebalance, now: UnixMs) -> Vec<(VnodeId, WorkerId)> {
    let policy = &row.policy;
    let under_way = state.open_moves();
    let under_way = under_way.filter(|moving| moving.why == MoveWhy::Rebalance);
    let room = (policy.at_once as usize).saturating_sub(under_way.count());
    let moves_max = room.min(row.moves_left(now) as usize);
    if moves_max == 0 {
        return Vec::new();
    }
    let bounds = Bounds {
        spread_max: policy.threshold_permille.into(),
        moves_max,
        now,
    };
    let shifts = plan(state, &bounds).shifts.into_iter();
    shifts.map(|shift| (shift.vnode, shift.to)).collect()
}
