//! Evening out random clusters, beside counts and rules of its own.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Cluster, Has, Used, Wants, at, has, name, one, roomy, rules, wants};
use crate::command::{Actor, Command, Entry};
use crate::decide::decide;
use crate::event::Event;
use crate::id::{LogIndex, RequestId, UnixMs, UserId, VnodeId, WorkerId};
use crate::model::{
    Copied, Drain, DrainStage, Move, MoveEnd, MoveStage, MoveTimes, MoveWay, MoveWhy, Placement,
    Rebalance, Role, Rules, Spread, User, Vnode, VnodeSeen, VnodeWanted, WorkerStatus,
};
use crate::moves::event::MoveEvent;
use crate::place::Board;
use crate::place::rebalance::{Balance, Bounds, Plan, Shift, plan};
use crate::rebalance::command::{Extent, RebalanceCommand};
use crate::state::State;

const NOW: UnixMs = UnixMs(100_000_000);

/// How a vnode is when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Runs,
    Stopped,
    Starts,
    /// Its last move was this long ago.
    Moved(u64),
    Goes,
    /// On its way to another worker, if that can take it.
    OnItsWay(u64),
}

/// A cluster with more workers and vnodes than can be tried in every way.
fn crowd() -> impl Strategy<Value = (Cluster, Vec<How>)> {
    let how = select(vec![
        How::Runs,
        How::Runs,
        How::Runs,
        How::Stopped,
        How::Starts,
        How::Moved(1_000),
        How::Moved(Rebalance::REST_MS),
        How::Goes,
        How::OnItsWay(1),
        How::OnItsWay(2),
    ]);
    let on = select(vec![1, 1, 1, 2, 3, 4, 5]);
    let vnode = (wants(), on, how).prop_map(|(wants, on, how)| {
        let on = Some(on);
        (Wants { on, ..wants }, how)
    });
    let large = has().prop_map(|has| Has {
        units: has.units.map(|units| units * 3),
        ..has
    });
    (vec(large, 2..6), vec(rules(), 3), vec(vnode, 1..24)).prop_map(|(workers, rules, vnodes)| {
        let (vnodes, how) = vnodes.into_iter().unzip();
        let cluster = Cluster {
            workers,
            rules,
            vnodes,
            percents: [100; 3],
        };
        (cluster, how)
    })
}

fn moving(vnode: &Vnode, from: Placement, to: u64, why: MoveWhy) -> Move {
    Move {
        vnode: vnode.id,
        number: LogIndex(1),
        owner: vnode.owner,
        why,
        way: MoveWay::Refresh,
        falls_back: false,
        not_live: None,
        from: from.worker,
        epoch: from.epoch,
        to: WorkerId(to),
        stage: MoveStage::Copying,
        copied: Copied::default(),
        heard_at: NOW,
        times: MoveTimes::default(),
        ran: false,
        gpus: Vec::new(),
    }
}

/// The state, and what each worker has promised: with those that move counted twice, and where they will be.
fn prepared(cluster: &Cluster, how: &[How]) -> (State, Vec<Used>, Vec<Used>) {
    let mut state = cluster.state();
    let rows: Vec<Vnode> = state.vnodes.values().cloned().collect();
    let held = vec![Used::default(); cluster.workers.len()];
    let (mut held, mut even) = (held.clone(), held);
    for row in &rows {
        if let Some(on) = row.placement {
            let on = at(on.worker.0);
            held[on].add(&cluster.vnodes[at(row.id.0)], &cluster.workers[on]);
        }
    }
    for (mut row, how) in rows.into_iter().zip(how) {
        let Some(on) = row.placement else { continue };
        let wants = &cluster.vnodes[at(row.id.0)];
        let mut ends_on = on.worker;
        (row.wanted, row.seen) = match how {
            How::Stopped => (VnodeWanted::Stopped, VnodeSeen::Stopped),
            How::Starts => (VnodeWanted::Running, VnodeSeen::Pending),
            How::Goes => (VnodeWanted::Removed, VnodeSeen::Running),
            How::Runs | How::Moved(_) | How::OnItsWay(_) => {
                (VnodeWanted::Running, VnodeSeen::Running)
            }
        };
        match how {
            How::Moved(ms_ago) => {
                let ended_at = Some(UnixMs(NOW.0 - ms_ago));
                state.put_move(Move {
                    stage: MoveStage::Ended(MoveEnd::Moved),
                    times: MoveTimes {
                        ended_at,
                        ..MoveTimes::default()
                    },
                    ..moving(&row, on, on.worker.0, MoveWhy::Rebalance)
                });
            }
            How::OnItsWay(to) if wants.gpus == 0 && *to != on.worker.0 => {
                let target = at(*to);
                if target < held.len() && cluster.fits(&held[target], target, wants) {
                    held[target].add(wants, &cluster.workers[target]);
                    ends_on = WorkerId(*to);
                    state.put_move(moving(&row, on, *to, MoveWhy::Drain));
                }
            }
            How::Runs | How::Stopped | How::Starts | How::Goes | How::OnItsWay(_) => {}
        }
        if row.wanted == VnodeWanted::Removed {
            take(&mut held[at(on.worker.0)], wants);
        } else {
            let on = at(ends_on.0);
            even[on].add(wants, &cluster.workers[on]);
        }
        state.put_vnode(row);
    }
    (state, held, even)
}

