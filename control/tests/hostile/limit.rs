//! Strategies for commands about limits that change while vnodes run.

use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib};
use docklet_control::id::{LogIndex, UserId, VclusterId};
use docklet_control::limit::command::LimitCommand;
use docklet_control::model::{Bandwidth, BandwidthWish, HomeUsual, KbitPerS, SizeChange};
use docklet_control::report::{ResizeReport, ResizeTold};
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::{amount, text, vnode, worker};

/// A command and who asks for it.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 2, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    let admin = Just(Actor::User(UserId(1)));
    prop_oneof![
        6 => (user, of_people()),
        1 => (admin, of_admins()),
        3 => of_workers(),
    ]
    .prop_map(|(who, command)| (who, Command::Limit(command)))
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![of_people(), of_admins()]
        .prop_map(Command::Limit)
        .boxed()
}

/// Lets most reports be about what there is: numbers are entries, and nobody guesses them.
pub fn aim(command: &mut Command, state: &State) {
    let Command::Limit(LimitCommand::Report { reports, .. }) = command else {
        return;
    };
    for report in reports.iter_mut().filter(|report| report.number.0 > 0) {
        if let Some(resize) = state.vnode_resizes.get(&report.vnode) {
            report.number = resize.number;
        }
    }
}

pub fn rate() -> impl Strategy<Value = KbitPerS> {
    let usual = select(vec![1_000, 10_000, 100_000]);
    let odd = select(vec![0, 63, 64, 400_000_000, 400_000_001, u32::MAX]);
    prop_oneof![5 => usual, 1 => odd].prop_map(KbitPerS)
}

/// Around what the workers of these tests have.
fn change() -> impl Strategy<Value = SizeChange> {
    let cpu = prop_oneof![4 => select(vec![10, 500, 1_000, 4_000]), 1 => amount()];
    let memory = prop_oneof![4 => select(vec![4, 512, 1_024, 1_025, 2_048]), 1 => amount()];
    let pids = prop_oneof![4 => select(vec![8, 128, 4_096]), 1 => amount()];
    let disk = select(vec![63, 1_024, 10_240, 12_000, 20_481, u64::MAX]);
    let bandwidth = prop_oneof![
        1 => Just(BandwidthWish::Site),
        3 => rate().prop_map(BandwidthWish::KbitPerS),
    ];
    use prop::option::of;
    (of(cpu), of(memory), of(pids), of(disk), of(bandwidth)).prop_map(
        |(cpu, memory, pids_max, disk, bandwidth)| SizeChange {
            cpu_milli: cpu.map(CpuMilli),
            memory_mib: memory.map(MemoryMib),
            pids_max,
            disk_mib: disk.map(DiskMib),
            bandwidth,
        },
    )
}

fn of_people() -> BoxedStrategy<LimitCommand> {
    let vcluster = select(vec![1, 1, 2, 2, 3, u64::MAX]).prop_map(VclusterId);
    prop_oneof![
        6 => (vcluster, change())
            .prop_map(|(vcluster, change)| LimitCommand::Resize { vcluster, change }),
    ]
    .boxed()
}

fn of_admins() -> BoxedStrategy<LimitCommand> {
    prop_oneof![ceiling(), home()].boxed()
}

fn home() -> BoxedStrategy<LimitCommand> {
    let disk = || select(vec![63, 64, 1_024, 10_240, u64::MAX]).prop_map(DiskMib);
    let user = select(vec![1, 2, 3, 9, u64::MAX]).prop_map(UserId);
    prop_oneof![
        disk().prop_map(|disk_mib| LimitCommand::SetUsualHome {
            usual: HomeUsual { disk_mib },
        }),
        (user, prop::option::of(disk()))
            .prop_map(|(user, disk_mib)| LimitCommand::SetHome { user, disk_mib }),
    ]
    .boxed()
}

fn ceiling() -> BoxedStrategy<LimitCommand> {
    use prop::option::of;
    (of(rate()), of(rate()))
        .prop_map(|(sent, received)| LimitCommand::SetBandwidthCeiling {
            ceiling: Bandwidth { sent, received },
        })
        .boxed()
}

fn of_workers() -> BoxedStrategy<(Actor, LimitCommand)> {
    let told = prop_oneof![
        2 => Just(ResizeTold::Done),
        1 => text().prop_map(|cause| ResizeTold::Waits { cause }),
    ];
    let report = (vnode(), 0..60_u64, told).prop_map(|(vnode, number, told)| ResizeReport {
        vnode,
        number: LogIndex(number),
        told,
    });
    (worker(), prop::collection::vec(report, 0..4))
        .prop_map(|(worker, reports)| {
            let command = LimitCommand::Report { worker, reports };
            (Actor::Worker(worker), command)
        })
        .boxed()
}
