//! What the leader has to stop, and what a door has to propose of what a worker says.

use std::collections::BTreeMap;

use super::command::{IdleCommand, IdleReport};
use super::{SINCE, limit_ms};
use crate::command::Command;
use crate::id::{UnixMs, VclusterId, VnodeId, WorkerId};
use crate::model::{Vcluster, VclusterWanted, Vnode, VnodeSeen, VnodeWanted};
use crate::state::State;

/// Vclusters of one entry at most; the rest follow in the next.
const VCLUSTERS_MAX: usize = 100;

/// What is due at `now`.
#[must_use]
pub fn due(state: &State, now: UnixMs) -> Option<Command> {
    if state.version() < SINCE {
        return None;
    }
    // Only what has a vnode that does nothing can be: there are few of them.
    let mut found: Vec<VclusterId> = Vec::new();
    for idle in state.vnode_idles.values() {
        let vnode = state.vnodes.get(&idle.vnode);
        let row = vnode.and_then(|vnode| state.vclusters.get(&vnode.vcluster));
        let fits = row.filter(|row| !found.contains(&row.id) && is_due(state, row, now));
        found.extend(fits.map(|row| row.id));
        if found.len() == VCLUSTERS_MAX {
            break;
        }
    }
    let stop = (!found.is_empty()).then_some(IdleCommand::Stop { vclusters: found });
    stop.map(Command::Idle)
}

/// Whether all of its vnodes have done nothing for longer than its owner may.
pub(crate) fn is_due(state: &State, vcluster: &Vcluster, now: UnixMs) -> bool {
    let Some(limit_ms) = limit_ms(state, vcluster.owner) else {
        return false;
    };
    if vcluster.wanted != VclusterWanted::Running {
        return false;
    }
    let live = state.live_vnodes_of(vcluster.id);
    let rests = |vnode: &&Vnode| {
        let idle = state.vnode_idles.get(&vnode.id);
        let idle = idle.filter(|idle| Some(idle.epoch) == vnode.placement.map(|p| p.epoch));
        idle.is_some_and(|idle| now.since_ms(idle.since) >= limit_ms)
    };
    !live.is_empty() && live.iter().all(rests)
}

/// Whether what a worker says is another matter than what is known. Owners without an idle time are nobody's business.
#[must_use]
pub fn is_news(state: &State, worker: WorkerId, idle: &[IdleReport]) -> bool {
    if state.version() < SINCE {
        return false;
    }
    let said: BTreeMap<VnodeId, &IdleReport> =
        idle.iter().map(|report| (report.vnode, report)).collect();
    state.vnodes_on(worker).any(|vnode| {
        let epoch = vnode.placement.map(|placement| placement.epoch);
        let said = said.get(&vnode.id);
        let said = said.is_some_and(|said| Some(said.epoch) == epoch);
        let runs = vnode.wanted == VnodeWanted::Running && vnode.seen == VnodeSeen::Running;
        let counts = said && runs && limit_ms(state, vnode.owner).is_some();
        let known = state.vnode_idles.get(&vnode.id);
        counts != known.is_some_and(|known| Some(known.epoch) == epoch)
    })
}
