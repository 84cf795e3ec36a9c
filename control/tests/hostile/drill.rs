//! Strategies for commands about drills. A drill with number 0 stands for the newest one: see [`aim`].

use docklet_control::drill::command::{DrillAsk, DrillCommand, GroupView};
use docklet_control::id::{DrillId, LogIndex, MasterId, VnodeId, WorkerId};
use docklet_control::model::drill::{
    DrillAbort, DrillCut, DrillKind, FaultEnd, FaultReport, MasterCheck, MasterFound, ProbeFigures,
    ProbeReport, Prober, RestoreReport,
};
use docklet_control::model::{VnodeService, WorkerFault};
use docklet_control::quorum::Seat;
use docklet_control::rows::StateHash;
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::{admin, number, text};

/// A command about a drill and who asks for it.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let by = |actor: Actor| move |command| (actor, Command::Drill(command));
    let door = Actor::Door(MasterId(1));
    prop_oneof![
        3 => start().prop_map(by(admin())),
        2 => begin().prop_map(by(Actor::Duty)),
        3 => of_duty().prop_map(by(Actor::Duty)),
        4 => probe().prop_map(by(door)),
        2 => probe().prop_map(by(admin())),
        3 => of_master().prop_map(by(door)),
        2 => select(vec![1, 1, 2, 9]).prop_flat_map(|id| {
            let by = move |command| (Actor::Worker(WorkerId(id)), Command::Drill(command));
            of_worker(WorkerId(id)).prop_map(by)
        }),
        1 => abort().prop_map(by(admin())),
    ]
    .boxed()
}

/// Any command about a drill.
pub fn anything() -> BoxedStrategy<Command> {
    asked().prop_map(|(_, command)| command).boxed()
}

/// Points a command that is about drill 0 at `newest`.
pub fn aim(command: &mut Command, newest: DrillId) {
    let Command::Drill(command) = command else {
        return;
    };
    match command {
        DrillCommand::Start { .. } => {}
        DrillCommand::Begin { drill, .. }
        | DrillCommand::TakeOver { drill, .. }
        | DrillCommand::Probe { drill, .. }
        | DrillCommand::ReportFault { drill, .. }
        | DrillCommand::ReportRestore { drill, .. }
        | DrillCommand::Abort { drill, .. }
        | DrillCommand::Check { drill, .. }
        | DrillCommand::ReportProbes { drill, .. }
        | DrillCommand::NoteLoss { drill }
        | DrillCommand::ReportLoss { drill, .. }
        | DrillCommand::ReportService { drill, .. }
        | DrillCommand::Finish { drill, .. } => {
            if *drill == DrillId(0) {
                *drill = newest;
            }
        }
    }
}

fn drill() -> impl Strategy<Value = DrillId> {
    prop_oneof![9 => Just(0), 1 => select(vec![1, 17, u64::MAX])].prop_map(DrillId)
}

fn master() -> impl Strategy<Value = MasterId> {
    select(vec![1, 1, 1, 2, 3, u64::MAX]).prop_map(MasterId)
}

fn prober() -> impl Strategy<Value = Prober> {
    prop_oneof![2 => master().prop_map(Prober::Master), 1 => Just(Prober::Client)]
}

fn start() -> BoxedStrategy<DrillCommand> {
    let kind = select(DrillKind::ALL.to_vec());
    let cut = select(vec![DrillCut::Both, DrillCut::In, DrillCut::Out]);
    let target = prop_oneof![4 => Just(None), 1 => text().prop_map(Some)];
    let ms = || prop_oneof![4 => Just(5_000_u64), 1 => number()];
    let gap = prop_oneof![4 => Just(60_000_u64), 1 => number()];
    let ask = (
        kind,
        cut,
        target,
        select(vec![0, 1_000, u64::MAX]),
        ms(),
        gap,
    );
    (ask, group())
        .prop_map(
            |((kind, cut, target, announce_ms, fault_ms, gap_max_ms), group)| DrillCommand::Start {
                ask: DrillAsk {
                    kind,
                    target,
                    cut,
                    announce_ms,
                    fault_ms,
                    gap_max_ms,
                },
                group,
            },
        )
        .boxed()
}

/// Mostly three voters that are well.
fn group() -> BoxedStrategy<GroupView> {
    let seat = |id: u64, voter, silent_ms, lag| Seat {
        master: MasterId(id),
        voter,
        leads: id == 1,
        silent_ms,
        lag,
        steady_ms: 0,
    };
    let odd = (
        select(vec![1, 2, 3, u64::MAX]),
        any::<bool>(),
        number(),
        number(),
    );
    let odd = odd.prop_map(move |(id, voter, silent, lag)| seat(id, voter, silent, lag));
    let sound = Just((1..=3).map(|id| seat(id, true, 0, 0)).collect());
    let seats = prop_oneof![5 => sound, 1 => prop::collection::vec(odd, 0..6)];
    (seats, number())
        .prop_map(|(seats, term)| GroupView {
            term,
            election_ms: 500,
            seats,
        })
        .boxed()
}