fn take(used: &mut Used, wants: &Wants) {
    for (used, less) in used.units.iter_mut().zip(wants.units) {
        *used -= less;
    }
    // GPUs are free only when nothing of it is left.
    used.of[at(wants.vcluster)] -= 1;
}

fn share(has: &Has, used: &Used) -> u64 {
    let units = used.units.iter().zip(has.units);
    let shares = units.map(|(used, has)| u64::from(*used) * 1_000 / u64::from(has));
    shares.max().unwrap_or_default()
}

fn able(has: &Has) -> bool {
    has.status == WorkerStatus::Up && !has.cordoned
}

fn spread(cluster: &Cluster, used: &[Used]) -> u64 {
    let workers = cluster.workers.iter().zip(used);
    let able = workers.filter(|(has, _)| able(has));
    let shares: Vec<u64> = able.map(|(has, used)| share(has, used)).collect();
    let (least, largest) = (shares.iter().min(), shares.iter().max());
    largest.copied().unwrap_or_default() - least.copied().unwrap_or_default()
}

/// How a vnode lies to its siblings on a worker: smaller is better.
fn lies(
    cluster: &Cluster,
    used: &[Used],
    wants: &Wants,
    from: usize,
    on: usize,
) -> (bool, i64, i64, bool) {
    let of = |worker: usize| {
        let own = i64::from(worker == from);
        i64::from(used[worker].of[at(wants.vcluster)]) - own
    };
    let zone = cluster.workers[on].zone;
    let in_zone = match zone {
        None => of(on),
        Some(_) => (0..used.len())
            .filter(|other| cluster.workers[*other].zone == zone)
            .map(of)
            .sum(),
    };
    let in_the_way = wants.gpus == 0 && cluster.workers[on].gpus != [0; 2];
    let rules = &cluster.rules[at(wants.vcluster)];
    let preferred = rules.prefers.get(&name("zone")).map(String::as_str);
    let unlike = preferred.is_some() && preferred != zone;
    let (first, second) = match rules.spread {
        Spread::Workers => (of(on), in_zone),
        Spread::Zones => (in_zone, of(on)),
        Spread::Together => (-of(on), 0),
    };
    (unlike, first, second, in_the_way)
}

fn movable(cluster: &Cluster, state: &State, how: How, id: VnodeId) -> bool {
    let at_rest = matches!(
        how,
        How::Runs | How::Stopped | How::Moved(Rebalance::REST_MS)
    ) || matches!(how, How::OnItsWay(_));
    at_rest && state.open_move(id).is_none() && cluster.vnodes[at(id.0)].gpus == 0
}

/// Whether a step keeps to every rule, worked out without the scheduler.
fn is_allowed(
    cluster: &Cluster,
    (held, even): (&[Used], &[Used]),
    (vnode, from, to): (VnodeId, usize, usize),
) -> bool {
    let wants = &cluster.vnodes[at(vnode.0)];
    let here = lies(cluster, even, wants, from, from);
    let there = lies(cluster, even, wants, from, to);
    let workers = able(&cluster.workers[from]) && able(&cluster.workers[to]);
    from != to && workers && there <= here && cluster.fits(&held[to], to, wants)
}

/// Whoever has a GPU is not moved.
fn moved(even: &mut [Used], wants: &Wants, from: usize, to: usize) {
    take(&mut even[from], wants);
    even[to].take(wants, [0; 2]);
}

