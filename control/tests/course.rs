//! What the leader does next with a drill, as a table.

use docklet_control::drill::command::{DrillCommand, GroupView};
use docklet_control::drill::course::{Next, Seen, next};
use docklet_control::id::{DrillId, MasterId, UnixMs, UserId};
use docklet_control::model::drill::{
    Drill, DrillAbort, DrillBegun, DrillCut, DrillKind, DrillMark, DrillPlan, DrillStage,
    DrillStep, FaultEnd, FaultReport, ProbeLog, Prober, RestoreReport,
};
use docklet_control::model::runs::Runs;
use docklet_control::quorum::Seat;

const ID: DrillId = DrillId(40);
const FAULT_AT: u64 = 10_000;

/// Announced at 0 for 10 s, a fault of 3 s, 5 s of gap accepted.
fn drill(kind: DrillKind, targets: &[u64]) -> Drill {
    Drill {
        id: ID,
        plan: DrillPlan {
            kind,
            cut: DrillCut::Both,
            targets: targets.iter().copied().map(MasterId).collect(),
            probers: Vec::new(),
            announce_ms: FAULT_AT,
            fault_ms: 3_000,
            gap_max_ms: 5_000,
            estimate_ms: 1_000,
        },
        stage: DrillStage::Announced,
        asked_by: UserId(1),
        announced_at: UnixMs(0),
        fault_at: UnixMs(FAULT_AT),
        ends_by: UnixMs(33_000),
        begun: None,
        runner: None,
        aborted: None,
        steps: Vec::new(),
        probes: Vec::new(),
        faults: Vec::new(),
        measured: Vec::new(),
        restored: None,
        healed_ms: None,
        ending: None,
    }
}

fn begun(kind: DrillKind, targets: &[u64], runner: u64) -> Drill {
    Drill {
        stage: DrillStage::Fault,
        runner: Some(MasterId(runner)),
        begun: Some(DrillBegun {
            at: UnixMs(FAULT_AT),
            term: 1,
            leader: MasterId(runner),
            vnodes_running: 0,
        }),
        ..drill(kind, targets)
    }
}

fn reported(mut drill: Drill, masters: &[u64]) -> Drill {
    drill.faults = masters
        .iter()
        .map(|id| FaultReport {
            master: MasterId(*id),
            held_ms: Some(3_000),
            end: FaultEnd::Time,
        })
        .collect();
    drill
}

fn checking(mut drill: Drill, at: u64) -> Drill {
    drill.stage = DrillStage::Checking;
    drill.steps.push(DrillStep {
        at: UnixMs(at),
        what: DrillMark::Checking,
    });
    drill.probes.push(ProbeLog {
        prober: Prober::Client,
        recorded: Runs::from_iter([1]),
    });
    drill
}

/// Master `me` leads three voters; `silent` of them do not answer.
fn seen(me: u64, silent: &[u64]) -> Seen {
    let seats = [1, 2, 3].map(|id| Seat {
        master: MasterId(id),
        voter: true,
        leads: id == me,
        silent_ms: if silent.contains(&id) { 2_000 } else { 10 },
        lag: 0,
        steady_ms: 0,
    });
    Seen {
        me: MasterId(me),
        group: GroupView {
            term: 2,
            election_ms: 500,
            seats: seats.to_vec(),
        },
        followed: true,
        ..Seen::default()
    }
}

fn at(drill: &Drill, seen: &Seen, ms: u64) -> Next {
    next(drill, seen, UnixMs(ms))
}

fn aborts(reason: DrillAbort) -> Next {
    Next::Propose(DrillCommand::Abort { drill: ID, reason })
}

fn takes_over(me: u64) -> Next {
    Next::Propose(DrillCommand::TakeOver {
        drill: ID,
        runner: MasterId(me),
    })
}

fn checks(healed_ms: Option<u64>) -> Next {
    Next::Propose(DrillCommand::Check {
        drill: ID,
        healed_ms,
    })
}

