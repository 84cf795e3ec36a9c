//! Vnodes that do nothing.

use crate::idle::event::IdleEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: IdleEvent) {
    match event {
        IdleEvent::Rested { about, idle } => {
            if state.vnodes.contains_key(&about.vnode) {
                state.put_vnode_idle(idle);
            }
        }
        IdleEvent::Woke { about } => state.remove_vnode_idle(&about.vnode),
        IdleEvent::Stopped { .. } => {}
    }
}
