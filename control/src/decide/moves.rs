//! Moves of vnodes: begun by people and by the leader, carried on by what workers report. Since version 3.

mod report;

use super::{Decision, Ground};
use crate::event::{Event, VnodeRef};
use crate::gpus;
use crate::id::{VnodeId, WorkerId};
use crate::model::receipt::Subject;
use crate::model::{
    Copied, Move, MoveEnd, MoveStage, MoveTimes, MoveWay, MoveWhy, Vnode, VnodeWanted, Worker,
    WorkerStatus,
};
use crate::moves::command::MoveCommand;
use crate::moves::event::MoveEvent;
use crate::moves::occupation::occupation;
use crate::moves::refusal::MoveRefusal;
use crate::moves::{due, live};
use crate::permit;
use crate::place::Board;
use crate::refusal::Refusal;
use crate::state::State;
use crate::view::explain::words;

pub(super) use report::{gone, seen};

pub(super) fn decide(ground: Ground<'_>, command: &MoveCommand) -> Result<Decision, Refusal> {
    match command {
        MoveCommand::Begin { vnode, to, way } => begin(ground, *vnode, *to, *way),
        MoveCommand::BeginAll { moves, why } => Ok(begin_all(ground, moves, *why)),
        MoveCommand::Cancel { vnode } => cancel(ground, *vnode),
        MoveCommand::Expire => Ok(expire(ground)),
        MoveCommand::Report { worker, reports } => report::report(ground, *worker, reports),
        MoveCommand::ReportCheckpointing { able } => report::able(ground, able),
    }
}

/// What is wanted of a move.
#[derive(Clone, Copy)]
struct Wanted {
    vnode: VnodeId,
    to: Option<WorkerId>,
    way: Option<MoveWay>,
    why: MoveWhy,
}

fn begin(
    ground: Ground<'_>,
    id: VnodeId,
    to: Option<WorkerId>,
    way: Option<MoveWay>,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    let vnode = permit::watched_vnode(state, ground.entry.actor, id)?;
    let by = permit::person(state, ground.entry.actor)?.id;
    let wanted = Wanted {
        vnode: id,
        to,
        way,
        why: MoveWhy::Asked(by),
    };
    let board = match to {
        Some(to) => Board::counted(state, state.workers.get(&to).into_iter()),
        None => Board::of(state),
    };
    let began = prepared(ground, &board, &wanted)?;
    let subject = Subject::Vcluster(vnode.vcluster);
    Ok(Decision::new(subject, beginning(vnode, began)))
}

/// One after the other, each with those before it under way.
fn begin_all(ground: Ground<'_>, moves: &[(VnodeId, WorkerId)], why: MoveWhy) -> Decision {
    Decision::quiet(begun(ground, moves, why))
}

/// What comes of it if vnodes are to go to these workers; what is not possible is left out.
pub(super) fn begun(ground: Ground<'_>, moves: &[(VnodeId, WorkerId)], why: MoveWhy) -> Vec<Event> {
    let named = moves.iter().map(|(_, worker)| worker);
    let named = named.filter_map(|worker| ground.state.workers.get(worker));
    let mut board = Board::counted(ground.state, named);
    let mut events = Vec::new();
    for (id, to) in moves {
        let wanted = Wanted {
            vnode: *id,
            to: Some(*to),
            way: None,
            why,
        };
        let Some(vnode) = ground.state.vnodes.get(id) else {
            continue;
        };
        if let Ok(began) = prepared(ground, &board, &wanted) {
            board.expect(began.clone());
            events.extend(beginning(vnode, began));
        }
    }
    events
}

/// The move, if everything allows it.
fn prepared(ground: Ground<'_>, board: &Board, wanted: &Wanted) -> Result<Move, Refusal> {
    let state = board.state();
    let vnode = state.vnodes.get(&wanted.vnode);
    let vnode = vnode.filter(|vnode| vnode.wanted != VnodeWanted::Removed);
    let vnode = vnode.ok_or_else(|| Refusal::not_found("vnode", wanted.vnode))?;
    let called = vnode.hostname();
    let Some(placed) = vnode.placement else {
        return Err(MoveRefusal::NotPlaced { vnode: called }.into());
    };
    refuse_moving(state, vnode)?;
    if let Some(doing) = occupation(state, vnode) {
        let vnode = called;
        return Err(MoveRefusal::Busy { vnode, doing }.into());
    }
    let from = state.workers.get(&placed.worker);
    if from.is_none_or(|from| from.status != WorkerStatus::Up) {
        let worker = state.worker_called(placed.worker);
        let vnode = called;
        return Err(MoveRefusal::WorkerLost { vnode, worker }.into());
    }
    let to = target(board, vnode, wanted.to)?;
    let (way, falls_back) = chosen_way(state, vnode, to, wanted.way)?;
    Ok(Move {
        vnode: vnode.id,
        number: ground.index,
        owner: vnode.owner,
        why: wanted.why,
        way,
        falls_back,
        from: placed.worker,
        epoch: placed.epoch,
        to: to.id,
        stage: MoveStage::Copying,
        copied: Copied::default(),
        heard_at: ground.entry.at,
        times: MoveTimes {
            asked_at: ground.entry.at,
            ..MoveTimes::default()
        },
        ran: false,
        gpus: gpus::choose(state, to, &state.wishes_of(vnode.id).gpus),
        not_live: None,
    })
}