#[test]
fn the_announcement_stands_as_long_as_was_said() {
    let drill = drill(DrillKind::LeaderLoss, &[1]);
    assert_eq!(at(&drill, &seen(1, &[]), 9_999), Next::Wait);
    let begins = at(&drill, &seen(1, &[]), 10_000);
    assert!(
        matches!(begins, Next::Propose(DrillCommand::Begin { .. })),
        "{begins:?}"
    );
    assert_eq!(
        at(&drill, &seen(1, &[]), 33_001),
        aborts(DrillAbort::OutOfTime)
    );
}

#[test]
fn a_leader_that_is_the_target_leaves_the_drill_alone_until_it_has_healed() {
    let drill = begun(DrillKind::LeaderLoss, &[1], 1);
    assert_eq!(at(&drill, &seen(1, &[]), 14_000), Next::Wait);
    assert_eq!(
        at(&reported(drill, &[1]), &seen(1, &[2]), 14_000),
        Next::Wait,
        "2 is not back"
    );
}

#[test]
fn a_new_leader_takes_over_if_losing_the_old_one_was_the_fault() {
    let drill = begun(DrillKind::LeaderLoss, &[1], 1);
    assert_eq!(at(&drill, &seen(2, &[1]), 11_000), takes_over(2));
}

#[test]
fn a_new_leader_asks_the_old_one_if_that_was_no_target_and_aborts_if_it_is_gone() {
    let drill = begun(DrillKind::QuorumLoss, &[2, 3], 1);
    let mut seen = seen(2, &[]);
    assert_eq!(
        at(&reported(drill.clone(), &[2]), &seen, 14_000),
        Next::AskRunner(MasterId(1))
    );
    seen.runner_follows = Some(true);
    assert_eq!(
        at(&reported(drill.clone(), &[2]), &seen, 14_000),
        takes_over(2)
    );
    seen.runner_follows = Some(false);
    let lost = aborts(DrillAbort::RunnerLost {
        runner: MasterId(1),
    });
    assert_eq!(at(&reported(drill, &[2]), &seen, 14_000), lost);
}

#[test]
fn a_runner_that_was_started_anew_aborts() {
    let drill = begun(DrillKind::QuorumLoss, &[2, 3], 1);
    let mut seen = seen(1, &[]);
    seen.followed = false;
    let lost = aborts(DrillAbort::RunnerLost {
        runner: MasterId(1),
    });
    assert_eq!(at(&drill, &seen, 11_000), lost);
}

#[test]
fn what_costs_more_than_was_accepted_is_cut_short() {
    let drill = begun(DrillKind::Partition, &[3], 1);
    let mut seen = seen(1, &[3]);
    seen.gap_ms = 5_000;
    assert_eq!(at(&drill, &seen, 12_000), Next::Wait);
    seen.gap_ms = 5_001;
    assert_eq!(
        at(&drill, &seen, 12_000),
        aborts(DrillAbort::GapExceeded { gap_ms: 5_001 })
    );
}

#[test]
fn checking_begins_when_all_is_whole_and_no_later_than_it_may() {
    let drill = begun(DrillKind::Partition, &[3], 1);
    assert_eq!(at(&drill, &seen(1, &[3]), 12_000), Next::Wait);
    let done = reported(drill.clone(), &[3]);
    assert_eq!(
        at(&done, &seen(1, &[3]), 13_300),
        Next::Wait,
        "3 has not caught up"
    );
    assert_eq!(at(&done, &seen(1, &[]), 13_300), checks(Some(100)));
    assert_eq!(at(&drill, &seen(1, &[3]), 21_200), Next::Wait);
    assert_eq!(
        at(&drill, &seen(1, &[3]), 21_201),
        checks(None),
        "3 does not come back"
    );
}

