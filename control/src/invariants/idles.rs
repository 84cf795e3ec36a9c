//! Vnodes that do nothing.

use crate::state::State;

/// Each is there, and runs.
pub(super) fn rows_are_of_vnodes(state: &State, broken: &mut Vec<String>) {
    for idle in state.vnode_idles.values() {
        let vnode = state.vnodes.get(&idle.vnode);
        let placed = vnode.is_some_and(|vnode| vnode.placement.is_some());
        if !placed {
            broken.push(format!("vnode {} does nothing and is nowhere", idle.vnode));
        }
    }
}
