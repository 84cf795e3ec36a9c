//! Drills on three masters in one process. Stopping one of them would stop all: here a lost leader is a silent one.

mod support;

use std::time::{Duration, Instant};

use docklet_control::drill::command::{DrillAsk, DrillCommand};
use docklet_control::drill::refusal::DrillRefusal;
use docklet_control::id::{DrillId, MasterId, RequestId, UserId};
use docklet_control::model::Drill;
use docklet_control::model::drill::{
    DrillAbort, DrillCut, DrillEnding, DrillKind, DrillReason, DrillStage, FaultEnd, Verdict,
};
use docklet_control::model::receipt::Subject;
use docklet_control::{Command, Refusal};
use docklet_link::gate::Barred;
use docklet_raft::ProposeFault;
use tempfile::TempDir;

use support::{ADMIN, Member, PATIENCE, dirs, three, wait_for};

/// Three masters of which the leader has heard.
async fn well(dirs: &[TempDir; 3]) -> [Member; 3] {
    let members = three(dirs).await;
    for _ in 0..1_000 {
        let group = members[0].master.group(PATIENCE).await.expect("a leader");
        if group.seats.iter().all(|seat| seat.silent_ms < 500) {
            return members;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the leader does not hear of all");
}

fn ask(kind: DrillKind, fault_ms: u64, gap_max_ms: u64) -> DrillAsk {
    DrillAsk {
        kind,
        target: None,
        cut: DrillCut::Both,
        announce_ms: 300,
        fault_ms,
        gap_max_ms,
    }
}

async fn start(member: &Member, ask: DrillAsk) -> Result<DrillId, ProposeFault> {
    let group = member.master.group(PATIENCE).await.expect("a leader");
    let command = Command::Drill(DrillCommand::Start { ask, group });
    let request = RequestId(rand::random());
    let receipt = member.master.propose(ADMIN, request, command, PATIENCE);
    match receipt.await?.accepted().expect("accepted") {
        Subject::Drill(id) => Ok(*id),
        Subject::None
        | Subject::Vcluster(_)
        | Subject::User(_)
        | Subject::Master(_)
        | Subject::Worker(_)
        | Subject::Moves(_) => {
            panic!("it made no drill")
        }
    }
}

fn drill(member: &Member, id: DrillId) -> Option<Drill> {
    member.master.local().state.drills.get(&id).cloned()
}

#[expect(
    clippy::print_stdout,
    reason = "the figures of a drill are what one wants to see"
)]
async fn ended(members: &[&Member], id: DrillId) -> (Drill, DrillEnding) {
    for member in members {
        wait_for("end of the drill", || {
            drill(member, id).is_some_and(|drill| !drill.runs())
        })
        .await;
    }
    let drill = drill(members[0], id).expect("it has ended");
    let ending = drill.ending.clone().expect("it has ended");
    let f = &ending.figures;
    println!(
        "{}: {} in {} ms; write gap {} ms (usually {}), next write after {:?} ms, read gap {} ms, healed after {:?} ms, {} elections, {} of {} probes acknowledged, {} lost; {:?}",
        drill.plan.kind.word(),
        ending.verdict.word(),
        ending.at.since_ms(drill.announced_at),
        f.write_gap_ms,
        f.write_gap_before_ms,
        f.resumed_ms,
        f.read_gap_ms,
        f.healed_ms,
        f.elections,
        f.probes_acked,
        f.probes_sent,
        f.probes_lost,
        ending.reasons,
    );
    (drill, ending)
}

async fn stage(member: &Member, id: DrillId, wanted: DrillStage) {
    wait_for(wanted.word(), || {
        drill(member, id).is_some_and(|drill| drill.stage == wanted)
    })
    .await;
}

