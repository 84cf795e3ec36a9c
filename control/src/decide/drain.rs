//! Emptying workers, and filling them again. Since version 3.

use super::{Decision, Ground, in_range, moves, schedule};
use crate::drain::command::DrainCommand;
use crate::drain::due;
use crate::drain::event::DrainEvent;
use crate::event::Event;
use crate::id::WorkerId;
use crate::model::{Drain, DrainStage};
use crate::permit;
use crate::refusal::Refusal;

/// Said of a worker to which nothing new comes because it is emptied.
const REASON: &str = "being drained";

pub(super) fn decide(ground: Ground<'_>, command: &DrainCommand) -> Result<Decision, Refusal> {
    match command {
        DrainCommand::Begin {
            worker,
            at_once,
            deadline_ms,
        } => begin(ground, *worker, *at_once, *deadline_ms),
        DrainCommand::Abort { worker } => abort(ground, *worker),
        DrainCommand::Restore { worker } => restore(ground, *worker),
        DrainCommand::Settle => Ok(settle(ground)),
    }
}

fn begin(
    ground: Ground<'_>,
    worker: WorkerId,
    at_once: u32,
    deadline_ms: Option<u64>,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    if !state.workers.contains_key(&worker) {
        return Err(Refusal::not_found("worker", worker));
    }
    let range = Drain::AT_ONCE_RANGE;
    in_range(
        "vnodes on their way at once",
        at_once.into(),
        range,
        "vnodes",
    )?;
    if let Some(deadline_ms) = deadline_ms {
        in_range("deadline", deadline_ms, Drain::DEADLINE_MS_RANGE, "ms")?;
    }
    let by = permit::person(state, ground.entry.actor)?.id;
    let before = state.drains.get(&worker);
    let cordoned = state.traits_of(worker).cordon.is_some();
    // Whoever empties it again, or with other numbers, means the same drain.
    let same = before.filter(|before| before.stage != DrainStage::Restored);
    let drain = Drain {
        worker,
        number: ground.index,
        by,
        begun_at: ground.entry.at,
        ended_at: None,
        deadline_at: deadline_ms.map(|ms| ground.entry.at.plus_ms(ms)),
        at_once,
        was_cordoned: same.map_or(cordoned, |before| before.was_cordoned),
        stage: DrainStage::Draining,
        moved: same.map(|before| before.moved.clone()).unwrap_or_default(),
        failed: imbl::OrdMap::new(),
    };
    let cordon = if cordoned {
        None
    } else {
        schedule::cordoned(ground, worker, by, REASON)
    };
    let begun = Event::Drain(DrainEvent::Begun { drain });
    Ok(Decision::quiet(cordon.into_iter().chain([begun]).collect()))
}

fn drain_of(ground: Ground<'_>, worker: WorkerId) -> Result<&Drain, Refusal> {
    let called = || ground.state.worker_called(worker);
    let drain = ground.state.drains.get(&worker);
    drain.ok_or_else(|| Refusal::not_found("drain", called()))
}

fn came(drain: &Drain, to: DrainStage) -> Event {
    Event::Drain(DrainEvent::Came {
        worker: drain.worker,
        to,
    })
}

/// What is on its way and can stay does.
fn abort(ground: Ground<'_>, worker: WorkerId) -> Result<Decision, Refusal> {
    let drain = drain_of(ground, worker)?;
    if !drain.stage.is_open() {
        return Ok(Decision::quiet(Vec::new()));
    }
    let mut events = vec![came(drain, DrainStage::Aborted)];
    events.extend(moves::called_off(ground.state, worker));
    // It takes vnodes again, unless it did not before.
    if !drain.was_cordoned {
        events.extend(schedule::uncordoned(ground, worker));
    }
    Ok(Decision::quiet(events))
}

fn restore(ground: Ground<'_>, worker: WorkerId) -> Result<Decision, Refusal> {
    let drain = drain_of(ground, worker)?;
    if drain.stage == DrainStage::Restoring {
        return Ok(Decision::quiet(Vec::new()));
    }
    let mut events = vec![came(drain, DrainStage::Restoring)];
    events.extend(moves::called_off(ground.state, worker));
    events.extend(schedule::uncordoned(ground, worker));
    Ok(Decision::quiet(events))
}

fn settle(ground: Ground<'_>) -> Decision {
    let drains = ground.state.drains.values();
    let over = drains.filter_map(|drain| {
        let to = due::outcome(ground.state, drain, ground.entry.at)?;
        Some(came(drain, to))
    });
    Decision::quiet(over.collect())
}
