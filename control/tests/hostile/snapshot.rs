//! Strategies for commands about snapshots.

use docklet_control::amount::{DiskMib, VnodeSize};
use docklet_control::id::{LogIndex, UserId, VclusterId};
use docklet_control::model::{GpuWish, SnapshotRhythm};
use docklet_control::report::{SnapshotReport, SnapshotTold};
use docklet_control::snapshot::command::{SnapshotCommand, SnapshotOf};
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::{number, schedule, text, vnode, worker};

/// A command and who asks for it.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 2, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        6 => (user, of_people()),
        2 => (Just(Actor::Duty), of_duties()),
        4 => of_workers(),
    ]
    .prop_map(|(who, command)| (who, Command::Snapshot(command)))
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![of_people(), of_duties()]
        .prop_map(Command::Snapshot)
        .boxed()
}

/// Lets most reports be about what there is: numbers are entries, and nobody guesses them.
pub fn aim(command: &mut Command, state: &State) {
    let Command::Snapshot(SnapshotCommand::Report { reports, .. }) = command else {
        return;
    };
    for report in reports.iter_mut().filter(|report| report.number.0 > 0) {
        let of_vnode = state.snapshots_of(report.vnode).last();
        if let Some(snapshot) = of_vnode {
            report.number = snapshot.number;
        }
    }
}

fn of() -> impl Strategy<Value = SnapshotOf> {
    prop_oneof![
        2 => vnode().prop_map(SnapshotOf::Vnode),
        1 => select(vec![1, 2, 3, u64::MAX]).prop_map(|id| SnapshotOf::Vcluster(VclusterId(id))),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let trouble = vec!["auto-20261127-0215", "before-restore-1", "a@b", "../a"];
    prop_oneof![
        8 => select(vec!["a", "b"]).prop_map(str::to_owned),
        1 => select(trouble).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn rhythm() -> impl Strategy<Value = SnapshotRhythm> {
    let every = prop_oneof![4 => select(vec![60_000, 3_600_000]), 1 => number()];
    let keep = prop_oneof![4 => 1..4_u32, 1 => select(vec![0, 24, 25, u32::MAX])];
    let ttl = prop::option::of(number());
    (every, keep, ttl).prop_map(|(every_ms, keep, ttl_ms)| SnapshotRhythm {
        every_ms,
        keep,
        ttl_ms,
    })
}

fn of_people() -> BoxedStrategy<SnapshotCommand> {
    let vcluster = select(vec![1, 2, 3, u64::MAX]).prop_map(VclusterId);
    let ttl = prop_oneof![2 => Just(None), 1 => number().prop_map(Some)];
    prop_oneof![
        6 => (of(), name(), ttl)
            .prop_map(|(of, name, ttl_ms)| SnapshotCommand::Take { of, name, ttl_ms }),
        2 => (of(), name()).prop_map(|(of, name)| SnapshotCommand::Delete { of, name }),
        4 => (of(), name()).prop_map(|(of, name)| SnapshotCommand::Restore { of, name }),
        2 => (vnode(), name(), text(), text()).prop_map(|(vnode, snapshot, image, label)| {
            SnapshotCommand::Save { vnode, snapshot, image, label }
        }),
        3 => create(),
        3 => (vcluster, prop::option::of(rhythm()))
            .prop_map(|(vcluster, rhythm)| SnapshotCommand::SetSchedule { vcluster, rhythm }),
    ]
    .boxed()
}

fn create() -> impl Strategy<Value = SnapshotCommand> {
    let names = prop_oneof![4 => select(vec!["copy", "other", "first"]).prop_map(str::to_owned), 1 => text()];
    let vnodes = prop_oneof![4 => 1..3_u32, 1 => select(vec![0, 1_001, u32::MAX])];
    let disk = prop_oneof![2 => Just(None), 2 => Just(Some(10_240)), 1 => number().prop_map(Some)];
    let gpus = prop_oneof![4 => Just(0), 1 => select(vec![1, 9, u32::MAX])];
    (
        names,
        vnode(),
        name(),
        vnodes,
        disk,
        gpus,
        schedule::rules(),
    )
        .prop_map(|(name, vnode, snapshot, vnodes, disk, count, rules)| {
            SnapshotCommand::CreateVcluster {
                name,
                vnode,
                snapshot,
                vnodes,
                size: VnodeSize::default(),
                disk_mib: disk.map(DiskMib),
                gpus: GpuWish { count, model: None },
                rules,
            }
        })
}

fn of_duties() -> BoxedStrategy<SnapshotCommand> {
    let vclusters = prop::collection::vec((0..4_u64).prop_map(VclusterId), 0..4);
    prop_oneof![
        vclusters.prop_map(|vclusters| SnapshotCommand::TakeScheduled { vclusters }),
        Just(SnapshotCommand::Expire),
    ]
    .boxed()
}

fn of_workers() -> BoxedStrategy<(Actor, SnapshotCommand)> {
    let taken = (number(), number(), number()).prop_map(|(disk, used_bytes, still_us)| {
        SnapshotTold::Taken {
            disk_mib: DiskMib(disk),
            used_bytes,
            still_us,
        }
    });
    let told = prop_oneof![
        4 => taken,
        1 => text().prop_map(|cause| SnapshotTold::Failed { cause }),
        2 => Just(SnapshotTold::Restored),
        1 => text().prop_map(|cause| SnapshotTold::NotRestored { cause }),
    ];
    let report = (vnode(), 0..60_u64, told).prop_map(|(vnode, number, told)| SnapshotReport {
        vnode,
        number: LogIndex(number),
        told,
    });
    (worker(), prop::collection::vec(report, 0..4))
        .prop_map(|(worker, reports)| {
            (
                Actor::Worker(worker),
                SnapshotCommand::Report { worker, reports },
            )
        })
        .boxed()
}