fn leader(members: &[Member; 3]) -> MasterId {
    let leader = members.iter().find(|member| member.master.is_leader());
    leader.expect("somebody leads").master.id()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_leader_is_replaced_within_what_was_accepted_and_nothing_is_lost() {
    let dirs = dirs();
    let members = well(&dirs).await;
    let before = leader(&members);
    let id = start(&members[1], ask(DrillKind::LeaderLoss, 2_000, 5_000))
        .await
        .expect("announced");
    let (drill, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Passed, "{:?}", ending.reasons);
    assert_eq!(drill.plan.targets, [before]);
    assert_ne!(ending.figures.leader_after, Some(before));
    assert!(ending.figures.elections >= 1);
    assert!(ending.figures.probes_acked > 20, "{:?}", ending.figures);
    assert_eq!(ending.checks.len(), 3, "every voter was looked at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_cut_off_costs_nothing() {
    let dirs = dirs();
    let members = well(&dirs).await;
    let target = members
        .iter()
        .find(|member| !member.master.is_leader())
        .expect("a follower");
    let name = target.master.local().state.masters[&target.master.id()]
        .name
        .to_string();
    let ask = DrillAsk {
        target: Some(name),
        ..ask(DrillKind::Partition, 1_500, 2_000)
    };
    let id = start(&members[0], ask).await.expect("announced");
    let (drill, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Passed, "{:?}", ending.reasons);
    assert!(ending.figures.held_ms >= 1_500, "{:?}", drill.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nobody_writes_and_then_everybody_does_again() {
    let dirs = dirs();
    let members = well(&dirs).await;
    let id = start(&members[2], ask(DrillKind::QuorumLoss, 2_000, 6_000))
        .await
        .expect("announced");
    stage(&members[0], id, DrillStage::Fault).await;
    let (drill, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Passed, "{:?}", ending.reasons);
    assert_eq!(drill.plan.targets.len(), 2, "two of three");
    assert!(ending.figures.write_gap_ms >= 1_500, "{:?}", ending.figures);
    assert!(ending.figures.read_gap_ms >= 1_500, "{:?}", ending.figures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_drill_and_one_on_a_cluster_that_is_not_well_are_refused() {
    let dirs = dirs();
    let [one, two, three] = well(&dirs).await;
    let partition = || ask(DrillKind::Partition, 500, 5_000);
    let id = start(&one, partition()).await.expect("announced");
    match start(&two, partition()).await {
        Err(ProposeFault::Refused(Refusal::Drill(DrillRefusal::Running { drill }))) => {
            assert_eq!(drill, id);
        }
        other => panic!("{other:?}"),
    }
    ended(&[&one, &two, &three], id).await;
    three.stop().await;
    let mut last = None;
    for _ in 0..200 {
        match start(&two, partition()).await {
            Err(ProposeFault::Refused(Refusal::Drill(DrillRefusal::Unwell { cause }))) => {
                last = Some(cause);
                break;
            }
            // It takes a moment until its silence is noticed: then the drill is aborted before it begins.
            Ok(id) => drop(ended(&[&one, &two], id).await),
            Err(ProposeFault::Refused(Refusal::Drill(DrillRefusal::Running { .. }))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let cause = last.expect("refused");
    assert!(cause.contains("m3"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_is_aborted_without_a_quorum_too() {
    let dirs = dirs();
    let members = well(&dirs).await;
    let id = start(&members[0], ask(DrillKind::QuorumLoss, 20_000, 40_000))
        .await
        .expect("announced");
    stage(&members[0], id, DrillStage::Fault).await;
    let cut_off = |member: &&Member| member.master.gate().barred() == Barred::BOTH;
    wait_for("two masters that are cut off", || {
        members.iter().filter(cut_off).count() == 2
    })
    .await;
    let asked = Instant::now();
    let outside = members
        .iter()
        .find(|member| member.master.is_leader())
        .expect("the leader is no target");
    outside.master.drill_is_unwanted(id);
    let abort = Command::Drill(DrillCommand::Abort {
        drill: id,
        reason: DrillAbort::Asked { user: UserId(1) },
    });
    let request = RequestId(rand::random());
    outside
        .master
        .propose(ADMIN, request, abort, PATIENCE)
        .await
        .expect("there is a quorum again");
    let (drill, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Aborted, "{:?}", ending.reasons);
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "{:?}",
        asked.elapsed()
    );
    for fault in &drill.faults {
        assert!(matches!(fault.end, FaultEnd::Told { .. }), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_costs_more_than_was_accepted_heals_at_once_and_has_failed() {
    let dirs = dirs();
    let members = well(&dirs).await;
    let before = leader(&members);
    let id = start(&members[0], ask(DrillKind::Partition, 20_000, 3_000))
        .await
        .expect("announced");
    stage(&members[0], id, DrillStage::Fault).await;
    // Another master falls silent, which the drill did not ask for: now nobody has a quorum.
    let other = members.iter().find(|member| member.master.id() != before);
    let shut = other.expect("a follower").master.gate().shut(Barred::BOTH);
    let healed = members
        .iter()
        .filter(|member| member.master.id() != other.map_or(before, |o| o.master.id()));
    let healed: Vec<&Member> = healed.collect();
    for member in &healed {
        wait_for("end of the fault", || {
            drill(member, id).is_some_and(|drill| !drill.faults.is_empty())
        })
        .await;
    }
    drop(shut);
    let (drill, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Failed, "{:?}", ending.reasons);
    let held_ms = drill.faults[0].held_ms.expect("it was carried out");
    assert!(held_ms < 6_000, "{:?}", drill.faults);
    let too_long = |reason: &DrillReason| matches!(reason, DrillReason::GapTooLong { .. });
    assert!(ending.reasons.iter().any(too_long), "{:?}", ending.reasons);
    let aborted = drill.aborted;
    assert!(
        matches!(aborted, Some(DrillAbort::GapExceeded { .. })),
        "{aborted:?}"
    );
}

/// Where a master in this directory tries a backup out.
fn scratch(dir: &TempDir) -> std::path::PathBuf {
    dir.path().join("rehearsal")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored_beside_the_cluster_by_one_that_does_not_lead() {
    let dirs = dirs();
    std::fs::create_dir(scratch(&dirs[1])).expect("what a killed master leaves");
    let members = well(&dirs).await;
    let leads = leader(&members);
    for number in 0..20 {
        members[0].write(&format!("user-{number}")).await;
    }
    let id = start(&members[1], ask(DrillKind::Restore, 30_000, 5_000))
        .await
        .expect("announced");
    let (drill, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Passed, "{:?}", ending.reasons);
    let report = drill.restored.expect("reported");
    assert_ne!(report.master, leads, "who leads has writes to look after");
    let figures = report.outcome.expect("restored");
    assert!(figures.same_state && figures.bytes > 1_000, "{figures:?}");
    assert!(figures.index.0 >= id.0, "it is of what there is now");
    assert!(drill.healed_ms.is_some() && ending.figures.elections == 0);
    for dir in &dirs {
        assert!(!scratch(dir).exists(), "nothing is left of it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_cannot_be_done_has_failed_and_says_why() {
    let dirs = dirs();
    let members = well(&dirs).await;
    for dir in &dirs {
        std::fs::write(scratch(dir), "in the way").expect("written");
    }
    let id = start(&members[0], ask(DrillKind::Restore, 5_000, 5_000))
        .await
        .expect("announced");
    let (_, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Failed, "{:?}", ending.reasons);
    assert!(
        matches!(ending.reasons.as_slice(), [DrillReason::NotRestored { cause }] if cause.contains("rehearsal")),
        "{:?}",
        ending.reasons
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_aborted_leaves_nothing_and_the_next_one_passes() {
    let dirs = dirs();
    let members = well(&dirs).await;
    let id = start(&members[0], ask(DrillKind::Restore, 60_000, 5_000))
        .await
        .expect("announced");
    stage(&members[0], id, DrillStage::Fault).await;
    let abort = Command::Drill(DrillCommand::Abort {
        drill: id,
        reason: DrillAbort::Asked { user: UserId(1) },
    });
    let request = RequestId(rand::random());
    let aborted = members[0].master.propose(ADMIN, request, abort, PATIENCE);
    aborted.await.expect("aborted");
    let (drill, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Aborted, "{:?}", ending.reasons);
    assert!(drill.restored.is_none(), "{:?}", drill.restored);
    wait_for("nothing to be left of it", || {
        dirs.iter().all(|dir| !scratch(dir).exists())
    })
    .await;
    let id = start(&members[0], ask(DrillKind::Restore, 60_000, 5_000))
        .await
        .expect("announced");
    let (_, ending) = ended(&members.each_ref(), id).await;
    assert_eq!(ending.verdict, Verdict::Passed, "{:?}", ending.reasons);
}
