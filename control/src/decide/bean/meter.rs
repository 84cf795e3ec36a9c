//! What workers tell of what vnodes used. They tell all of it since a placement began, so that what comes twice, late or out
//! of order changes nothing, and what was lost on the way comes with the next.

use super::{event, opened};
use crate::bean::event::{BeanEvent, Charge, ChargeId, TallyRef};
use crate::bean::{self, formula, warn};
use crate::decide::{Decision, Ground, in_range};
use crate::event::Event;
use crate::evolve::evolve;
use crate::id::WorkerId;
use crate::model::{BeanLine, BeanSettings, Cost, LineOf, MicroBeans, Month, PurseOf, Tally, Used};
use crate::refusal::Refusal;
use crate::report::Reading;
use crate::state::State;

/// Readings of one entry.
const READINGS_MAX: u64 = 1_000;

pub(super) fn meter(
    ground: Ground<'_>,
    worker: WorkerId,
    readings: &[Reading],
) -> Result<Decision, Refusal> {
    in_range(
        "readings",
        readings.len() as u64,
        0..=READINGS_MAX,
        "vnodes",
    )?;
    let mut state = ground.state.clone();
    let (mut events, mut place) = (Vec::new(), 0);
    for reading in readings {
        for event in one(ground, &state, worker, reading, place) {
            place += u32::from(matches!(&event, Event::Bean(BeanEvent::Charged { .. })));
            state = evolve(state, ground.entry.at, &event);
            events.push(event);
        }
    }
    Ok(Decision::quiet(events))
}

/// What one reading changes; nothing if nobody waits for it from this worker.
fn one(
    ground: Ground<'_>,
    state: &State,
    worker: WorkerId,
    reading: &Reading,
    place: u32,
) -> Vec<Event> {
    let tally = state.tallies.get(&(reading.vnode, reading.epoch));
    let tally = tally.filter(|tally| tally.worker == worker);
    let Some((tally, settings)) = tally.zip(bean::in_use(state)) else {
        return Vec::new();
    };
    let about = TallyRef::from(tally);
    let ends = reading.ended && !goes_on(state, tally);
    let told = &reading.used;
    let mut events = match &tally.used {
        None if told.follows(&Used::default()) => {
            let used = told.clone();
            vec![event(BeanEvent::TallyBegun { about, used })]
        }
        Some(before) if told.follows(before) => charged(
            ground,
            state,
            settings,
            (tally, before),
            (told, ends),
            place,
        ),
        Some(_) | None if tally.behind => Vec::new(),
        Some(_) | None => vec![event(BeanEvent::TallyBehind { about })],
    };
    events.extend(ends.then(|| event(BeanEvent::TallyEnded { about })));
    events
}

/// Whether the placement is still the vnode's: nobody says the last of it before the masters have said so.
fn goes_on(state: &State, tally: &Tally) -> bool {
    let vnode = state.vnodes.get(&tally.vnode);
    let placement = vnode.and_then(|vnode| vnode.placement);
    placement.is_some_and(|placement| placement.epoch == tally.epoch)
}

fn charged(
    ground: Ground<'_>,
    state: &State,
    settings: &BeanSettings,
    (tally, before): (&Tally, &Used),
    (now, ends): (&Used, bool),
    place: u32,
) -> Vec<Event> {
    let of = PurseOf::User(tally.owner);
    let mut events: Vec<Event> = opened(ground, state, of).into_iter().collect();
    let had = match events.first() {
        Some(Event::Bean(BeanEvent::Opened { beans, .. })) => *beans,
        Some(_) | None => bean::balance(state, of),
    };
    let (mut cost, mut hour) = formula::cost(&settings.rates, before, now, tally.hour, ends);
    if had.0 <= -MicroBeans::MOST {
        (cost, hour) = (Cost::default(), MicroBeans(0));
    }
    if before == now && cost == Cost::default() {
        return Vec::new();
    }
    events.push(event(BeanEvent::Charged {
        charge: Charge {
            id: ChargeId {
                index: ground.index,
                place,
            },
            about: TallyRef::from(tally),
            label: tally.label.clone(),
            line: line(ground, state, tally),
            used: now.minus(before),
            cost,
            hour,
        },
    }));
    events.extend(warn::fallen(state, of, had, had.minus(cost.sum())));
    events
}

/// The vnode's own, as long as there are not too many of them in this month.
fn line(ground: Ground<'_>, state: &State, tally: &Tally) -> LineOf {
    let (of, month) = (PurseOf::User(tally.owner), Month::of(ground.entry.at));
    let own = LineOf::Vnode(tally.vnode);
    let known = state.bean_lines.contains_key(&(of, month, own));
    let lines = state.bean_lines_in(of, month);
    if known || lines.take(BeanLine::VNODES_MAX).count() < BeanLine::VNODES_MAX {
        return own;
    }
    LineOf::Others
}