/// Refuses what does not go together with a move.
pub(super) fn refuse_moving(state: &State, vnode: &Vnode) -> Result<(), MoveRefusal> {
    match state.open_move(vnode.id) {
        None => Ok(()),
        Some(moving) => Err(MoveRefusal::Moving {
            vnode: vnode.hostname(),
            from: state.worker_called(moving.from),
            to: state.worker_called(moving.to),
        }),
    }
}

/// The worker that was named, if it can take the vnode; the one that suits it best if none was.
fn target<'b>(
    board: &'b Board,
    vnode: &Vnode,
    to: Option<WorkerId>,
) -> Result<&'b Worker, Refusal> {
    let state = board.state();
    let here = vnode.placement.map(|placed| placed.worker);
    let (to, lacks) = match to {
        Some(to) => {
            let worker = state.workers.get(&to);
            let worker = worker.ok_or_else(|| Refusal::not_found("worker", to))?;
            let lacks = board.lacks(worker, vnode);
            (worker, lacks)
        }
        None => (best(board, vnode)?, Vec::new()),
    };
    if Some(to.id) == here {
        return Err(MoveRefusal::ThereAlready {
            vnode: vnode.hostname(),
            worker: to.name.to_string(),
        }
        .into());
    }
    if lacks.is_empty() {
        return Ok(to);
    }
    let why: Vec<String> = lacks.iter().map(|lack| words::lack(state, lack)).collect();
    Err(MoveRefusal::NoRoom {
        vnode: vnode.hostname(),
        to: to.name.to_string(),
        why: why.join(", "),
    }
    .into())
}

fn best<'b>(board: &'b Board, vnode: &Vnode) -> Result<&'b Worker, MoveRefusal> {
    let best = board.best_other(vnode);
    let best = best.and_then(|best| board.state().workers.get(&best));
    best.ok_or_else(|| {
        let obstacles = board.others_lack(vnode);
        MoveRefusal::NoOther {
            vnode: vnode.hostname(),
            why: if obstacles.is_empty() {
                "there is none".to_owned()
            } else {
                words::no_worker(board.state(), &obstacles)
            },
        }
    })
}

fn chosen_way(
    state: &State,
    vnode: &Vnode,
    to: &Worker,
    way: Option<MoveWay>,
) -> Result<(MoveWay, bool), MoveRefusal> {
    match (way, live::obstacle(state, vnode, to.id)) {
        (Some(MoveWay::Live), Some(why)) => {
            let vnode = vnode.hostname();
            Err(MoveRefusal::NotLive { vnode, why })
        }
        (Some(way), _) => Ok((way, false)),
        (None, None) => Ok((MoveWay::Live, true)),
        (None, Some(_)) => Ok((MoveWay::Refresh, false)),
    }
}

/// One that is to be cold stands still from the beginning.
fn beginning(vnode: &Vnode, began: Move) -> Vec<Event> {
    let about = VnodeRef::from(vnode);
    let cold = began.way == MoveWay::Cold;
    let switching = cold.then(|| switching(vnode, &began));
    let began = Box::new(began);
    let began = Event::Moved(MoveEvent::Begun { about, began });
    std::iter::once(began).chain(switching).collect()
}

fn switching(vnode: &Vnode, moving: &Move) -> Event {
    Event::Moved(MoveEvent::Switching {
        about: VnodeRef::from(vnode),
        number: moving.number,
        ran: vnode.runs(),
    })
}

fn ended(vnode: &Vnode, moving: &Move, end: MoveEnd) -> Event {
    Event::Moved(MoveEvent::Ended {
        about: VnodeRef::from(vnode),
        number: moving.number,
        end,
    })
}

fn cancel(ground: Ground<'_>, id: VnodeId) -> Result<Decision, Refusal> {
    let state = ground.state;
    let vnode = permit::watched_vnode(state, ground.entry.actor, id)?;
    let called = vnode.hostname();
    let Some(moving) = state.open_move(id) else {
        return Err(MoveRefusal::NotMoving { vnode: called }.into());
    };
    if !moving.is_before_placing() {
        return Err(MoveRefusal::TooLate {
            vnode: called,
            from: state.worker_called(moving.from),
            to: state.worker_called(moving.to),
        }
        .into());
    }
    let events = vec![ended(vnode, moving, MoveEnd::Cancelled)];
    Ok(Decision::new(Subject::Vcluster(vnode.vcluster), events))
}

/// Ends the moves by which a worker is emptied or filled again, as far as their vnodes can stay.
pub(super) fn called_off(state: &State, worker: WorkerId) -> impl Iterator<Item = Event> + '_ {
    let by_drain = |moving: &&Move| matches!(moving.why, MoveWhy::Drain | MoveWhy::Restore);
    let moves = state.moves_at(worker).filter(by_drain);
    let early = moves.filter(|moving| moving.is_before_placing());
    early.filter_map(|moving| {
        let vnode = state.vnodes.get(&moving.vnode)?;
        Some(ended(vnode, moving, MoveEnd::Cancelled))
    })
}

/// What comes of the move of a vnode that is to be removed.
pub(super) fn removed(state: &State, vnode: &Vnode) -> Option<Event> {
    let moving = state.open_move(vnode.id)?;
    Some(ended(vnode, moving, MoveEnd::Cancelled))
}

/// As long as a vnode can stay it does, once one of the two workers is lost or says nothing any more.
fn expire(ground: Ground<'_>) -> Decision {
    let state = ground.state;
    let over = state.open_moves().filter_map(|moving| {
        let cause = due::cause_to_end(state, moving, ground.entry.at)?;
        let vnode = state.vnodes.get(&moving.vnode)?;
        Some(ended(vnode, moving, MoveEnd::Failed { cause }))
    });
    Decision::quiet(over.collect())
}
