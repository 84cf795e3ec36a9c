//! What would come of something that has not been done: the scheduler on a frozen state, which nothing changes.

use serde::{Deserialize, Serialize};

use crate::command::{Actor, Command, Entry, NewVcluster};
use crate::decide::decide;
use crate::evolve::evolve;
use crate::id::{LogIndex, RequestId, UnixMs, UserId, VnodeId, WorkerId};
use crate::model::{QuotaItem, User, Vnode, VnodeWanted, Worker, WorkerStatus};
use crate::moves::refusal::MoveRefusal;
use crate::place::{Batch, Board};
use crate::quota;
use crate::quota::command::QuotaCommand;
use crate::refusal::Refusal;
use crate::state::State;
use crate::view::{allowance, explain};

/// What is supposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supposed {
    /// A worker is emptied: nothing new comes, and what is there goes elsewhere.
    Drain(WorkerId),
    /// A worker is lost with all that is on it.
    Loss(WorkerId),
    /// A vcluster is made.
    Create(NewVcluster),
    /// A quota becomes another.
    Quota(QuotaCommand),
}

/// What would come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Outlook {
    /// Vnodes that would be somewhere, and where.
    pub placed: Vec<Move>,
    /// Vnodes that no worker could take.
    pub pending: Vec<Pending>,
    /// What the quota of whoever asks would say; nothing where none is asked.
    #[serde(default)]
    pub quota: String,
    /// Who would have more than they may, of what they may have now.
    #[serde(default)]
    pub over: Vec<OverQuota>,
}

/// Somebody who would have more of something than they may. They keep it, and get no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OverQuota {
    pub user: String,
    pub item: QuotaItem,
    pub used: u64,
    pub limit: u64,
    /// Whence the limit would come.
    pub whence: String,
}

/// One vnode that would be elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Move {
    /// As who asks calls it.
    pub vnode: String,
    /// Where it is; none if it is new or has no worker.
    pub from: Option<String>,
    pub to: String,
}

/// One vnode that would have no worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pending {
    pub vnode: String,
    pub from: Option<String>,
    /// Every worker with what it lacks.
    pub why: String,
}

impl Outlook {
    /// Whether everything would find a place, and nobody have too much.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.pending.is_empty() && self.over.is_empty()
    }
}

/// Looks at what would come of it, for an `asker` who may ask for it.
///
/// # Errors
/// It would be refused.
pub fn outlook(state: &State, asker: &User, supposed: &Supposed) -> Result<Outlook, Refusal> {
    match supposed {
        Supposed::Drain(worker) => {
            let there = state.workers.get(worker);
            let there = there.ok_or_else(|| Refusal::not_found("worker", worker))?;
            Ok(drained(state, asker, there))
        }
        Supposed::Loss(worker) => {
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
            Outlook {
                quota: allowance::line(&with, asker),
                ..told(&with, asker, batch)
            }
        }),
        Supposed::Quota(command) => {
            let command = Command::Quota(command.clone());
            let with = after(state, asker.id, command)?;
            Ok(Outlook {
                over: over(state, &with),
                ..Outlook::default()
            })
        }
    }
}

/// Vnodes of a worker that are there to stay.
fn there(state: &State, worker: WorkerId) -> Vec<Vnode> {
    let there = state.vnodes_on(worker);
    let stay = there.filter(|vnode| vnode.wanted != VnodeWanted::Removed);
    stay.cloned().collect()
}

/// As a drain does it (`drain::due`): one after the other, in the same order, each to the best of the other workers while those
/// after it are still there. What is on its way already arrives.
fn drained(state: &State, asker: &User, worker: &Worker) -> Outlook {
    let there = there(state, worker.id);
    if worker.status != WorkerStatus::Up {
        return Outlook {
            pending: there
                .iter()
                .map(|vnode| lost(state, asker, vnode))
                .collect(),
            ..Outlook::default()
        };
    }
    let mut board = Board::of(state);
    let mut batch = Batch::default();
    for vnode in &there {
        if let Some(moving) = state.open_move(vnode.id) {
            batch.placed.push((vnode.id, moving.to));
        } else if let Some(to) = board.best_other(vnode) {
            board.take_off(vnode.id);
            board.put(vnode.id, to);
            batch.placed.push((vnode.id, to));
        } else {
            batch.unplaced.push((vnode.id, board.others_lack(vnode)));
        }
    }
    told(state, asker, batch)
}

/// Nothing can be copied from where it is.
fn lost(state: &State, asker: &User, vnode: &Vnode) -> Pending {
    let from = vnode
        .placement
        .map(|placed| state.worker_called(placed.worker));
    let refusal = MoveRefusal::WorkerLost {
        vnode: vnode.hostname(),
        worker: from.clone().unwrap_or_default(),
    };
    Pending {
        vnode: explain::called(state, asker, vnode),
        from,
        why: refusal.to_string(),
    }
}

/// With the worker out of the way.
fn without(state: &State, asker: &User, worker: WorkerId) -> Outlook {
    let there = there(state, worker);
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
    after(state, asker, Command::create_vcluster(new.clone()))
}

/// The state in which this has been done.
fn after(state: &State, asker: UserId, command: Command) -> Result<State, Refusal> {
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

/// Who has more than they may in the second state, and not in the first.
fn over(before: &State, with: &State) -> Vec<OverQuota> {
    let people = with.users.values();
    let over = people.flat_map(|person| {
        let allowed = allowance::of(with, person).items.into_iter();
        let allowed = allowed.filter_map(|item| {
            let (used, limit) = item.used.zip(item.limit).filter(|(has, most)| has > most)?;
            let now = quota::limit(before, person, item.item).bound;
            now.allows(used).then(|| OverQuota {
                user: person.name.to_string(),
                item: item.item,
                used,
                limit,
                whence: item.whence,
            })
        });
        allowed.collect::<Vec<_>>()
    });
    over.collect()
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
        why: if obstacles.is_empty() && !state.workers.is_empty() {
            "there is no other worker".to_owned()
        } else {
            explain::words::no_worker(state, &obstacles)
        },
    });
    Outlook {
        placed: placed.collect(),
        pending: pending.collect(),
        ..Outlook::default()
    }
}
