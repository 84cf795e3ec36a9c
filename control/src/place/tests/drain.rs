//! What is said beforehand of a drain is what comes of it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::{Cluster, Has, Wants, cluster, name, roomy, state_of};
use crate::command::{Actor, Command, Entry};
use crate::decide::decide;
use crate::drain::command::DrainCommand;
use crate::drain::due;
use crate::event::{Event, VnodeRef};
use crate::evolve::evolve;
use crate::id::{Epoch, LogIndex, RequestId, UnixMs, UserId, WorkerId};
use crate::model::{
    Drain, DrainStage, Move, MoveEnd, Placement, Role, Rules, User, VnodeWanted, WorkerStatus,
};
use crate::moves::event::MoveEvent;
use crate::state::State;
use crate::what_if::{Outlook, Supposed, outlook};

const W1: WorkerId = WorkerId(1);

fn admin() -> User {
    User {
        id: UserId(1),
        name: name("admin"),
        role: Role::Admin,
        password_hash: String::new(),
        created_at: UnixMs::default(),
    }
}

/// A log that goes on from a state.
struct Going {
    state: State,
    last: LogIndex,
}

impl Going {
    fn enter(&mut self, actor: Actor, command: Command) {
        self.last = LogIndex(self.last.0 + 1);
        let entry = Entry {
            version: self.state.version().0,
            request: RequestId(self.last.0.into()),
            at: UnixMs::default(),
            actor,
            command,
        };
        let decision = decide(&self.state, self.last, &entry).expect("not refused");
        decision.events.iter().for_each(|event| self.happens(event));
    }

    fn happens(&mut self, event: &Event) {
        self.state = evolve(std::mem::take(&mut self.state), UnixMs::default(), event);
    }

    /// Everything that is on its way arrives.
    fn arrive(&mut self) -> usize {
        let moves: Vec<Move> = self.state.open_moves().cloned().collect();
        for moving in &moves {
            let vnode = self.state.vnodes.get(&moving.vnode).expect("there");
            let (about, number) = (VnodeRef::from(vnode), moving.number);
            let placement = Placement {
                worker: moving.to,
                epoch: Epoch(number.0),
            };
            let end = MoveEnd::Moved;
            for event in [
                MoveEvent::Placed {
                    about,
                    number,
                    placement,
                },
                MoveEvent::Ended { about, number, end },
            ] {
                self.happens(&Event::Moved(event));
            }
        }
        moves.len()
    }
}

/// Empties worker 1; answers the state when nothing more comes of it.
fn drained(state: State, at_once: u32) -> State {
    let mut going = Going {
        state,
        last: LogIndex(1_000),
    };
    let begin = DrainCommand::Begin {
        worker: W1,
        at_once,
        deadline_ms: None,
    };
    going.enter(Actor::User(UserId(1)), Command::Drain(begin));
    loop {
        let due = due::due(&going.state, UnixMs::default());
        due.into_iter()
            .for_each(|command| going.enter(Actor::Duty, command));
        if going.arrive() == 0 {
            return going.state;
        }
    }
}

/// Where each vnode of worker 1 goes, by its id; none where it stays.
fn goes(before: &State, after: &State) -> BTreeMap<u64, Option<String>> {
    let there = before.vnodes_on(W1);
    let there = there.filter(|vnode| vnode.wanted != VnodeWanted::Removed);
    there
        .map(|vnode| {
            let now = after.vnodes[&vnode.id].placement.expect("placed").worker;
            let elsewhere = (now != W1).then(|| after.worker_called(now));
            (vnode.id.0, elsewhere)
        })
        .collect()
}

/// The same, as it was said. A vnode's number in its vcluster is its id here.
fn said(outlook: &Outlook) -> BTreeMap<u64, Option<String>> {
    let id = |called: &str| {
        let number = called.rsplit_once("host-").expect("a vnode").1;
        number.parse().expect("a number")
    };
    let placed = outlook.placed.iter();
    let placed = placed.map(|one| (id(&one.vnode), Some(one.to.clone())));
    let pending = outlook.pending.iter().map(|one| (id(&one.vnode), None));
    placed.chain(pending).collect()
}