fn begin() -> impl Strategy<Value = DrillCommand> {
    (drill(), master(), group()).prop_map(|(drill, runner, group)| DrillCommand::Begin {
        drill,
        runner,
        group,
    })
}

fn of_duty() -> BoxedStrategy<DrillCommand> {
    let healed = prop_oneof![Just(None), number().prop_map(Some)];
    let checks = prop::collection::vec(master_check(), 0..4);
    prop_oneof![
        1 => (drill(), master()).prop_map(|(drill, runner)| DrillCommand::TakeOver { drill, runner }),
        1 => (drill(), healed).prop_map(|(drill, healed_ms)| DrillCommand::Check { drill, healed_ms }),
        1 => (drill(), checks, number()).prop_map(|(drill, checks, term)| DrillCommand::Finish {
            drill,
            checks,
            term,
            leader: None,
        }),
        3 => drill().prop_map(|drill| DrillCommand::NoteLoss { drill }),
        1 => abort(),
    ]
    .boxed()
}

fn of_worker(worker: WorkerId) -> impl Strategy<Value = DrillCommand> {
    let held = prop_oneof![Just(None), number().prop_map(Some)];
    let end = prop_oneof![
        Just(FaultEnd::Time),
        Just(FaultEnd::Silence),
        text().prop_map(|cause| FaultEnd::NotDone { cause })
    ];
    (drill(), held, end).prop_map(move |(drill, held_ms, end)| DrillCommand::ReportLoss {
        drill,
        worker,
        fault: WorkerFault { held_ms, end },
    })
}

fn master_check() -> impl Strategy<Value = MasterCheck> {
    (master(), number(), number(), any::<bool>()).prop_map(|(master, missing, index, answers)| {
        let found = MasterFound {
            missing_in_state: missing,
            missing_in_history: Some(missing),
            compared: Some((LogIndex(index), StateHash([missing; 4]))),
        };
        MasterCheck {
            master,
            found: answers.then_some(found),
        }
    })
}

fn abort() -> BoxedStrategy<DrillCommand> {
    let reason = prop_oneof![
        Just(DrillAbort::OutOfTime),
        number().prop_map(|gap_ms| DrillAbort::GapExceeded { gap_ms }),
        text().prop_map(|cause| DrillAbort::Unwell { cause }),
    ];
    (drill(), reason)
        .prop_map(|(drill, reason)| DrillCommand::Abort { drill, reason })
        .boxed()
}

fn probe() -> impl Strategy<Value = DrillCommand> {
    let sequence = prop_oneof![4 => 0..40_u32, 1 => any::<u32>()];
    (drill(), prober(), sequence).prop_map(|(drill, prober, sequence)| DrillCommand::Probe {
        drill,
        prober,
        sequence,
    })
}

fn of_master() -> BoxedStrategy<DrillCommand> {
    let end = || {
        prop_oneof![
            Just(FaultEnd::Time),
            text().prop_map(|cause| FaultEnd::Told { cause })
        ]
    };
    let runs = prop::collection::vec(any::<u32>(), 0..6);
    let measured = (drill(), prober(), any::<u32>(), runs, number());
    let service = (any::<u32>(), any::<u32>(), number());
    let service = service.prop_map(|(asked, answered, gap_ms)| VnodeService {
        asked,
        answered,
        gap_ms,
    });
    let services = prop::collection::vec(
        (select(vec![1, 2, 3, 40]).prop_map(VnodeId), service),
        0..10,
    );
    prop_oneof![
        (drill(), master(), services).prop_map(|(drill, master, seen)| {
            DrillCommand::ReportService {
                drill,
                master,
                seen,
            }
        }),
        (drill(), master(), number(), end()).prop_map(|(drill, master, held, end)| {
            let report = FaultReport {
                master,
                held_ms: Some(held),
                end,
            };
            DrillCommand::ReportFault { drill, report }
        }),
        (drill(), master(), text()).prop_map(|(drill, master, cause)| {
            let outcome = Err(cause);
            let report = RestoreReport { master, outcome };
            DrillCommand::ReportRestore { drill, report }
        }),
        measured.prop_map(
            |(drill, prober, sent, acked, gap)| DrillCommand::ReportProbes {
                drill,
                report: ProbeReport {
                    prober,
                    sent,
                    acked: acked.into_iter().collect(),
                    figures: ProbeFigures {
                        write_gap_ms: gap,
                        ..ProbeFigures::default()
                    },
                },
            }
        ),
    ]
    .boxed()
}
