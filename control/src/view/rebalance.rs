//! How evenly workers are loaded, what would be moved, and what the leader does by itself, as an admin sees it.

use serde::{Deserialize, Serialize};

use crate::id::UnixMs;
use crate::model::{MoveWhy, RebalancePolicy, User};
use crate::place::rebalance::{self, Balance, Bounds, Plan, Shift};
use crate::rebalance::command::Extent;
use crate::rebalance::percent::percent;
use crate::refusal::Refusal;
use crate::state::State;
use crate::view::explain;
use crate::view::moves::{self, MoveOf};

/// What would be moved now. Shares are in thousandths of what may be promised, by the resource that is short first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlanView {
    /// How far shares may be apart.
    pub threshold_permille: u32,
    /// How far they are, and would be, among the workers that take part.
    pub spread_permille: u64,
    pub spread_after_permille: u64,
    pub workers: Vec<WorkerShare>,
    /// In the order in which they would begin.
    pub moves: Vec<PlannedMove>,
    /// Whether there would be more, were it not for the bound of moves.
    pub cut_off: bool,
    /// Vnodes that were moved for this a short time ago, and are left alone.
    pub resting: u32,
}

/// What one worker has promised, moves under way counted as done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WorkerShare {
    pub worker: String,
    /// None of one that takes no part.
    pub share_permille: Option<u64>,
    pub share_after_permille: Option<u64>,
    /// Why it takes no part.
    pub absence: Option<String>,
}

/// One vnode that would go elsewhere, with the shares of both workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlannedMove {
    /// As who asks calls it.
    pub vnode: String,
    pub from: String,
    pub to: String,
    pub from_before_permille: u64,
    pub from_after_permille: u64,
    pub to_before_permille: u64,
    pub to_after_permille: u64,
}

/// What the leader does by itself, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PolicyView {
    pub policy: RebalancePolicy,
    /// How far shares are apart.
    pub spread_permille: u64,
    /// Since when that is more than the threshold, as the leader noted; none while it is not, or the policy is off.
    pub uneven_since: Option<UnixMs>,
    /// When moves may begin for it; none while nothing is uneven.
    pub moves_from: Option<UnixMs>,
    /// Moves begun within the policy's time.
    pub begun: u32,
    pub under_way: Vec<MoveOf>,
}

impl PlanView {
    /// What would come of it, in a sentence without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let able = self
            .workers
            .iter()
            .filter(|worker| worker.absence.is_none());
        let (apart, allowed) = (
            percent(self.spread_permille),
            percent(self.threshold_permille.into()),
        );
        let moves = self.moves.len();
        let more = if self.cut_off {
            ", and then there is more to move"
        } else {
            ""
        };
        if able.count() < 2 {
            "fewer than two workers take part, so there is nothing to even out".to_owned()
        } else if self.spread_permille <= self.threshold_permille.into() {
            format!("shares are {apart} apart, and {allowed} may be: nothing would move")
        } else if self.moves.is_empty() {
            format!("shares are {apart} apart, and no move would bring them nearer")
        } else {
            let after = percent(self.spread_after_permille);
            let word = if moves == 1 { "move" } else { "moves" };
            format!("shares are {apart} apart; {moves} {word} would make it {after}{more}")
        }
    }
}

impl PolicyView {
    /// What the leader does by itself, in a sentence without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { policy, begun, .. } = self;
        if !policy.enabled {
            return "the leader evens out nothing by itself".to_owned();
        }
        let allowed = percent(policy.threshold_permille.into());
        let now = match self.uneven_since {
            None => "which they are not",
            Some(_) => "which they are",
        };
        format!(
            "the leader moves vnodes once shares have been more than {allowed} apart for {}, {now}: {} at once and {} within {}, of which {begun} have begun",
            span(policy.hold_ms),
            policy.at_once,
            policy.moves_max,
            span(policy.window_ms),
        )
    }
}

/// A span of time as people read it: in the largest unit of which it is a whole number.
#[must_use]
pub fn span(ms: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("d", 24 * 3_600_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1_000),
    ];
    let mut units = UNITS.iter();
    let whole = units.find(|(_, unit)| ms.is_multiple_of(*unit));
    match whole {
        Some((name, unit)) => format!("{} {name}", ms / unit),
        None => format!("{ms} ms"),
    }
}

