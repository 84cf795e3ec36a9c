//! Vnodes that do nothing, and stopping them. Since version 3.

use std::collections::BTreeMap;

use super::{Decision, Ground, vcluster};
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::id::{UnixMs, VclusterId, WorkerId};
use crate::idle::command::{IdleCommand, IdleReport};
use crate::idle::event::IdleEvent;
use crate::idle::{due, limit_ms};
use crate::model::idle::VnodeIdle;
use crate::model::{Vnode, VnodeSeen, VnodeWanted};
use crate::notice::news;

pub(super) fn decide(ground: Ground<'_>, command: &IdleCommand) -> Decision {
    match command {
        IdleCommand::Report { worker, idle } => report(ground, *worker, idle),
        IdleCommand::Stop { vclusters } => stop(ground, vclusters),
    }
}

/// What is said of other placements than those that are there changes nothing.
fn report(ground: Ground<'_>, worker: WorkerId, idle: &[IdleReport]) -> Decision {
    let state = ground.state;
    let said: BTreeMap<_, _> = idle.iter().map(|report| (report.vnode, report)).collect();
    let news = state.vnodes_on(worker).filter_map(|vnode| {
        let epoch = vnode.placement?.epoch;
        let said = said.get(&vnode.id).filter(|said| said.epoch == epoch);
        let runs = vnode.wanted == VnodeWanted::Running && vnode.seen == VnodeSeen::Running;
        let said = said.filter(|_| runs && limit_ms(state, vnode.owner).is_some());
        let known = state.vnode_idles.get(&vnode.id);
        let known = known.is_some_and(|known| known.epoch == epoch);
        match said {
            Some(said) if !known => Some(rested(vnode, said, ground.entry.at)),
            None if known => Some(IdleEvent::Woke {
                about: VnodeRef::from(vnode),
            }),
            Some(_) | None => None,
        }
    });
    Decision::quiet(news.map(Event::Idle).collect())
}

fn rested(vnode: &Vnode, said: &IdleReport, now: UnixMs) -> IdleEvent {
    // Nothing rests longer than it has been running.
    let since = now.0.saturating_sub(said.for_ms).max(vnode.seen_at.0);
    IdleEvent::Rested {
        about: VnodeRef::from(vnode),
        idle: VnodeIdle {
            vnode: vnode.id,
            epoch: said.epoch,
            since: UnixMs(since),
        },
    }
}

/// What woke up meanwhile goes on.
fn stop(ground: Ground<'_>, vclusters: &[VclusterId]) -> Decision {
    let state = ground.state;
    let (mut events, mut telling) = (Vec::new(), ground.moment().telling());
    for row in vclusters.iter().filter_map(|id| state.vclusters.get(id)) {
        if !due::is_due(state, row, ground.entry.at) {
            continue;
        }
        let minutes = limit_ms(state, row.owner).unwrap_or_default() / 60_000;
        let about = VclusterRef::from(row);
        events.push(Event::Idle(IdleEvent::Stopped { about, minutes }));
        news::stopped_idle(&mut telling, row, minutes);
        events.extend(vcluster::stopped(ground, row));
    }
    events.extend(telling.done());
    Decision::quiet(events)
}
