//! What is kept between vnodes that are alike changes nothing about who goes where.

use proptest::prelude::*;

use super::{Cluster, cluster, waiting};
use crate::id::{VnodeId, WorkerId};
use crate::model::Vnode;
use crate::place::Board;
use crate::place::standings::Standings;

/// Each to the worker that all of them are asked for anew.
fn anew(mut board: Board, vnodes: &[Vnode]) -> Vec<(VnodeId, Option<WorkerId>)> {
    let place = |vnode: &Vnode| {
        let best = board.candidates(vnode).ok().map(|found| found[0]);
        if let Some(worker) = best {
            board.put(vnode.id, worker);
        }
        (vnode.id, best)
    };
    vnodes.iter().map(place).collect()
}

fn kept(mut board: Board, vnodes: &[Vnode]) -> Vec<(VnodeId, Option<WorkerId>)> {
    let mut standings = Standings::default();
    let place = |vnode: &Vnode| {
        let best = standings.best(&board, vnode);
        if let Some(worker) = best {
            board.put(vnode.id, worker);
            standings.put(&board, worker);
        }
        (vnode.id, best)
    };
    vnodes.iter().map(place).collect()
}

/// Each vnode so often, one after the other, so that some are alike.
fn repeated(cluster: &Cluster, times: usize) -> Cluster {
    let vnodes = cluster.vnodes.iter();
    let vnodes = vnodes.flat_map(|vnode| std::iter::repeat_n(vnode.clone(), times));
    Cluster {
        vnodes: vnodes.collect(),
        ..cluster.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn vnodes_that_are_alike_go_where_each_would_go_alone(cluster in cluster(), times in 1..5_usize) {
        let state = repeated(&cluster, times).state();
        let (board, all) = (Board::of(&state), waiting(&state));
        prop_assert_eq!(kept(board.clone(), &all), anew(board, &all));
    }
}
