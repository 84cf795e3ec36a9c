//! Which vnodes would have to go where so that workers are loaded more evenly: a pure function of a frozen state. It
//! takes one step after the other, each the one that brings the most loaded worker nearest to the others.
//!
//! No step leaves a vnode among its siblings worse than it lies now, or moves it to where the scheduler would not let it
//! be. The higher of the two shares of each step falls, so that there is an end and nothing goes back and forth.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use crate::decide::in_range;
use crate::id::{UnixMs, VclusterId, VnodeId, WorkerId};
use crate::model::{
    DrainStage, MoveWhy, Rebalance, RebalancePolicy, Vnode, VnodeSeen, VnodeWanted, Worker,
    WorkerStatus,
};
use crate::moves::occupation::occupation;
use crate::rebalance::command::Extent;
use crate::refusal::Refusal;
use crate::state::State;

/// What the higher of the two shares must lose by a step, in thousandths: less is not worth a move.
const GAIN_MIN: u64 = 2;
/// Workers that could take a vnode and are looked at, the least loaded first.
const FITTING_MAX: usize = 4;
/// Pairs of a vnode and a worker that are looked at for one plan. More costs the leader its time, and nothing is lost: what
/// is left is found when it looks again.
const TRIALS_MAX: u32 = 50_000;

/// What a plan is to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How far shares may be apart in the end, in thousandths.
    pub spread_max: u64,
    pub moves_max: usize,
    /// Who was moved shortly before that rests.
    pub now: UnixMs,
}

impl Bounds {
    /// What somebody asks for; the policy's numbers where they say nothing.
    ///
    /// # Errors
    /// `OutOfRange`.
    pub fn asked(state: &State, now: UnixMs, extent: &Extent) -> Result<Self, Refusal> {
        let policy = state.rebalance_policy();
        let threshold = extent.threshold_permille;
        let threshold = threshold.unwrap_or(policy.threshold_permille).into();
        // Nothing apart is what nobody reaches; who asks once may ask for more than the policy may.
        let range = 1..=*RebalancePolicy::THRESHOLD_PERMILLE_RANGE.end();
        in_range("threshold", threshold, range, "thousandths")?;
        let moves_max = extent.moves_max.unwrap_or(policy.moves_max);
        let range = RebalancePolicy::MOVES_RANGE;
        in_range("budget", moves_max.into(), range, "moves")?;
        Ok(Self {
            spread_max: threshold,
            moves_max: moves_max as usize,
            now,
        })
    }
}

/// One vnode that is to go elsewhere, with the shares of both workers before and after, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    pub vnode: VnodeId,
    pub from: WorkerId,
    pub to: WorkerId,
    pub from_before: u64,
    pub from_after: u64,
    pub to_before: u64,
    pub to_after: u64,
}

/// What is to be moved, and what comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they were found: any first part of it makes it more even already.
    pub shifts: Vec<Shift>,
    pub before: Balance,
    pub after: Balance,
    /// Whether there would be more, were it not for a bound.
    pub cut_off: bool,
}

/// How much is promised on each worker that takes part, in thousandths of what may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    shares: BTreeMap<WorkerId, u64>,
    /// The same, the least loaded first.
    order: BTreeSet<(u64, WorkerId)>,
}

/// Why a worker takes no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Its agent is not in touch.
    OutOfTouch,
    /// Nothing new comes to it.
    Cordoned,
    /// It is being emptied.
    Draining,
    /// It is being filled again.
    Restoring,
}

impl Absence {
    /// The words by which people know it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::OutOfTouch => "is out of touch",
            Self::Cordoned => "takes nothing new",
            Self::Draining => "is being drained",
            Self::Restoring => "is being filled again",
        }
    }
}

/// Why a worker takes no part; nothing if it does.
#[must_use]
pub fn absence(state: &State, worker: &Worker) -> Option<Absence> {
    let stage = state.drains.get(&worker.id).map(|drain| drain.stage);
    let traits = state.worker_traits.get(&worker.id);
    if worker.status != WorkerStatus::Up {
        Some(Absence::OutOfTouch)
    } else if stage == Some(DrainStage::Draining) {
        Some(Absence::Draining)
    } else if stage == Some(DrainStage::Restoring) {
        Some(Absence::Restoring)
    } else if traits.is_some_and(|traits| traits.cordon.is_some()) {
        Some(Absence::Cordoned)
    } else {
        None
    }
}

