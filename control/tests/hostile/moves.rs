//! Strategies for commands about moves.

use docklet_control::drain::command::DrainCommand;
use docklet_control::id::{LogIndex, UserId, VnodeId, WorkerId};
use docklet_control::model::{Checkpointing, Copied, MoveWay, MoveWhy};
use docklet_control::moves::command::MoveCommand;
use docklet_control::report::{MoveReport, MoveTold};
use docklet_control::{Actor, Command, State};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{text, vnode};

/// A command and who asks for it: mostly owners, and workers who have part in moves.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = || select(vec![1, 2, 2, 3, 3]).prop_map(|id| Actor::User(UserId(id)));
    let of_workers = (worker(), reports()).prop_map(|(worker, reports)| {
        let command = MoveCommand::Report { worker, reports };
        (Actor::Worker(worker), Command::Move(command))
    });
    let able = (worker(), select(vec![Ok("4.2"), Err("no criu")])).prop_map(|(worker, able)| {
        let able = able.map(str::to_owned).map_err(str::to_owned);
        let able = Checkpointing { worker, able };
        let command = MoveCommand::ReportCheckpointing { able };
        (Actor::Worker(worker), Command::Move(command))
    });
    prop_oneof![
        2 => (select(vec![1, 1, 2]).prop_map(|id| Actor::User(UserId(id))), drains()),
        6 => (user(), of_people()),
        2 => (Just(Actor::Duty), of_duties()),
        8 => of_workers,
        1 => able,
    ]
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    let able = (worker(), text()).prop_map(|(worker, text)| MoveCommand::ReportCheckpointing {
        able: Checkpointing {
            worker,
            able: Err(text),
        },
    });
    let report =
        (worker(), reports()).prop_map(|(worker, reports)| MoveCommand::Report { worker, reports });
    prop_oneof![
        2 => of_people(),
        1 => drains(),
        1 => of_duties(),
        1 => able.prop_map(Command::Move),
        2 => report.prop_map(Command::Move),
    ]
    .boxed()
}

fn of_people() -> BoxedStrategy<Command> {
    let way = of(select(vec![MoveWay::Live, MoveWay::Refresh, MoveWay::Cold]));
    prop_oneof![
        5 => (vnode(), of(worker()), way).prop_map(|(vnode, to, way)| MoveCommand::Begin {
            vnode,
            to,
            way,
        }),
        1 => vnode().prop_map(|vnode| MoveCommand::Cancel { vnode }),
    ]
    .prop_map(Command::Move)
    .boxed()
}

/// Of workers that are emptied.
fn drains() -> BoxedStrategy<Command> {
    let at_once = select(vec![0, 1, 2, u32::MAX]);
    let deadline_ms = of(select(vec![0, 1_000, 3_600_000, u64::MAX]));
    prop_oneof![
        4 => (worker(), at_once, deadline_ms).prop_map(|(worker, at_once, deadline_ms)| {
            DrainCommand::Begin { worker, at_once, deadline_ms }
        }),
        1 => worker().prop_map(|worker| DrainCommand::Abort { worker }),
        2 => worker().prop_map(|worker| DrainCommand::Restore { worker }),
        1 => Just(DrainCommand::Settle),
    ]
    .prop_map(Command::Drain)
    .boxed()
}

fn of_duties() -> BoxedStrategy<Command> {
    let why = select(vec![MoveWhy::Drain, MoveWhy::Restore, MoveWhy::Rebalance]);
    prop_oneof![
        2 => (vec((vnode(), worker()), 0..4), why)
            .prop_map(|(moves, why)| MoveCommand::BeginAll { moves, why }),
        1 => Just(MoveCommand::Expire),
    ]
    .prop_map(Command::Move)
    .boxed()
}

fn reports() -> BoxedStrategy<Vec<MoveReport>> {
    let told = prop_oneof![
        1 => any::<u32>().prop_map(|round| MoveTold::Copied(Copied {
            round,
            ..Copied::default()
        })),
        4 => Just(MoveTold::Near),
        4 => Just(MoveTold::Whole),
        1 => text().prop_map(|cause| MoveTold::NotLive { cause }),
        1 => text().prop_map(|cause| MoveTold::Failed { cause }),
    ];
    let report = (vnode(), told).prop_map(|(vnode, told)| MoveReport {
        vnode,
        number: LogIndex(0),
        told,
    });
    vec(report, 0..3).boxed()
}

fn worker() -> impl Strategy<Value = WorkerId> {
    select(vec![5, 5, 6, 6, 99]).prop_map(WorkerId)
}

/// Reports are of the moves that there are, and so are most of the vnodes.
pub fn aim(command: &mut Command, state: &State) {
    let Command::Move(MoveCommand::Report { reports, .. }) = command else {
        return;
    };
    for report in reports {
        let any = state.open_moves().next().map(|moving| moving.vnode);
        let own = state.open_move(report.vnode).map(|moving| moving.vnode);
        report.vnode = own.or(any).unwrap_or(VnodeId(1));
        if let Some(moving) = state.open_move(report.vnode) {
            report.number = moving.number;
        }
    }
}
