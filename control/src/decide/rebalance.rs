//! Evening out how workers are loaded. Since version 3.

use super::{Decision, Ground, in_range, moves};
use crate::event::Event;
use crate::id::{VnodeId, WorkerId};
use crate::model::receipt::Subject;
use crate::model::{MoveWhy, RebalancePolicy};
use crate::moves::event::MoveEvent;
use crate::place::rebalance::{Bounds, Plan, plan};
use crate::rebalance::command::{Extent, RebalanceCommand};
use crate::rebalance::due;
use crate::rebalance::event::RebalanceEvent;
use crate::rebalance::refusal::RebalanceRefusal;
use crate::refusal::Refusal;

pub(super) fn decide(ground: Ground<'_>, command: &RebalanceCommand) -> Result<Decision, Refusal> {
    match command {
        RebalanceCommand::SetPolicy { policy } => set_policy(ground, *policy),
        RebalanceCommand::Apply { extent } => apply(ground, extent),
        RebalanceCommand::Note => Ok(note(ground)),
    }
}

fn set_policy(ground: Ground<'_>, policy: RebalancePolicy) -> Result<Decision, Refusal> {
    let threshold = policy.threshold_permille.into();
    let range = RebalancePolicy::THRESHOLD_PERMILLE_RANGE;
    in_range("threshold", threshold, range, "thousandths")?;
    let range = RebalancePolicy::HOLD_MS_RANGE;
    in_range("time for which it must hold", policy.hold_ms, range, "ms")?;
    let (at_once, range) = (policy.at_once.into(), RebalancePolicy::AT_ONCE_RANGE);
    in_range("vnodes on their way at once", at_once, range, "vnodes")?;
    let (moves_max, range) = (policy.moves_max.into(), RebalancePolicy::MOVES_RANGE);
    in_range("budget", moves_max, range, "moves")?;
    let range = RebalancePolicy::WINDOW_MS_RANGE;
    in_range("time of the budget", policy.window_ms, range, "ms")?;
    let news = ground.state.rebalance_policy() != policy;
    let set = news.then_some(Event::Rebalance(RebalanceEvent::PolicySet { policy }));
    Ok(Decision::quiet(set.into_iter().collect()))
}

/// The same function as for who only looks, at the state that this entry finds.
fn apply(ground: Ground<'_>, extent: &Extent) -> Result<Decision, Refusal> {
    let state = ground.state;
    let bounds = Bounds::asked(state, ground.entry.at, extent)?;
    let planned = plan(state, &bounds);
    let wanted: Vec<(VnodeId, WorkerId)> = planned
        .shifts
        .iter()
        .map(|shift| (shift.vnode, shift.to))
        .collect();
    let events = moves::begun(ground, &wanted, MoveWhy::Rebalance);
    let begun = |event: &&Event| matches!(event, Event::Moved(MoveEvent::Begun { .. }));
    let count = events.iter().filter(begun).count();
    if count == 0 {
        return Err(nothing(ground, &bounds, &planned).into());
    }
    Ok(Decision::new(Subject::Moves(number(count)), events))
}

fn nothing(ground: Ground<'_>, bounds: &Bounds, planned: &Plan) -> RebalanceRefusal {
    let (able, all) = (planned.before.len(), ground.state.workers.len());
    let spread = planned.before.spread();
    let permille = |permille: u64| u32::try_from(permille).unwrap_or(u32::MAX);
    if able < 2 {
        return RebalanceRefusal::TooFewWorkers {
            able: number(able),
            all: number(all),
        };
    }
    if spread <= bounds.spread_max {
        return RebalanceRefusal::Even {
            spread_permille: permille(spread),
            threshold_permille: permille(bounds.spread_max),
        };
    }
    RebalanceRefusal::NothingHelps {
        spread_permille: permille(spread),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Looks again: since it was proposed something may have changed.
fn note(ground: Ground<'_>) -> Decision {
    let row = ground.state.rebalance.as_ref();
    let became = row.and_then(|row| due::transition(ground.state, row));
    let event = became.map(|uneven| {
        Event::Rebalance(if uneven {
            RebalanceEvent::BecameUneven
        } else {
            RebalanceEvent::BecameEven
        })
    });
    Decision::quiet(event.into_iter().collect())
}
