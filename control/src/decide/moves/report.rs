//! What workers report of moves, and what their reports of vnodes mean for moves.

use super::{ended, switching};
use crate::decide::{Decision, Ground, one_by_one, plain_text};
use crate::event::{Event, VnodeRef};
use crate::id::{Epoch, WorkerId};
use crate::model::{
    Checkpointing, Move, MoveEnd, MoveStage, MoveWay, Placement, Vnode, VnodeSeen, VnodeWanted,
};
use crate::moves::event::MoveEvent;
use crate::refusal::Refusal;
use crate::report::{MoveReport, MoveTold};
use crate::state::State;

/// Says nothing about moves that are over, or by whom it does not concern.
pub(in crate::decide) fn report(
    ground: Ground<'_>,
    worker: WorkerId,
    reports: &[MoveReport],
) -> Result<Decision, Refusal> {
    for report in reports {
        if let MoveTold::Failed { cause } | MoveTold::NotLive { cause } = &report.told {
            plain_text("a report's text", cause, Move::CAUSE_BYTES_MAX)?;
        }
    }
    Ok(one_by_one(ground, reports, |state, report| {
        report_one(ground, state, worker, report)
    }))
}

fn report_one(
    ground: Ground<'_>,
    state: &State,
    worker: WorkerId,
    report: &MoveReport,
) -> Option<Event> {
    let vnode = state.vnodes.get(&report.vnode)?;
    let moving = state.open_move(vnode.id);
    let moving = moving.filter(|m| m.number == report.number && m.is_before_placing())?;
    let (about, number) = (VnodeRef::from(vnode), moving.number);
    let (from, to) = (worker == moving.from, worker == moving.to);
    let event = match &report.told {
        MoveTold::Copied(copied) if to && *copied != moving.copied => MoveEvent::Copied {
            about,
            number,
            copied: *copied,
        },
        MoveTold::Near if to && moving.stage == MoveStage::Copying => {
            return Some(switching(vnode, moving));
        }
        MoveTold::Whole if to && moving.stage == MoveStage::Switching => MoveEvent::Placed {
            about,
            number,
            placement: Placement {
                worker: moving.to,
                epoch: Epoch(ground.index.0),
            },
        },
        MoveTold::NotLive { cause } if from && moving.way == MoveWay::Live => {
            let cause = cause.clone();
            if !moving.falls_back {
                return Some(ended(vnode, moving, MoveEnd::Failed { cause }));
            }
            MoveEvent::WayChanged {
                about,
                number,
                way: MoveWay::Refresh,
                cause,
            }
        }
        MoveTold::Failed { cause } if from || to => {
            let cause = cause.clone();
            return Some(ended(vnode, moving, MoveEnd::Failed { cause }));
        }
        MoveTold::Copied(_)
        | MoveTold::Near
        | MoveTold::Whole
        | MoveTold::NotLive { .. }
        | MoveTold::Failed { .. } => return None,
    };
    Some(Event::Moved(event))
}

/// A move ends when the vnode is at the other worker as it is wanted, and goes back when it cannot be.
pub(in crate::decide) fn seen(state: &State, vnode: &Vnode, seen: &VnodeSeen) -> Option<Event> {
    let moving = state.open_move(vnode.id)?;
    if moving.stage != MoveStage::Starting {
        return None;
    }
    match (seen, vnode.wanted) {
        (VnodeSeen::Running, VnodeWanted::Running) | (VnodeSeen::Stopped, VnodeWanted::Stopped) => {
            Some(ended(vnode, moving, MoveEnd::Moved))
        }
        (VnodeSeen::Failed { step, cause }, _) => {
            let whole = format!("{step}: {cause}");
            Some(Event::Moved(MoveEvent::Returning {
                about: VnodeRef::from(vnode),
                number: moving.number,
                cause: cut(&whole),
            }))
        }
        _ => None,
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(Move::CAUSE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Nothing is left of it at the worker at which it did not start: it is where it was.
pub(in crate::decide) fn gone(ground: Ground<'_>, state: &State, vnode: &Vnode) -> Option<Event> {
    let moving = state.open_move(vnode.id)?;
    let MoveStage::Returning { cause } = &moving.stage else {
        return None;
    };
    Some(Event::Moved(MoveEvent::PlacedBack {
        about: VnodeRef::from(vnode),
        number: moving.number,
        placement: Placement {
            worker: moving.from,
            epoch: Epoch(ground.index.0),
        },
        cause: cause.clone(),
    }))
}

/// What a worker says of whether it can take processes along.
pub(in crate::decide) fn able(
    ground: Ground<'_>,
    able: &Checkpointing,
) -> Result<Decision, Refusal> {
    if !ground.state.workers.contains_key(&able.worker) {
        return Err(Refusal::not_found("worker", able.worker));
    }
    let text = match &able.able {
        Ok(version) => version,
        Err(cause) => cause,
    };
    plain_text(
        "what a worker says of checkpoints",
        text,
        Move::CAUSE_BYTES_MAX,
    )?;
    let known = ground.state.checkpointing.get(&able.worker) == Some(able);
    let reported =
        (!known).then(|| Event::Moved(MoveEvent::CheckpointingReported { able: able.clone() }));
    Ok(Decision::quiet(reported.into_iter().collect()))
}
