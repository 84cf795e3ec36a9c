//! Why a vnode is where it is, or nowhere: every worker, every dimension in which it cannot take the vnode, who holds
//! what is short, and what would help.

mod holders;
mod unblock;
pub(crate) mod words;

use serde::{Deserialize, Serialize};

pub use holders::Holder;
pub(crate) use holders::called;

use crate::model::{User, Vnode, VnodeWanted, Worker};
use crate::permit;
use crate::place::{Board, Dimension, Load, Rank};
use crate::state::State;
use crate::view::allowance;
use crate::view::vcluster::{self, Phase};

/// All that decides where one vnode can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Explanation {
    /// As `lab/host-0`.
    pub vnode: String,
    pub phase: Phase,
    /// Where it is; none while no worker has it.
    pub worker: Option<String>,
    /// What is so, in a sentence.
    pub summary: String,
    /// Every worker: those that can take it first, the best of them first.
    pub workers: Vec<Verdict>,
    /// What of its owner's quota is in the way.
    pub quota: String,
    /// What would help; at least that nothing is needed.
    pub unblock: Vec<String>,
}

/// Whether one worker could take the vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PlaceVerdict")]
pub struct Verdict {
    pub worker: String,
    /// Whether the vnode is there.
    pub here: bool,
    /// Its place among those that can take it, from 1 on; none if it cannot.
    pub place: Option<u32>,
    /// Vnodes of the same vcluster on it.
    pub siblings: u32,
    /// Where it stands.
    pub zone: Option<String>,
    /// The largest of its shares that is promised without this vnode, in thousandths.
    pub share: u64,
    /// Every dimension that failed.
    pub lacks: Vec<Lack>,
}

/// One dimension in which a worker cannot take the vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lack {
    pub dimension: Dimension,
    /// The same in words.
    pub text: String,
    /// How much of it the worker may promise in all; none of what is no amount.
    pub most: Option<u64>,
    /// Who holds what is short, those who hold most first.
    pub holders: Vec<Holder>,
}

/// Explains vnodes that `asker` may see, one after the other. Where one is now, it is looked at as if it had to be placed
/// anew.
#[must_use]
pub fn vnodes(state: &State, asker: &User, vnodes: &[&Vnode]) -> Vec<Explanation> {
    let board = Board::of(state);
    let vnodes = vnodes.iter();
    vnodes
        .map(|vnode| one(&board, state, asker, vnode))
        .collect()
}

/// The same of a single one.
#[must_use]
pub fn vnode(state: &State, asker: &User, vnode: &Vnode) -> Explanation {
    let board = Board::of_vcluster(state, vnode.vcluster);
    one(&board, state, asker, vnode)
}

fn one(board: &Board, state: &State, asker: &User, vnode: &Vnode) -> Explanation {
    let mut board = board.clone();
    board.take_off(vnode.id);
    let view = vcluster::show_vnode(state, vnode);
    let mut ranked: Vec<(Option<Rank>, Verdict)> = state
        .workers
        .values()
        .map(|worker| verdict(&board, asker, worker, vnode))
        .collect();
    // Who can take it comes before who cannot.
    ranked.sort_by(|one, other| {
        let (no, or_no) = (one.0.is_none(), other.0.is_none());
        (no, &one.0).cmp(&(or_no, &other.0))
    });
    let mut workers: Vec<Verdict> = ranked.into_iter().map(|(_, verdict)| verdict).collect();
    for (verdict, place) in workers.iter_mut().zip(1..) {
        verdict.place = verdict.lacks.is_empty().then_some(place);
    }
    let mut summary = summary(state, vnode, &view.reason, view.phase, &workers);
    if let Some(anew) = &view.began_anew {
        summary.push_str(&format!(" Mind that {anew}."));
    }
    Explanation {
        vnode: called(state, asker, vnode),
        phase: view.phase,
        worker: view.worker,
        summary,
        unblock: unblock::of(&board, asker, vnode, view.phase, &workers),
        workers,
        quota: quota_line(state, asker, vnode),
    }
}

/// A vnode that is there was within its owner's quota when it was asked for, and is never taken away for one that is lower now:
/// what is told is whether there is room for more.
fn quota_line(state: &State, asker: &User, vnode: &Vnode) -> String {
    let owner = state.users.get(&vnode.owner);
    let owner = owner.filter(|owner| permit::looks_after(state, asker, owner.id));
    let Some(owner) = owner else {
        return "It is not in the way of this vnode.".to_owned();
    };
    let full = allowance::of(state, owner).items;
    let full = full.iter().filter(|item| item.is_full());
    let full: Vec<&str> = full.map(|item| item.item.word()).collect();
    let line = allowance::line(state, owner);
    if full.is_empty() {
        return format!("{line} It is not in the way.");
    }
    format!(
        "{line} It is not in the way of this vnode, and allows no more of {}.",
        full.join(", ")
    )
}

fn verdict(board: &Board, asker: &User, worker: &Worker, vnode: &Vnode) -> (Option<Rank>, Verdict) {
    let lacks = board.lacks(worker, vnode);
    let rank = lacks.is_empty().then(|| board.rank(worker, vnode));
    let state = board.state();
    let load = board.load(worker.id);
    let explained = |dimension: Dimension| Lack {
        text: words::lack(state, &dimension),
        most: most(&load, worker, &dimension),
        holders: holders::of(state, asker, worker, vnode, &dimension),
        dimension,
    };
    let verdict = Verdict {
        worker: worker.name.to_string(),
        here: vnode.is_on(worker.id),
        place: None,
        siblings: board.siblings(worker.id, vnode),
        zone: board.zone(worker.id).map(str::to_owned),
        share: board.load(worker.id).share(),
        lacks: lacks.into_iter().map(explained).collect(),
    };
    (rank, verdict)
}

fn most(load: &Load, worker: &Worker, dimension: &Dimension) -> Option<u64> {
    match dimension {
        Dimension::Cpu { .. } => Some(load.cpu_milli_max),
        Dimension::Memory { .. } => Some(load.memory_mib_max),
        Dimension::Disk { .. } => {
            let whole = worker.facts.capacity.disk_mib.0;
            Some(load.disk_mib_max.min(whole))
        }
        Dimension::Gpus { fitting, .. } => Some((*fitting).into()),
        Dimension::Status(_)
        | Dimension::Snapshot { .. }
        | Dimension::Cordoned { .. }
        | Dimension::Label { .. }
        | Dimension::PerWorker { .. } => None,
    }
}

fn summary(
    state: &State,
    vnode: &Vnode,
    reason: &str,
    phase: Phase,
    workers: &[Verdict],
) -> String {
    let Some(placed) = vnode.placement else {
        return match (
            vnode.wanted,
            workers.iter().find(|worker| worker.place.is_some()),
        ) {
            (VnodeWanted::Removed, _) => {
                "It goes away, and no worker has anything of it.".to_owned()
            }
            (VnodeWanted::Stopped, Some(worker)) => {
                format!(
                    "It is stopped and no worker has it. {} would take it.",
                    worker.worker
                )
            }
            (_, Some(worker)) => format!("{} can take it, and is about to.", worker.worker),
            (_, None) if workers.is_empty() => "There is no worker.".to_owned(),
            (_, None) => format!("None of {} workers can take it.", workers.len()),
        };
    };
    let name = state.worker_called(placed.worker);
    let word = phase.word();
    if reason.is_empty() {
        format!("It is {word}, on {name}.")
    } else {
        format!("It is {word}, on {name}: {reason}.")
    }
}
