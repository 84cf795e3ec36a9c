//! Workers that are emptied.

use crate::drain::event::DrainEvent;
use crate::id::UnixMs;
use crate::model::DrainStage;
use crate::state::State;

pub(super) fn evolve(state: &mut State, at: UnixMs, event: DrainEvent) {
    match event {
        DrainEvent::Begun { drain } => state.put_drain(drain),
        DrainEvent::Came { worker, to } => {
            if let Some(mut drain) = state.drains.get(&worker).cloned() {
                drain.stage = to;
                drain.ended_at = (!to.is_open()).then_some(at);
                if to == DrainStage::Restoring {
                    drain.failed.clear();
                }
                state.put_drain(drain);
            }
        }
    }
}