/// Follows a plan step by step; answers what it comes to.
fn followed(
    cluster: &Cluster,
    (state, how): (&State, &[How]),
    (mut held, mut even): (Vec<Used>, Vec<Used>),
    planned: &Plan,
) -> Result<Vec<Used>, TestCaseError> {
    let mut before = spread(cluster, &even);
    prop_assert_eq!(planned.before.spread(), before);
    for shift in &planned.shifts {
        let Shift {
            vnode, from, to, ..
        } = *shift;
        let wants = &cluster.vnodes[at(vnode.0)];
        let row = state.vnodes.get(&vnode).expect("it is there");
        let (out, into) = (at(from.0), at(to.0));
        prop_assert!(row.is_on(from), "{shift:?}");
        prop_assert!(
            movable(cluster, state, how[at(vnode.0)], vnode),
            "{shift:?}"
        );
        let step = (vnode, out, into);
        prop_assert!(is_allowed(cluster, (&held, &even), step), "{shift:?}");
        let shares = |even: &[Used]| {
            [out, into].map(|worker| share(&cluster.workers[worker], &even[worker]))
        };
        prop_assert_eq!([shift.from_before, shift.to_before], shares(&even));
        let higher = shift.from_before;
        held[into].take(wants, [0; 2]);
        moved(&mut even, wants, out, into);
        prop_assert_eq!([shift.from_after, shift.to_after], shares(&even));
        prop_assert!(shift.from_after.max(shift.to_after) < higher);
        let after = spread(cluster, &even);
        prop_assert!(after <= before, "{before} and then {after}");
        before = after;
    }
    prop_assert_eq!(planned.after.spread(), before);
    let mut vnodes: Vec<VnodeId> = planned.shifts.iter().map(|shift| shift.vnode).collect();
    vnodes.sort_unstable();
    vnodes.dedup();
    prop_assert_eq!(vnodes.len(), planned.shifts.len(), "one moves twice");
    Ok(even)
}

/// What begins when an admin asks for it.
fn begun(state: &mut State, bounds: &Bounds) -> Vec<(u64, u64)> {
    state.put_user(User {
        id: UserId(1),
        name: name("admin"),
        role: Role::Admin,
        password_hash: String::new(),
        created_at: NOW,
    });
    let extent = Extent {
        threshold_permille: u32::try_from(bounds.spread_max).ok(),
        moves_max: u32::try_from(bounds.moves_max).ok(),
    };
    let entry = Entry {
        version: state.version().0,
        request: RequestId(1),
        at: bounds.now,
        actor: Actor::User(UserId(1)),
        command: Command::Rebalance(RebalanceCommand::Apply { extent }),
    };
    let decided = decide(state, LogIndex(1_000), &entry);
    let events = decided.map(|decision| decision.events).unwrap_or_default();
    let begun = events.into_iter().filter_map(|event| {
        let Event::Moved(MoveEvent::Begun { began, .. }) = event else {
            return None;
        };
        Some((began.vnode.0, began.to.0))
    });
    begun.collect()
}

/// The state when all of a plan have arrived.
fn arrived(state: &State, planned: &Plan) -> State {
    let mut state = state.clone();
    for shift in &planned.shifts {
        let mut row = state.vnodes.get(&shift.vnode).cloned().expect("there");
        let epoch = row.placement.expect("placed").epoch;
        let worker = shift.to;
        row.placement = Some(Placement { worker, epoch });
        state.put_vnode(row);
    }
    state
}

/// Whether one step would still make it more even: every one is tried.
fn anything_helps(
    cluster: &Cluster,
    (state, how): (&State, &[How]),
    (held, even): (&[Used], &[Used]),
) -> bool {
    let before = spread(cluster, even);
    let steps = state.vnodes.values().flat_map(|vnode| {
        let from = vnode.placement.map(|placed| at(placed.worker.0));
        let workers = 0..cluster.workers.len();
        workers.filter_map(move |to| Some((vnode.id, from?, to)))
    });
    let mut helpful = steps.filter(|step| {
        let (vnode, from, to) = *step;
        let mut after = even.to_vec();
        if !movable(cluster, state, how[at(vnode.0)], vnode)
            || !is_allowed(cluster, (held, even), *step)
        {
            return false;
        }
        let higher = share(&cluster.workers[from], &even[from]);
        moved(&mut after, &cluster.vnodes[at(vnode.0)], from, to);
        let pair = [from, to].map(|worker| share(&cluster.workers[worker], &after[worker]));
        let falls = pair.iter().all(|share| share + 2 <= higher);
        falls && spread(cluster, &after) < before
    });
    helpful.next().is_some()
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1_000)
    })]

    #[test]
    fn a_plan_keeps_to_every_rule_and_leaves_nothing_that_helps(
        (cluster, how) in crowd(),
        spread_max in select(vec![1, 50, 200, 500]),
        moves_max in select(vec![1, 2, 100]),
    ) {
        let (mut state, held, even) = prepared(&cluster, &how);
        let bounds = Bounds { spread_max, moves_max, now: NOW };
        let planned = plan(&state, &bounds);
        prop_assert!(planned.shifts.len() <= moves_max);
        prop_assert_eq!(begun(&mut state, &bounds), goes(&state, &bounds));
        let even = followed(&cluster, (&state, &how), (held.clone(), even), &planned)?;
        if planned.shifts.is_empty() && planned.before.spread() > spread_max {
            let used = (&held[..], &even[..]);
            prop_assert!(!anything_helps(&cluster, (&state, &how), used));
        }
        // Again and again, it ends.
        let mut rounds = 0;
        let mut last = planned;
        while !last.shifts.is_empty() {
            rounds += 1;
            prop_assert!(rounds < 200, "it goes on and on");
            state = arrived(&state, &last);
            prop_assert_eq!(Balance::of(&state), last.after.clone());
            let next = plan(&state, &bounds);
            prop_assert!(next.after.spread() <= last.after.spread());
            if last.after.spread() <= spread_max {
                prop_assert_eq!(&next.shifts, &[]);
            }
            last = next;
        }
    }
}

