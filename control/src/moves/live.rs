//! Whether a vnode's processes can go along when it moves.

use crate::id::WorkerId;
use crate::model::{Vnode, VnodeSeen, VnodeWanted};
use crate::state::State;

/// What prevents it, in words; nothing if it may be tried.
#[must_use]
pub fn obstacle(state: &State, vnode: &Vnode, to: WorkerId) -> Option<String> {
    if vnode.wanted != VnodeWanted::Running || vnode.seen != VnodeSeen::Running {
        return Some("it does not run".to_owned());
    }
    if !state.gpus_of(vnode.id).is_empty() {
        return Some("what a GPU holds of it cannot be taken along".to_owned());
    }
    let workers = vnode.placement.map(|placed| placed.worker);
    let workers = workers.into_iter().chain([to]);
    let mut versions = Vec::new();
    for worker in workers {
        let named = state.worker_called(worker);
        match state.checkpointing.get(&worker).map(|row| &row.able) {
            None => return Some(format!("{named} has not said that it can checkpoint")),
            Some(Err(cause)) => return Some(format!("{named} cannot checkpoint ({cause})")),
            Some(Ok(version)) => versions.push((named, version)),
        }
    }
    match versions.as_slice() {
        [(one, first), (other, second)] if first != second => {
            Some(format!("{one} has CRIU {first}, and {other} has {second}"))
        }
        _ => None,
    }
}
