//! Strategies for commands about what the scheduler goes by.

use docklet_control::id::{Epoch, LogIndex, UnixMs, UserId, VnodeId, WorkerId};
use docklet_control::model::{OnLost, Rules, Spread, VnodeFence};
use docklet_control::name::Name;
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::{Actor, Command};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{text, vcluster};

/// A command and who asks for it: mostly the admin.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 1, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    (user, anything()).boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    let labels = btree_map(key(), of(value()), 0..3);
    let at = select(vec![0, 1_000, 6_000, 3_600_000]).prop_map(UnixMs);
    let placed = vec((select(vec![1, 2, 3]).prop_map(VnodeId), worker()), 0..3);
    prop_oneof![
        3 => (worker(), labels).prop_map(|(worker, labels)| ScheduleCommand::Label { worker, labels }),
        2 => (worker(), text()).prop_map(|(worker, reason)| ScheduleCommand::Cordon { worker, reason }),
        3 => worker().prop_map(|worker| ScheduleCommand::Uncordon { worker }),
        2 => (vcluster(), rules()).prop_map(|(vcluster, rules)| ScheduleCommand::SetRules { vcluster, rules }),
        1 => (worker(), vec(fence(), 0..3)).prop_map(|(worker, fences)| ScheduleCommand::ReportFences { worker, fences }),
        1 => (worker(), at, placed).prop_map(|(worker, down_since, placed)| ScheduleCommand::RestartLost { worker, down_since, placed }),
    ]
    .prop_map(Command::Schedule)
    .boxed()
}

/// Mostly such as some worker meets.
pub fn rules() -> BoxedStrategy<Rules> {
    let spread = select(vec![Spread::Workers, Spread::Zones, Spread::Together]);
    let most = of(select(vec![0, 1, 2, 1_000, u32::MAX]));
    let labels =
        || btree_map(label(), value(), 0..2).prop_map(|labels| labels.into_iter().collect());
    let lost = select(vec![OnLost::Wait, OnLost::Restart]);
    let some = (spread, most, labels(), labels(), lost);
    let some = some.prop_map(|(spread, per_worker_max, labels, prefers, on_lost)| Rules {
        spread,
        per_worker_max,
        labels,
        prefers,
        on_lost,
    });
    prop_oneof![3 => Just(Rules::default()), 2 => some].boxed()
}

fn fence() -> impl Strategy<Value = VnodeFence> {
    let numbers = || select((1..40).collect::<Vec<u64>>());
    (select(vec![1, 2, 3]), numbers(), numbers()).prop_map(|(vnode, epoch, number)| VnodeFence {
        vnode: VnodeId(vnode),
        epoch: Epoch(epoch),
        number: LogIndex(number),
    })
}

fn worker() -> impl Strategy<Value = WorkerId> {
    select(vec![1, 2, 3, 4, 5, 6, u64::MAX]).prop_map(WorkerId)
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(vec!["zone", "disk"]).prop_map(str::to_owned), 1 => text()]
}

/// Names as JSON has them: nobody has looked at them yet.
fn label() -> impl Strategy<Value = Name> {
    key().prop_filter_map("no name", |key| {
        serde_json::from_value(serde_json::Value::String(key)).ok()
    })
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(vec!["a", "b", "ssd"]).prop_map(str::to_owned), 1 => text()]
}
