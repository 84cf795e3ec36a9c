//! What the scheduler goes by.

use super::lost;
use crate::id::UnixMs;
use crate::model::{Rules, VclusterRules};
use crate::schedule::event::ScheduleEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, at: UnixMs, event: ScheduleEvent) {
    match event {
        ScheduleEvent::WorkerDescribed { traits } if traits.says_nothing() => {
            state.remove_worker_traits(&traits.worker);
        }
        ScheduleEvent::WorkerDescribed { traits } => state.put_worker_traits(traits),
        ScheduleEvent::RulesSet {
            about,
            rules,
            on_lost_since,
        } => {
            let vcluster = about.vcluster;
            if rules == Rules::default() || !state.vclusters.contains_key(&vcluster) {
                state.remove_vcluster_rules(&vcluster);
            } else {
                state.put_vcluster_rules(VclusterRules {
                    vcluster,
                    rules,
                    on_lost_since,
                });
            }
        }
        ScheduleEvent::VnodeFenced { fence, .. } => lost::fenced(state, fence),
        ScheduleEvent::VnodeLost { about, lost } => lost::lost(state, at, about.vnode, lost),
    }
}