/// What would be moved at `now`, for an admin. The same function decides what is begun.
///
/// # Errors
/// `OutOfRange`.
pub fn plan(
    state: &State,
    asker: &User,
    now: UnixMs,
    extent: &Extent,
) -> Result<PlanView, Refusal> {
    let bounds = Bounds::asked(state, now, extent)?;
    let planned = rebalance::plan(state, &bounds);
    let resting = rebalance::resting(state, now);
    Ok(PlanView {
        threshold_permille: u32::try_from(bounds.spread_max).unwrap_or(u32::MAX),
        spread_permille: planned.before.spread(),
        spread_after_permille: planned.after.spread(),
        workers: shares(state, &planned),
        moves: planned
            .shifts
            .iter()
            .map(|shift| planned_move(state, asker, shift))
            .collect(),
        cut_off: planned.cut_off,
        resting: u32::try_from(resting).unwrap_or(u32::MAX),
    })
}

fn shares(state: &State, planned: &Plan) -> Vec<WorkerShare> {
    let workers = state.workers.values();
    let shares = workers.map(|worker| WorkerShare {
        worker: worker.name.to_string(),
        share_permille: planned.before.share(worker.id),
        share_after_permille: planned.after.share(worker.id),
        absence: rebalance::absence(state, worker).map(|absence| absence.words().to_owned()),
    });
    shares.collect()
}

fn planned_move(state: &State, asker: &User, shift: &Shift) -> PlannedMove {
    let vnode = state.vnodes.get(&shift.vnode);
    PlannedMove {
        vnode: vnode.map_or_else(String::new, |vnode| explain::called(state, asker, vnode)),
        from: state.worker_called(shift.from),
        to: state.worker_called(shift.to),
        from_before_permille: shift.from_before,
        from_after_permille: shift.from_after,
        to_before_permille: shift.to_before,
        to_after_permille: shift.to_after,
    }
}

/// What the leader does by itself, and how far it is at `now`, for an admin.
#[must_use]
pub fn policy(state: &State, asker: &User, now: UnixMs) -> PolicyView {
    let row = state.rebalance.clone().unwrap_or_default();
    let from = row.uneven_since.map(|at| at.plus_ms(row.policy.hold_ms));
    let open = state.open_moves();
    let open = open.filter(|moving| moving.why == MoveWhy::Rebalance);
    let under_way = open.filter_map(|moving| {
        let vnode = state.vnodes.get(&moving.vnode)?;
        Some(MoveOf {
            vnode: explain::called(state, asker, vnode),
            moving: moves::show(state, moving),
        })
    });
    PolicyView {
        policy: row.policy,
        spread_permille: Balance::of(state).spread(),
        uneven_since: row.uneven_since,
        moves_from: from,
        begun: row.begun_lately(now),
        under_way: under_way.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(spread_permille: u64, moves: usize, cut_off: bool) -> PlanView {
        let one = PlannedMove {
            vnode: "lab/host-0".to_owned(),
            from: "w1".to_owned(),
            to: "w2".to_owned(),
            from_before_permille: spread_permille,
            from_after_permille: 0,
            to_before_permille: 0,
            to_after_permille: 0,
        };
        let able = |name: &str| WorkerShare {
            worker: name.to_owned(),
            share_permille: Some(0),
            share_after_permille: Some(0),
            absence: None,
        };
        PlanView {
            threshold_permille: 200,
            spread_permille,
            spread_after_permille: 125,
            workers: vec![able("w1"), able("w2")],
            moves: vec![one; moves],
            cut_off,
            resting: 0,
        }
    }

    #[test]
    fn a_plan_is_told_in_one_sentence() {
        let mut alone = view(0, 0, false);
        alone.workers.pop();
        for (view, sentence) in [
            (
                alone,
                "fewer than two workers take part, so there is nothing to even out",
            ),
            (
                view(200, 0, false),
                "shares are 20 % apart, and 20 % may be: nothing would move",
            ),
            (
                view(201, 0, false),
                "shares are 20.1 % apart, and no move would bring them nearer",
            ),
            (
                view(500, 1, false),
                "shares are 50 % apart; 1 move would make it 12.5 %",
            ),
            (
                view(500, 3, true),
                "shares are 50 % apart; 3 moves would make it 12.5 %, and then there is more to move",
            ),
        ] {
            assert_eq!(view.sentence(), sentence);
        }
    }

    #[test]
    fn a_policy_is_told_in_one_sentence() {
        let mut view = PolicyView {
            policy: RebalancePolicy::default(),
            spread_permille: 0,
            uneven_since: None,
            moves_from: None,
            begun: 3,
            under_way: Vec::new(),
        };
        assert_eq!(view.sentence(), "the leader evens out nothing by itself");
        view.policy.enabled = true;
        assert_eq!(
            view.sentence(),
            "the leader moves vnodes once shares have been more than 20 % apart for 10 min, which they are not: 2 at once and 10 within 1 h, of which 3 have begun"
        );
    }
}
