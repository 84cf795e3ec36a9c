//! What would come of something that has not been done: the scheduler on a frozen state, which nothing changes.

use serde::{Deserialize, Serialize};

use crate::command::{Actor, Command, Entry, NewVcluster};
use crate::decide::decide;
use crate::evolve::evolve;
use crate::id::{LogIndex, RequestId, UnixMs, UserId, VnodeId, WorkerId};
use crate::model::{User, Vnode, VnodeWanted};
use crate::place::{Batch, Board};
use crate::refusal::Refusal;
use crate::state::State;
use crate::view::explain;

/// What is supposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supposed {
    /// A worker is emptied: nothing new comes, and what is there goes elsewhere.
    Drain(WorkerId),
    /// A worker is lost with all that is on it.
    Loss(WorkerId),
    /// A vcluster is made.
    Create(NewVcluster),
}

/// What would come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// Vnodes that would be somewhere, and where.
    pub placed: Vec<Move>,
    /// Vnodes that no worker could take.
    pub pending: Vec<Pending>,
}

/// One vnode that would be elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// As who asks calls it.
    pub vnode: String,
    /// Where it is; none if it is new or has no worker.
    pub from: Option<String>,
    pub to: String,
}

/// One vnode that would have no worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub vnode: String,
    pub from: Option<String>,
    /// Every worker with what it lacks.
    pub why: String,
}

impl Outlook {
    /// Whether everything would find a place.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Looks at what would come of it, for an `asker` who may ask for it.
///
/// # Errors
/// It would be refused.
pub fn outlook(state: &State, asker: &User, supposed: &Supposed) -> Result<Outlook, Refusal> {
    match supposed {
        Supposed::Drain(worker) | Supposed::Loss(worker) => {
            if !state.workers.contains_key(worker) {
                return Err(Refusal::not_found("worker", worker));
            }
            Ok(without(state, asker, *worker))
        }
        Supposed::Create(new) => created(state, asker.id, new).map(|with| {
            let fresh = |vnode: &&Vnode| !state.vnodes.contains_key(&vnode.id);
            let fresh: Vec<Vnode> = with.vnodes.values().filter(fresh).cloned().collect();
            let mut board = Board::of(&with);
            let batch = board.place_all(&fresh);
            told(&with, asker, batch)
        }),
    }
}

/// With the worker out of the way.
fn without(state: &State, asker: &User, worker: WorkerId) -> Outlook {
    let there = state
        .vnodes_on(worker)
        .filter(|vnode| vnode.wanted != VnodeWanted::Removed);
    let there: Vec<Vnode> = there.cloned().collect();
    let mut board = Board::of(state);
    for vnode in &there {
        board.take_off(vnode.id);
    }
    board.remove_worker(worker);
    let batch = board.place_all(&there);
    told(state, asker, batch)
}

/// The state in which a vcluster of this kind has been made.
fn created(state: &State, asker: UserId, new: &NewVcluster) -> Result<State, Refusal> {
    let command = Command::create_vcluster(new.clone());
    let entry = Entry {
        version: state.version().0,
        request: RequestId::default(),
        at: UnixMs::default(),
        actor: Actor::User(asker),
        command,
    };
    let decision = decide(state, LogIndex(u64::MAX), &entry)?;
    let events = decision.events.iter();
    Ok(events.fold(state.clone(), |state, event| evolve(state, entry.at, event)))
}

fn told(state: &State, asker: &User, batch: Batch) -> Outlook {
    let called = |id: VnodeId| {
        let vnode = state.vnodes.get(&id);
        vnode.map_or_else(String::new, |vnode| explain::called(state, asker, vnode))
    };
    let from = |id: VnodeId| Some(state.worker_called(state.vnodes.get(&id)?.placement?.worker));
    let placed = batch.placed.into_iter().map(|(id, to)| Move {
        vnode: called(id),
        from: from(id),
        to: state.worker_called(to),
    });
    let pending = batch.unplaced.into_iter().map(|(id, obstacles)| Pending {
        vnode: called(id),
        from: from(id),
        why: explain::words::no_worker(state, &obstacles),
    });
    Outlook {
        placed: placed.collect(),
        pending: pending.collect(),
    }
}
