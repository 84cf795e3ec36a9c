//! A thousand random clusters, beside a scheduler that tries everything.

mod cluster;
mod drain;
mod rebalance;
mod standings;
mod wishes;

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::cluster::{Cluster, Has, Used, Wants, at, cluster, has, name, rules, wants};
use super::{Batch, Board, Dimension};
use crate::id::{VnodeId, WorkerId};
use crate::model::{Rules, Vnode, WorkerStatus};
use crate::state::State;

fn waiting(state: &State) -> Vec<Vnode> {
    state.unplaced_vnodes().cloned().collect()
}

/// Everybody has as many GPUs of the worker and of the kind as they want, and nobody else has them.
fn has_what_it_wants(state: &State, placed: &[(VnodeId, WorkerId)]) -> Result<(), TestCaseError> {
    for (id, worker) in placed {
        let wish = &state.wishes_of(*id).gpus;
        let listed = &state
            .workers
            .get(worker)
            .expect("there")
            .facts
            .capacity
            .gpus;
        let given = state.gpus_of(*id);
        prop_assert_eq!(given.len(), wish.count as usize);
        for uuid in given {
            let gpu = listed.iter().find(|gpu| gpu.uuid == *uuid);
            prop_assert!(gpu.is_some_and(|gpu| wish.fits(gpu)), "{} has {}", id, uuid);
        }
    }
    let given: Vec<&String> = state
        .vnodes
        .keys()
        .flat_map(|id| state.gpus_of(*id))
        .collect();
    let different: BTreeSet<&String> = given.iter().copied().collect();
    prop_assert_eq!(given.len(), different.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_possible_is_never_refused_and_nothing_is_exceeded(cluster in cluster()) {
        let state = cluster.state();
        let all = waiting(&state);
        let mut board = Board::of(&state);
        let Batch { placed, unplaced } = board.place_all(&all);
        prop_assert_eq!(placed.len() + unplaced.len(), all.len());

        // What the board says was placed, placed again by other rules.
        let mut used = cluster.used(&state);
        for (id, worker) in &placed {
            let (wants, on) = (&cluster.vnodes[at(id.0)], at(worker.0));
            prop_assert!(cluster.fits(&used[on], on, wants), "vnode {} on {}", id, worker);
            used[on].add(wants, &cluster.workers[on]);
        }
        has_what_it_wants(board.state(), &placed)?;
        for (id, obstacles) in &unplaced {
            let wants = &cluster.vnodes[at(id.0)];
            for (on, used) in used.iter().enumerate() {
                prop_assert!(!cluster.fits(used, on, wants), "vnode {} could go to {}", id, on + 1);
            }
            prop_assert_eq!(obstacles.len(), cluster.workers.len());
            prop_assert!(obstacles.iter().all(|obstacle| !obstacle.lacks.is_empty()));
        }
        let indices: Vec<usize> = all.iter().map(|vnode| at(vnode.id.0)).collect();
        let possible = cluster.possible(&mut cluster.used(&state), &indices);
        prop_assert_eq!(unplaced.is_empty(), possible);
    }

    #[test]
    fn a_board_counts_as_the_state_does(cluster in cluster()) {
        let state = cluster.state();
        let mut board = Board::of(&state);
        board.place_all(&waiting(&state));
        let anew = Board::of(board.state());
        for worker in state.workers.keys() {
            prop_assert_eq!(board.load(*worker), anew.load(*worker));
        }
        for vnode in state.vnodes.values() {
            board.take_off(vnode.id);
        }
        let empty = Board::of(board.state());
        for worker in state.workers.values() {
            prop_assert_eq!(board.load(worker.id), empty.load(worker.id));
            prop_assert_eq!(board.load(worker.id).share(), 0);
        }
    }
}

fn state_of(workers: Vec<Has>, rules: Rules, vnodes: Vec<Wants>) -> State {
    let rules = vec![rules, Rules::default(), Rules::default()];
    Cluster {
        workers,
        rules,
        vnodes,
        percents: [100; 3],
    }
    .state()
}

fn roomy(zone: Option<&'static str>) -> Has {
    Has {
        units: [8; 3],
        gpus: [0; 2],
        zone,
        status: WorkerStatus::Up,
        cordoned: false,
    }
}

fn one() -> Wants {
    Wants {
        units: [1; 3],
        gpus: 0,
        model: None,
        vcluster: 1,
        on: None,
    }
}

fn places(state: &State) -> Vec<u64> {
    let batch = Board::of(state).place_all(&waiting(state));
    batch
        .placed
        .into_iter()
        .map(|(_, worker)| worker.0)
        .collect()
}

#[test]
fn every_dimension_that_failed_is_told() {
    let cordoned = Has {
        units: [1, 8, 1],
        cordoned: true,
        status: WorkerStatus::Down,
        ..roomy(Some("a"))
    };
    let rules = Rules {
        labels: [(name("zone"), "b".to_owned())].into_iter().collect(),
        ..Rules::default()
    };
    let large = Wants {
        units: [2, 2, 2],
        gpus: 1,
        ..one()
    };
    let state = state_of(vec![cordoned], rules, vec![large]);
    let batch = Board::of(&state).place_all(&waiting(&state));
    let lacks = &batch.unplaced[0].1[0].lacks;
    let expected = [
        Dimension::Status(WorkerStatus::Down),
        Dimension::Cordoned {
            reason: String::new(),
        },
        Dimension::Cpu {
            wanted: 500,
            free: 250,
        },
        Dimension::Disk {
            wanted: 2_048,
            free: 1_024,
        },
        Dimension::Gpus {
            wanted: 1,
            model: None,
            fitting: 0,
            free: 0,
        },
        Dimension::Label {
            key: name("zone"),
            wanted: "b".to_owned(),
            has: Some("a".to_owned()),
        },
    ];
    assert_eq!(*lacks, expected);
}

/// Alone each would take the emptier worker, and the large one would find no room.
#[test]
fn a_large_one_finds_room_though_small_ones_choose_first() {
    let worker = |units| Has {
        units: [units; 3],
        ..roomy(None)
    };
    let small = |vcluster| Wants {
        units: [2; 3],
        vcluster,
        ..one()
    };
    let large = Wants {
        units: [4; 3],
        vcluster: 3,
        ..one()
    };
    let state = state_of(
        vec![worker(4), worker(4)],
        Rules::default(),
        vec![small(1), small(2), large],
    );
    let batch = Board::of(&state).place_all(&waiting(&state));
    assert_eq!(batch.unplaced, []);
}

/// The one that takes any GPU fits on one worker only, and would take there what only others want.
#[test]
fn whoever_takes_any_gpu_leaves_those_that_others_want() {
    let workers = vec![
        Has {
            units: [4; 3],
            gpus: [1, 1],
            ..roomy(None)
        },
        Has {
            units: [1; 3],
            gpus: [1, 0],
            ..roomy(None)
        },
    ];
    let with = |units, model| Wants {
        units: [units; 3],
        gpus: 1,
        model,
        ..one()
    };
    let vnodes = vec![with(2, None), with(1, Some(0)), with(1, Some(0))];
    let state = state_of(workers, Rules::default(), vnodes);
    let batch = Board::of(&state).place_all(&waiting(&state));
    assert_eq!(batch.unplaced, []);
}
