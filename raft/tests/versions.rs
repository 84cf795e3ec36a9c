//! Masters whose programs know different versions of the cluster, side by side.

mod support;

use docklet_control::id::RequestId;
use docklet_control::model::ClusterVersion;
use docklet_control::{Command, Refusal, version};
use docklet_link::Credentials;
use docklet_link::identity::PeerRole;
use docklet_raft::{
    HistoryLimits, JoinKind, Master, MasterConfig, ProposeFault, RaftFault, Timing, join,
};
use support::{ADMIN, Member, PATIENCE, agree, dirs, three, token, wait_for};
use tempfile::TempDir;

const OLD: ClusterVersion = ClusterVersion::FIRST;
const NEW: ClusterVersion = ClusterVersion(2);

fn has_risen(member: &Member) -> bool {
    member.master.local().state.version() == NEW
}

/// Restarts a member with another program, and waits until the cluster knows.
async fn upgrade(member: Member, others: &Member, to: ClusterVersion) -> Member {
    let (dir, addr) = member.stop().await;
    let member = Member::run_knowing(&dir, &addr, to).await;
    wait_for("a report of the program", || {
        let state = others.master.local().state;
        let master = &state.masters[&member.master.id()];
        version::known_by(&state, master) == to
    })
    .await;
    member
}

async fn record_backup(member: &Member) -> Result<(), ProposeFault> {
    let request = RequestId(rand::random());
    let proposed = member
        .master
        .propose(ADMIN, request, Command::RecordBackup, PATIENCE);
    proposed.await.map(|_| ())
}

/// Why a master does not start from a directory.
async fn refused(member: &TempDir, knows: ClusterVersion) -> Refusal {
    let started = Master::start(MasterConfig {
        data_dir: member.path().to_owned(),
        credentials: Credentials::load(member.path())
            .expect("it has joined")
            .into(),
        timing: Timing::default(),
        history: HistoryLimits::default(),
        knows,
    })
    .await;
    match started {
        Err(RaftFault::TooOld(refusal)) => refusal,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it started"),
    }
}

fn too_old() -> Refusal {
    Refusal::ProgramTooOld {
        knows: OLD.0,
        agreed: NEW.0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_version_rises_with_the_last_master_and_older_programs_stay_out() {
    let dirs = dirs();
    let [one, two, three] = three(&dirs).await;

    // As long as one of them is old, nothing new is written, whoever leads.
    let two = upgrade(two, &one, NEW).await;
    let three = upgrade(three, &one, NEW).await;
    one.write("ada").await;
    assert!(!has_risen(&one) && !has_risen(&two));
    match record_backup(&three).await {
        Err(ProposeFault::Refused(Refusal::VersionTooLow {
            needs: 2, has: 1, ..
        })) => {}
        other => panic!("{other:?}"),
    }
    // The first one has both reports applied, `upgrade` waited for that; the others may be behind it.
    let held = version::held_back(&one.master.local().state);
    assert_eq!(held, Some((NEW, vec!["m1".to_owned()])));

    // The last but one goes while the last one comes: what it knows was said before.
    let (_, addr) = three.stop().await;
    let (dir, first_addr) = one.stop().await;
    let one = Member::run_knowing(&dir, &first_addr, NEW).await;
    wait_for("the new version", || has_risen(&one) && has_risen(&two)).await;
    record_backup(&two).await.expect("accepted now");

    // A program that was taken back meanwhile has no word of it on its disk, reads of it in the log, and ends.
    let back = Member::run_knowing(dirs[2].path(), &addr, OLD).await;
    let failed = tokio::time::timeout(PATIENCE, back.master.failed());
    let RaftFault::TooOld(refusal) = failed.await.expect("it ends in time") else {
        panic!("it ends for another reason");
    };
    assert_eq!(refusal, too_old());
    back.stop().await;

    // The new one goes on where it stopped, and from then on the disk itself says it.
    let three = Member::run_knowing(dirs[2].path(), &addr, NEW).await;
    let last = one.write("grace").await;
    agree(&[&one, &two, &three], last).await;
    assert!(three.master.local().state.last_backup.is_some());
    three.stop().await;
    assert_eq!(refused(&dirs[2], OLD).await, too_old());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_master_that_knows_too_little_does_not_join() {
    let dir = TempDir::new().expect("directory");
    let old = support::first(dir.path()).await;
    let (path, addr) = old.stop().await;
    let one = Member::run_knowing(&path, &addr, NEW).await;
    wait_for("the new version", || has_risen(&one)).await;
    let token = token(&one, PeerRole::Master, 1).await;
    let joins = TempDir::new().expect("directory");
    let kind = |knows| JoinKind::Master {
        name: "m2".to_owned(),
        cluster_addr: support::free_addr(),
        public_addr: "127.0.0.1:1".to_owned(),
        knows,
    };
    match join(&token, kind(OLD), joins.path()).await {
        Err(ProposeFault::Refused(refusal)) => assert_eq!(refusal, too_old()),
        other => panic!("{:?}", other.map(|answer| answer.id)),
    }
    assert_eq!(one.master.local().state.masters.len(), 1);
    // Its token is as good as before, for a newer program.
    join(&token, kind(NEW), joins.path()).await.expect("joins");
}