fn state_of(workers: Vec<Has>, vnodes: Vec<Wants>) -> State {
    let cluster = Cluster {
        workers,
        rules: vec![Rules::default(); 3],
        vnodes,
        percents: [100; 3],
    };
    let how = vec![How::Runs; cluster.vnodes.len()];
    prepared(&cluster, &how).0
}

fn on(worker: u64) -> Wants {
    Wants {
        on: Some(worker),
        ..one()
    }
}

fn goes(state: &State, bounds: &Bounds) -> Vec<(u64, u64)> {
    let shifts = plan(state, bounds).shifts.into_iter();
    shifts.map(|shift| (shift.vnode.0, shift.to.0)).collect()
}

const WIDE: Bounds = Bounds {
    spread_max: 200,
    moves_max: 100,
    now: NOW,
};

#[test]
fn several_workers_that_are_full_are_emptied_one_after_the_other() {
    let workers = vec![roomy(None), roomy(None), roomy(None), roomy(None)];
    let full = |worker| (0..8).map(move |_| on(worker));
    let state = state_of(workers, full(1).chain(full(2)).collect());
    let planned = plan(&state, &WIDE);
    assert_eq!(planned.before.ends(), (0, 1_000));
    assert_eq!(planned.after.ends(), (500, 500));
    assert_eq!(planned.shifts.len(), 8);
    assert!(!planned.cut_off);
    let few = Bounds {
        moves_max: 2,
        ..WIDE
    };
    let part = plan(&state, &few);
    assert!(part.cut_off);
    assert_eq!(part.shifts, planned.shifts[..2]);
}

#[test]
fn what_stands_still_goes_before_what_runs() {
    let mut state = state_of(
        vec![roomy(None), roomy(None)],
        vec![on(1), on(1), on(1), on(1)],
    );
    let mut row = state.vnodes.get(&VnodeId(3)).cloned().expect("there");
    (row.wanted, row.seen) = (VnodeWanted::Stopped, VnodeSeen::Stopped);
    state.put_vnode(row);
    assert_eq!(goes(&state, &WIDE), [(3, 2), (1, 2)]);
}

#[test]
fn workers_that_are_drained_or_filled_again_take_no_part() {
    let mut state = state_of(
        vec![roomy(None), roomy(None)],
        vec![on(1), on(1), on(1), on(1)],
    );
    let drain = |stage| Drain {
        worker: WorkerId(2),
        number: LogIndex(1),
        by: UserId(1),
        begun_at: NOW,
        ended_at: None,
        deadline_at: None,
        at_once: 1,
        was_cordoned: false,
        stage,
        moved: imbl::OrdSet::new(),
        failed: imbl::OrdMap::new(),
    };
    for (stage, moves) in [
        (DrainStage::Draining, 0),
        (DrainStage::Restoring, 0),
        (DrainStage::Restored, 2),
    ] {
        state.put_drain(drain(stage));
        assert_eq!(goes(&state, &WIDE).len(), moves, "{stage:?}");
    }
}

/// Ten thousand vnodes on half of a thousand workers.
#[test]
fn a_large_cluster_is_planned_within_bounds() {
    let workers: Vec<Has> = (0..1_000)
        .map(|_| Has {
            units: [40; 3],
            ..roomy(None)
        })
        .collect();
    let vnodes: Vec<Wants> = (0..10_000).map(|vnode| on(vnode % 500 + 1)).collect();
    let state = state_of(workers, vnodes);
    let planned = plan(&state, &WIDE);
    assert_eq!(planned.shifts.len(), WIDE.moves_max);
    assert!(planned.cut_off);
    assert_eq!(Board::of(&state).load(WorkerId(1)).share(), 500);
}
