//! Workers that are emptied, as an admin sees them.

use std::cell::LazyCell;

use serde::{Deserialize, Serialize};

use crate::drain::due;
use crate::id::UnixMs;
use crate::model::{Drain, DrainStage, User, Vnode};
use crate::place::Board;
use crate::state::State;
use crate::view::explain::{self, words};
use crate::view::moves::{self, MoveOf};

/// How far the emptying of a worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrainView {
    pub worker: String,
    pub stage: DrainStage,
    pub is_open: bool,
    pub begun_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    pub deadline_at: Option<UnixMs>,
    pub at_once: u32,
    /// Vnodes that were moved away and are not back.
    pub moved: u32,
    /// Vnodes that are still there.
    pub left: u32,
    pub under_way: Vec<MoveOf>,
    /// Vnodes that stay as things are, each with why.
    pub stuck: Vec<Stuck>,
}

/// A vnode that is not moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Stuck {
    pub vnode: String,
    pub why: String,
}

impl DrainView {
    /// How far it is, in a sentence without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self {
            worker,
            moved,
            left,
            under_way,
            stuck,
            ..
        } = self;
        let on_way = under_way.len();
        let waiting = match stuck.len() {
            0 => String::new(),
            stuck => format!(", {stuck} find no other worker or failed"),
        };
        match self.stage {
            DrainStage::Draining => {
                format!("{worker}: {moved} moved, {on_way} on their way, {left} left{waiting}")
            }
            DrainStage::Drained => format!("{worker} is drained: {moved} moved away"),
            DrainStage::Late => {
                format!("{worker}: the time is over, {moved} moved and {left} left{waiting}")
            }
            DrainStage::Aborted => format!("{worker}: aborted, {moved} moved and {left} left"),
            DrainStage::Restoring => {
                format!("{worker}: {moved} to come back, {on_way} on their way{waiting}")
            }
            DrainStage::Restored if *moved == 0 => format!("{worker} is restored"),
            DrainStage::Restored => {
                format!("{worker} is restored but for {moved} that stay elsewhere")
            }
        }
    }
}

/// How far the emptying of a worker is, for an admin.
#[must_use]
pub fn show(state: &State, asker: &User, drain: &Drain) -> DrainView {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let left: Vec<&Vnode> = due::left(state, drain).collect();
    let under_way = state.moves_at(drain.worker).filter_map(|moving| {
        let vnode = state.vnodes.get(&moving.vnode)?;
        Some(MoveOf {
            vnode: explain::called(state, asker, vnode),
            moving: moves::show(state, moving),
        })
    });
    DrainView {
        worker: state.worker_called(drain.worker),
        stage: drain.stage,
        is_open: drain.stage.is_open(),
        begun_at: drain.begun_at,
        ended_at: drain.ended_at,
        deadline_at: drain.deadline_at,
        at_once: drain.at_once,
        moved: number(drain.moved.len()),
        left: number(left.len()),
        under_way: under_way.collect(),
        stuck: stuck(state, asker, drain, &left),
    }
}

fn stuck(state: &State, asker: &User, drain: &Drain, left: &[&Vnode]) -> Vec<Stuck> {
    let back = matches!(drain.stage, DrainStage::Restoring | DrainStage::Restored);
    let here: Vec<&Vnode> = if back {
        let moved = drain.moved.iter();
        moved.filter_map(|id| state.vnodes.get(id)).collect()
    } else {
        left.to_vec()
    };
    let waiting = here
        .into_iter()
        .filter(|vnode| state.open_move(vnode.id).is_none());
    // All vnodes of the cluster are counted for it, and mostly nobody is stuck.
    let board = LazyCell::new(|| Board::of(state));
    let stuck = waiting.filter_map(|vnode| {
        let why = match drain.failed.get(&vnode.id) {
            Some(failed) => failed.cause.clone(),
            None if board.best_other(vnode).is_some() => return None,
            None => {
                let others = board.others_lack(vnode);
                words::no_worker(state, &others)
            }
        };
        Some(Stuck {
            vnode: explain::called(state, asker, vnode),
            why,
        })
    });
    stuck.collect()
}