impl Balance {
    /// As it is when everything that is on its way has come to where it goes.
    #[must_use]
    pub fn of(state: &State) -> Self {
        Self::on(&Board::settled(state))
    }

    fn on(board: &Board) -> Self {
        let workers = board.state().workers.values();
        let able = workers.filter(|worker| absence(board.state(), worker).is_none());
        let mut balance = Self::default();
        for worker in able {
            balance.set(worker.id, board.load(worker.id).share());
        }
        balance
    }

    fn set(&mut self, worker: WorkerId, share: u64) {
        if let Some(before) = self.shares.insert(worker, share) {
            self.order.remove(&(before, worker));
        }
        self.order.insert((share, worker));
    }

    /// Workers that take part.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shares.len()
    }

    /// Whether nobody takes part.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// The share of a worker; none if it takes no part.
    #[must_use]
    pub fn share(&self, worker: WorkerId) -> Option<u64> {
        self.shares.get(&worker).copied()
    }

    /// The least and the largest share.
    #[must_use]
    pub fn ends(&self) -> (u64, u64) {
        let share = |end: Option<&(u64, WorkerId)>| end.map_or(0, |(share, _)| *share);
        (share(self.order.first()), share(self.order.last()))
    }

    /// How far they are apart.
    #[must_use]
    pub fn spread(&self) -> u64 {
        let (least, largest) = self.ends();
        largest - least
    }

    /// The same if two workers had other shares.
    fn spread_with(&self, one: (WorkerId, u64), other: (WorkerId, u64)) -> u64 {
        let rest = |found: &&(u64, WorkerId)| found.1 != one.0 && found.1 != other.0;
        let (low, high) = (one.1.min(other.1), one.1.max(other.1));
        let least = self.order.iter().find(rest);
        let largest = self.order.iter().rev().find(rest);
        let least = least.map_or(low, |(share, _)| low.min(*share));
        let largest = largest.map_or(high, |(share, _)| high.max(*share));
        largest - least
    }
}

/// What would be moved.
#[must_use]
pub fn plan(state: &State, bounds: &Bounds) -> Plan {
    let mut evening = Evening::of(state, bounds);
    let before = evening.balance.clone();
    let mut shifts = Vec::new();
    let cut_off = loop {
        if evening.balance.spread() <= bounds.spread_max {
            break false;
        }
        let Some(shift) = evening.best() else {
            break evening.trials == 0;
        };
        if shifts.len() == bounds.moves_max {
            break true;
        }
        evening.take(&shift);
        shifts.push(shift);
    };
    Plan {
        shifts,
        before,
        after: evening.balance,
        cut_off,
    }
}

/// Vnodes that could go if they had not been moved shortly before.
#[must_use]
pub fn resting(state: &State, now: UnixMs) -> usize {
    let vnodes = state.vnodes.values();
    vnodes.filter(|vnode| rests(state, vnode, now)).count()
}

fn rests(state: &State, vnode: &Vnode, now: UnixMs) -> bool {
    let last = state.moves.get(&vnode.id);
    let last = last.filter(|moving| moving.why == MoveWhy::Rebalance);
    let ended = last.and_then(|moving| moving.times.ended_at);
    ended.is_some_and(|at| now.since_ms(at) < Rebalance::REST_MS)
}

/// Only what is as it is wanted, and neither busy nor interrupted shortly before. What a GPU holds cannot be taken along,
/// and no share counts GPUs: whoever has one stays. What stands still goes too: nobody notices.
fn may_go(state: &State, vnode: &Vnode, now: UnixMs) -> bool {
    let settled = match vnode.wanted {
        VnodeWanted::Running => vnode.seen == VnodeSeen::Running,
        VnodeWanted::Stopped => vnode.seen == VnodeSeen::Stopped,
        VnodeWanted::Removed => false,
    };
    settled
        && state.open_move(vnode.id).is_none()
        && state.wishes_of(vnode.id).gpus.count == 0
        && state.gpus_of(vnode.id).is_empty()
        && !rests(state, vnode, now)
        && occupation(state, vnode).is_none()
}

/// All that tells two vnodes of one worker apart when they are looked at.
type Kind = (VclusterId, u32, u32, u64, bool);

/// Smaller is better: the spread afterwards, the higher of the two shares, whether somebody works in it, and then ids.
type Merit = (u64, u64, bool, VnodeId, WorkerId);

