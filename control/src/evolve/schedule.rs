//! What the scheduler goes by.

use crate::model::{Rules, VclusterRules};
use crate::schedule::event::ScheduleEvent;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: ScheduleEvent) {
    match event {
        ScheduleEvent::WorkerDescribed { traits } if traits.says_nothing() => {
            state.remove_worker_traits(&traits.worker);
        }
        ScheduleEvent::WorkerDescribed { traits } => state.put_worker_traits(traits),
        ScheduleEvent::RulesSet { about, rules } => {
            let vcluster = about.vcluster;
            if rules == Rules::default() || !state.vclusters.contains_key(&vcluster) {
                state.remove_vcluster_rules(&vcluster);
            } else {
                state.put_vcluster_rules(VclusterRules { vcluster, rules });
            }
        }
    }
}