#[test]
fn a_restore_is_done_when_it_was_reported_by_one_that_does_not_lead() {
    let mut drill = begun(DrillKind::Restore, &[], 1);
    assert_eq!(drill.restorer(), Some(MasterId(1)), "it is alone");
    drill.plan.probers = vec![MasterId(1), MasterId(2)];
    assert_eq!(drill.restorer(), Some(MasterId(2)));
    assert_eq!(begun(DrillKind::Partition, &[3], 1).restorer(), None);
    assert_eq!(at(&drill, &seen(1, &[]), 12_000), Next::Wait);
    assert_eq!(at(&drill, &seen(1, &[]), 21_201), checks(None), "in vain");
    drill.restored = Some(RestoreReport {
        master: MasterId(2),
        outcome: Err("its disk is full".to_owned()),
    });
    drill.steps.push(DrillStep {
        at: UnixMs(11_900),
        what: DrillMark::Restored,
    });
    assert_eq!(at(&drill, &seen(1, &[]), 12_000), checks(Some(100)));
}

#[test]
fn what_is_aborted_heals_before_it_is_checked() {
    let mut drill = begun(DrillKind::Partition, &[3], 1);
    drill.stage = DrillStage::Healing;
    drill.aborted = Some(DrillAbort::OutOfTime);
    assert_eq!(at(&drill, &seen(1, &[3]), 12_000), Next::Wait);
    assert_eq!(
        at(&reported(drill.clone(), &[3]), &seen(2, &[]), 13_500),
        checks(Some(300))
    );
    assert_eq!(at(&drill, &seen(1, &[3]), 33_001), checks(None));
}

#[test]
fn the_verdict_waits_for_the_probers_but_not_for_ever() {
    let drill = checking(reported(begun(DrillKind::Partition, &[3], 1), &[3]), 14_000);
    let mut seen = seen(1, &[]);
    assert_eq!(at(&drill, &seen, 17_000), Next::Wait);
    assert_eq!(
        at(&drill, &seen, 17_001),
        Next::AskForChecks,
        "the client is gone"
    );
    seen.checks = Some(Vec::new());
    let finish = at(&drill, &seen, 17_001);
    assert!(
        matches!(finish, Next::Propose(DrillCommand::Finish { .. })),
        "{finish:?}"
    );
}

#[test]
fn what_is_new_of_a_worker_that_looks_lost_is_noted_and_its_return_is_waited_for() {
    let drill = begun(DrillKind::WorkerLoss, &[], 1);
    let looks = |loss_is_new, loss_is_over| Seen {
        loss_is_new,
        loss_is_over,
        ..seen(1, &[])
    };
    let during = UnixMs(FAULT_AT + 2_000);
    let noted = Next::Propose(DrillCommand::NoteLoss { drill: ID });
    assert_eq!(next(&drill, &looks(true, false), during), noted);
    assert_eq!(next(&drill, &looks(false, false), during), Next::Wait);
    let over = next(&drill, &looks(false, true), during);
    let checks = |next| matches!(next, Next::Propose(DrillCommand::Check { .. }));
    assert!(checks(over));
    // Whoever never comes back is not waited for.
    assert!(checks(next(&drill, &looks(false, false), UnixMs(32_000))));
}

#[test]
fn masters_that_watch_vnodes_are_waited_for_a_while() {
    let mut drill = begun(DrillKind::WorkerLoss, &[], 1);
    drill.stage = DrillStage::Checking;
    let at = UnixMs(20_000);
    let what = DrillMark::Checking;
    drill.steps.push(DrillStep { at, what });
    let missing = Seen {
        service_is_missing: true,
        ..seen(1, &[])
    };
    assert_eq!(next(&drill, &missing, at.plus_ms(1)), Next::Wait);
    assert_eq!(
        next(&drill, &missing, at.plus_ms(4_000)),
        Next::AskForChecks
    );
    assert_eq!(
        next(&drill, &seen(1, &[]), at.plus_ms(1)),
        Next::AskForChecks
    );
}