/// A plan in the making.
struct Evening {
    bounds: Bounds,
    /// With room for each vnode at both workers, as it is while they move.
    held: Board,
    /// As it is when all have arrived. Who was put on it has not been seen to run there, and so goes no further.
    even: Board,
    balance: Balance,
    trials: u32,
}

impl Evening {
    fn of(state: &State, bounds: &Bounds) -> Self {
        let even = Board::settled(state);
        Self {
            bounds: *bounds,
            held: Board::of(state),
            balance: Balance::on(&even),
            even,
            trials: TRIALS_MAX,
        }
    }

    /// The best step from the most loaded worker from which there is one: where that has nothing that could go, the least
    /// loaded still can have more.
    fn best(&mut self) -> Option<Shift> {
        let (least, _) = self.balance.ends();
        let sources = self.balance.order.iter().rev();
        let sources = sources.take_while(|(share, _)| *share >= least + GAIN_MIN);
        let sources: Vec<WorkerId> = sources.map(|(_, worker)| *worker).collect();
        sources.into_iter().find_map(|from| self.best_from(from))
    }

    fn best_from(&mut self, from: WorkerId) -> Option<Shift> {
        let state = self.even.state().clone();
        let mut kinds = BTreeSet::new();
        let mut best: Option<(Merit, Shift)> = None;
        for vnode in state.vnodes_on(from) {
            if !may_go(&state, vnode, self.bounds.now) || !kinds.insert(kind(&state, vnode)) {
                continue;
            }
            let found = self.best_of(from, vnode);
            let better = found.filter(|(merit, _)| best.is_none_or(|(known, _)| *merit < known));
            best = better.or(best);
        }
        best.map(|(_, shift)| shift)
    }

    /// The best worker for one vnode, among the least loaded that can take it.
    fn best_of(&mut self, from: WorkerId, vnode: &Vnode) -> Option<(Merit, Shift)> {
        let here = self.even.state().workers.get(&from)?;
        let stands = self.even.standing(here, vnode);
        let from_before = self.balance.share(from)?;
        let from_after = self.even.load_without(from, vnode).share();
        let mut best: Option<(Merit, Shift)> = None;
        let mut fitting = 0;
        for (to_before, to) in &self.balance.order {
            if fitting == FITTING_MAX || to_before + GAIN_MIN > from_before || self.trials == 0 {
                break;
            }
            self.trials -= 1;
            let shift = Shift {
                vnode: vnode.id,
                from,
                to: *to,
                from_before,
                from_after,
                to_before: *to_before,
                to_after: self.even.load_with(*to, vnode).share(),
            };
            let Some(merit) = self.merit(&shift, vnode) else {
                continue;
            };
            let Some(worker) = self.even.state().workers.get(to) else {
                continue;
            };
            let worse = self.even.standing(worker, vnode) > stands;
            if worse || !self.held.lacks(worker, vnode).is_empty() {
                continue;
            }
            fitting += 1;
            if best.is_none_or(|(known, _)| merit < known) {
                best = Some((merit, shift));
            }
        }
        best
    }

    /// None if it would be no gain. Where the spread stays what it is, another pair of workers is at its ends: then there
    /// must be one worker less of those.
    fn merit(&self, shift: &Shift, vnode: &Vnode) -> Option<Merit> {
        let higher = shift.from_after.max(shift.to_after);
        let (least, largest) = self.balance.ends();
        let spread = self
            .balance
            .spread_with((shift.from, shift.from_after), (shift.to, shift.to_after));
        let at_an_end = shift.from_before == largest || shift.to_before == least;
        let narrower = spread < largest - least || (spread == largest - least && at_an_end);
        let gains = shift.from != shift.to && higher + GAIN_MIN <= shift.from_before && narrower;
        let runs = vnode.wanted == VnodeWanted::Running;
        gains.then_some((spread, higher, runs, shift.vnode, shift.to))
    }

    fn take(&mut self, shift: &Shift) {
        self.held.reserve(shift.vnode, shift.to);
        self.even.take_off(shift.vnode);
        self.even.put(shift.vnode, shift.to);
        self.balance.set(shift.from, shift.from_after);
        self.balance.set(shift.to, shift.to_after);
    }
}

fn kind(state: &State, vnode: &Vnode) -> Kind {
    let (size, wishes) = (state.promised_to(vnode), state.wishes_of(vnode.id));
    (
        vnode.vcluster,
        size.cpu_milli.0,
        size.memory_mib.0,
        wishes.disk_mib.0,
        vnode.wanted == VnodeWanted::Running,
    )
}