fn looked(state: &State) -> Outlook {
    outlook(state, &admin(), &Supposed::Drain(W1)).expect("there is such a worker")
}

/// More of them are on the first worker.
fn crowded() -> impl Strategy<Value = Cluster> {
    let on = select(vec![None, Some(1), Some(1), Some(2)]);
    (cluster(), proptest::collection::vec(on, 6)).prop_map(|(mut cluster, on)| {
        for (vnode, on) in cluster.vnodes.iter_mut().zip(on) {
            vnode.on = on;
        }
        cluster
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1_000)
    })]

    #[test]
    fn a_drain_does_what_was_said_of_it(cluster in crowded(), down in select(vec![false, false, false, true])) {
        let mut state = cluster.state();
        state.put_user(admin());
        if down {
            let mut worker = state.workers[&W1].clone();
            worker.status = WorkerStatus::Down;
            state.put_worker(worker);
        }
        let outlook = looked(&state);
        prop_assert!(outlook.pending.iter().all(|one| !one.why.is_empty()));
        let after = drained(state.clone(), 1);
        prop_assert_eq!(said(&outlook), goes(&state, &after));
        let stage = after.drains[&W1].stage;
        prop_assert_eq!(outlook.pending.is_empty(), stage == DrainStage::Drained);
        prop_assert!(stage == DrainStage::Drained || stage == DrainStage::Draining);
    }

    /// However many are on their way at once: nobody is forgotten.
    #[test]
    fn a_drain_of_several_at_once_leaves_those_who_fit_nowhere(cluster in crowded(), at_once in 2..5_u32) {
        let mut state = cluster.state();
        state.put_user(admin());
        let after = drained(state.clone(), at_once);
        let drain: &Drain = &after.drains[&W1];
        let up = after.workers[&W1].status == WorkerStatus::Up;
        for vnode in due::left(&after, drain) {
            let board = super::Board::of(&after);
            prop_assert!(!up || board.best_other(vnode).is_none(), "{} stays", vnode.id);
        }
    }
}

/// One that is on its way already is said to go where it goes.
#[test]
fn what_is_on_its_way_already_arrives() {
    let on_first = Wants {
        on: Some(1),
        ..super::one()
    };
    let workers = vec![roomy(None), roomy(None), roomy(None)];
    let mut state = state_of(workers, Rules::default(), vec![on_first.clone(), on_first]);
    state.put_user(admin());
    let mut going = Going {
        state,
        last: LogIndex(1_000),
    };
    let begin = crate::moves::command::MoveCommand::Begin {
        vnode: crate::id::VnodeId(1),
        to: Some(WorkerId(3)),
        way: None,
    };
    going.enter(Actor::User(UserId(1)), Command::Move(begin));
    let said = said(&looked(&going.state));
    assert_eq!(said[&1].as_deref(), Some("w3"));
    assert_eq!(said[&2].as_deref(), Some("w2"));
}

/// A search would find room for both, and a drain does not look so far: the first takes the place that only the second needs.
#[test]
fn a_place_that_a_drain_does_not_find_is_not_told() {
    let with = |units| Has {
        units: [units; 3],
        ..roomy(None)
    };
    let on_first = |units| Wants {
        units: [units; 3],
        on: Some(1),
        ..super::one()
    };
    let workers = vec![with(8), with(3), with(2)];
    let mut state = state_of(workers, Rules::default(), vec![on_first(2), on_first(3)]);
    state.put_user(admin());
    let said = said(&looked(&state));
    assert_eq!(said, [(1, Some("w2".to_owned())), (2, None)].into());
    assert_eq!(said, goes(&state, &drained(state.clone(), 1)));
}
