//! Clusters that begin anew: restored from a backup, and recovered by the one master that is left.

mod support;

use std::fs::{self, File};
use std::path::Path;

use docklet_control::id::{LogIndex, MasterId, RequestId, SecretHash, UnixMs, UserId};
use docklet_control::model::{SessionKind, WorkerCapacity, WorkerStatus};
use docklet_control::{Actor, Command};
use docklet_link::Credentials;
use docklet_link::identity::PeerRole;
use docklet_raft::backup;
use docklet_raft::offline::{Leash, NewMaster, OfflineFault, inspect, recover, rehearse, restore};
use docklet_raft::{JoinKind, join};
use support::{
    Member, PATIENCE, agree, dirs, first, free_addr, joined, three, token, voters, wait_for,
};
use tempfile::TempDir;

const NOW: UnixMs = UnixMs(1_700_000_000_000);

fn new_master(addr: &str) -> NewMaster {
    NewMaster {
        name: "r1".to_owned(),
        cluster_addr: addr.to_owned(),
        public_addr: "127.0.0.1:1".to_owned(),
        files: vec![("note.txt".to_owned(), b"kept".to_vec())],
    }
}

fn take(member: &Member, file: &Path) -> backup::Backup {
    let mut out = File::create(file).expect("made");
    backup::write(&member.master.local(), NOW, &mut out).expect("written")
}

async fn ask(member: &Member, actor: Actor, command: Command) -> LogIndex {
    let request = RequestId(rand::random());
    let asked = member.master.propose(actor, request, command, PATIENCE);
    asked.await.expect("accepted").index
}

fn agent(name: &str) -> JoinKind {
    JoinKind::Agent {
        name: name.to_owned(),
        data_addr: "127.0.0.1:7".to_owned(),
        underlay: std::net::IpAddr::from([127, 0, 0, 1]),
        capacity: WorkerCapacity::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_becomes_a_new_cluster_that_keeps_what_it_may_and_nothing_else() {
    let (scratch, old_dirs) = (TempDir::new().expect("directory"), dirs());
    let old = three(&old_dirs).await;
    for number in 0..20 {
        old[number % 3].write(&format!("user-{number}")).await;
    }
    let invited = token(&old[0], PeerRole::Agent, 5).await;
    let worker = join(&invited, agent("w1"), &scratch.path().join("w1"))
        .await
        .expect("joins");
    let session = SecretHash([5; 32]);
    let open = Command::OpenSession {
        user: UserId(1),
        id: session,
        kind: SessionKind::Token,
        ttl_ms: 60_000,
    };
    let door = Actor::Door(old[0].master.id());
    let last = ask(&old[0], door, open).await;
    let old_state = old[1].master.wait_applied(last, PATIENCE).await;
    let old_state = old_state.expect("caught up").state;
    let file = scratch.path().join("backup");
    let taken = take(&old[1], &file);
    let (addr, dir) = (free_addr(), scratch.path().join("deep/new"));
    let restored = restore(&file, &dir, new_master(&addr), NOW).await;
    let restored = restored.expect("restored");
    assert_eq!(restored.backup, taken);
    assert_eq!(fs::read(dir.join("note.txt")).expect("there"), b"kept");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&dir).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o700);
    let own = Credentials::load(&dir).expect("credentials");
    let old_own = Credentials::load(&old[0].dir).expect("credentials");
    assert_ne!(own.identity.cluster, old_own.identity.cluster);
    assert_ne!(own.ca, old_own.ca);

    let new = Member::run(&dir, &addr).await;
    let frozen = new.master.read(PATIENCE).await.expect("it leads itself");
    let state = &frozen.state;
    assert_eq!(state.users, old_state.users);
    assert_eq!(state.masters.keys().collect::<Vec<_>>(), [&restored.master]);
    assert!(state.sessions.is_empty() && state.join_tokens.is_empty());
    let lineage = state.lineage.expect("it says where it comes from");
    assert_eq!(lineage.from, old_state.settings.as_ref().map(|s| s.cluster));
    assert!(
        state
            .workers
            .values()
            .all(|w| w.status == WorkerStatus::Unadmitted)
    );

    // It grows, takes its workers back under their ids, and gives no id that the old cluster can give.
    let index = new.write("later").await;
    assert!(index > restored.index);
    let grown = token(&new, PeerRole::Master, 2).await;
    let two = joined(&grown, old_dirs[1].path().join("n2").as_path(), "m2").await;
    let three = joined(&grown, old_dirs[2].path().join("n3").as_path(), "m3").await;
    wait_for("three voters", || voters(&new) == 3).await;
    let invited = token(&two, PeerRole::Agent, 1).await;
    let back = join(&invited, agent("w1"), &scratch.path().join("w1-again"))
        .await
        .expect("joins");
    assert_eq!((back.id, back.cluster), (worker.id, restored.cluster.0));
    agree(&[&new, &two, &three], back.index).await;
    let user = two.master.local().state.users.keys().next_back().copied();
    assert!(user > Some(UserId(200)), "{user:?}");
    // The old one goes on, and knows nothing of it.
    old[2].write("still").await;
    let masters = &old[0].master.local().state.masters;
    assert_eq!(masters.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_restored_makes_nothing() {
    let (scratch, home) = (
        TempDir::new().expect("directory"),
        TempDir::new().expect("directory"),
    );
    let one = first(home.path()).await;
    for number in 0..100 {
        one.write(&format!("user-{number}")).await;
    }
    let good = scratch.path().join("good");
    take(&one, &good);
    let bytes = fs::read(&good).expect("read");
    let flipped: Vec<u8> = bytes
        .iter()
        .enumerate()
        .map(|(at, b)| if at == 999 { b ^ 4 } else { *b })
        .collect();
    let mut newer = bytes.clone();
    newer[8] = 7;
    let bad: [(&str, &[u8]); 5] = [
        ("cut", &bytes[..bytes.len() - 40]),
        ("flipped", &flipped),
        ("newer", &newer),
        ("empty", b""),
        ("text", b"master = 1\n"),
    ];
    let (file, dir) = (scratch.path().join("bad"), scratch.path().join("new"));
    for (what, bytes) in bad {
        fs::write(&file, bytes).expect("written");
        for there in [false, true] {
            if there {
                fs::create_dir(&dir).expect("made");
            }
            let refused = restore(&file, &dir, new_master("127.0.0.1:9"), NOW).await;
            assert!(
                matches!(refused, Err(OfflineFault::Backup(_))),
                "{what}: {refused:?}"
            );
            let left = fs::read_dir(&dir).map_or(0, Iterator::count);
            assert_eq!((dir.exists(), left), (there, 0), "{what}");
            if there {
                fs::remove_dir(&dir).expect("empty");
            }
        }
    }
    // Sound, and still refused: a name that none is, a place that is used, one that is being used.
    let unnamed = NewMaster {
        name: "-x".to_owned(),
        ..new_master("127.0.0.1:9")
    };
    let refused = restore(&good, &dir, unnamed, NOW).await;
    assert!(
        matches!(refused, Err(OfflineFault::Refused(_))),
        "{refused:?}"
    );
    let nowhere = restore(&good, &dir, new_master("nowhere"), NOW).await;
    assert!(
        matches!(nowhere, Err(OfflineFault::Refused(_))),
        "{nowhere:?}"
    );
    let used = restore(&good, home.path(), new_master("127.0.0.1:9"), NOW).await;
    assert!(matches!(used, Err(OfflineFault::Used { .. })), "{used:?}");
    let names = |dir: &Path| {
        let names = fs::read_dir(dir)
            .expect("listed")
            .map(|e| e.expect("entry").file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(names(scratch.path()), ["bad", "good"]);
    fs::create_dir(scratch.path().join("new.restoring")).expect("made");
    let staged = restore(&good, &dir, new_master("127.0.0.1:9"), NOW).await;
    assert!(
        matches!(staged, Err(OfflineFault::Staged { .. })),
        "{staged:?}"
    );
    one.write("nobody-hurt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_one_master_that_is_left_goes_on_with_all_it_has_and_the_old_ones_are_out() {
    let dirs = dirs();
    let [one, two, three] = three(&dirs).await;
    let mut last = LogIndex(0);
    for number in 0..30 {
        last = one.write(&format!("user-{number}")).await;
    }
    agree(&[&one, &two, &three], last).await;
    let runs = inspect(three.dir.as_path()).await;
    let told = format!("{:?}", runs.expect_err("it runs"));
    assert!(told.contains("in use by another process"), "{told}");
    let (old_id, lost) = (two.master.id(), three.master.id());
    let (dir_one, addr_one) = one.stop().await;
    let (dir, addr) = three.stop().await;
    let survivor = inspect(&dir).await.expect("looked at");
    assert_eq!((survivor.master, survivor.others.len()), (lost, 2));
    assert!(survivor.last >= last, "{survivor:?}");

    let early = recover(&dir, survivor.last, NOW).await;
    assert!(
        matches!(early, Err(OfflineFault::Answers { .. })),
        "one still runs: {early:?}"
    );
    let (dir_two, addr_two) = two.stop().await;
    let unsure = recover(&dir, LogIndex(survivor.last.0 - 1), NOW).await;
    assert!(
        matches!(unsure, Err(OfflineFault::AcceptDiffers { .. })),
        "{unsure:?}"
    );
    let (_, begun) = recover(&dir, survivor.last, NOW).await.expect("recovered");

    let alone = Member::run(&dir, &addr).await;
    let frozen = alone.master.read(PATIENCE).await.expect("it leads itself");
    assert_eq!(frozen.state.users.len(), 31, "admin and all others");
    assert_eq!(frozen.state.masters.keys().collect::<Vec<_>>(), [&lost]);
    let index = alone.write("alone").await;
    assert!(index > begun);

    // The old ones come back: neither gets in, and the one that is left is what it was.
    let old = Member::run(&dir_two, &addr_two).await;
    let refused = old.master.read(std::time::Duration::from_secs(2)).await;
    assert!(refused.is_err(), "it has no quorum any more");
    assert!(!alone.master.local().state.masters.contains_key(&old_id));

    // New ones come, under the names of the old.
    let grown = token(&alone, PeerRole::Master, 2).await;
    let fresh = support::dirs();
    let second = joined(&grown, fresh[0].path(), "m1").await;
    let third = joined(&grown, fresh[1].path(), "m2").await;
    wait_for("three voters", || voters(&alone) == 3).await;
    let index = second.write("three-again").await;
    agree(&[&alone, &second, &third], index).await;
    let ids: Vec<_> = second
        .master
        .local()
        .state
        .masters
        .keys()
        .copied()
        .collect();
    assert!(
        ids.iter().all(|id| *id == lost || *id > MasterId(begun.0)),
        "{ids:?}"
    );

    // Even both of the old ones together, which elect one of them, are nothing to the new group, and end.
    let older = Member::run(&dir_one, &addr_one).await;
    let [old, older] = [old, older].map(ended);
    tokio::join!(old, older);
    let index = third.write("and-on").await;
    agree(&[&alone, &second, &third], index).await;
}

/// Runs until it hears that it was removed, and ends as a process does then.
async fn ended(member: Member) {
    let heard = tokio::time::timeout(PATIENCE, member.master.removed()).await;
    heard.unwrap_or_else(|_| panic!("it does not hear it: {:#?}", member.master.status()));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_survivors_the_one_whose_log_ends_last_has_most() {
    let dirs = dirs();
    let [one, two, three] = three(&dirs).await;
    let index = one.write("everywhere").await;
    agree(&[&one, &two, &three], index).await;
    let (behind, _) = three.stop().await;
    let leader = if one.master.is_leader() { &one } else { &two };
    leader.write("on-two").await;
    let (dir_one, _) = one.stop().await;
    let (dir_two, _) = two.stop().await;
    let behind = inspect(&behind).await.expect("looked at");
    let best = inspect(&dir_one).await.expect("looked at").rank();
    let best = best.max(inspect(&dir_two).await.expect("looked at").rank());
    assert!(best > behind.rank(), "{best:?} {behind:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_master_needs_no_recovery_and_a_stranger_gets_none() {
    let (home, empty) = (
        TempDir::new().expect("directory"),
        TempDir::new().expect("directory"),
    );
    let one = first(home.path()).await;
    one.write("ada").await;
    let (dir, _) = one.stop().await;
    let survivor = inspect(&dir).await.expect("looked at");
    let needless = recover(&dir, survivor.last, NOW).await;
    assert!(
        matches!(needless, Err(OfflineFault::NotNeeded { .. })),
        "{needless:?}"
    );
    let nobody = inspect(empty.path()).await;
    assert!(
        matches!(nobody, Err(OfflineFault::NoMaster { .. })),
        "{nobody:?}"
    );
    assert_eq!(
        fs::read_dir(empty.path()).expect("listed").count(),
        0,
        "nothing is made"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_tried_out_beside_the_cluster_that_it_is_of() {
    let (home, scratch) = (
        TempDir::new().expect("directory"),
        TempDir::new().expect("directory"),
    );
    let one = first(home.path()).await;
    for number in 0..50 {
        one.write(&format!("user-{number}")).await;
    }
    let before = one.master.local();
    let leash = Leash::default();
    let place = scratch.path().join("rehearsal");
    let rehearsed = rehearse(&one.master, &place, &leash.end())
        .await
        .expect("rehearsed");
    assert!(
        rehearsed.same_state && rehearsed.bytes > 1_000,
        "{rehearsed:?}"
    );
    assert_eq!(rehearsed.index, before.index);
    assert!(!place.exists(), "nothing is left of it");
    assert_eq!(
        one.master.local().state,
        before.state,
        "and nothing has changed"
    );
    let let_go = leash.end();
    drop(leash);
    let ended = rehearse(&one.master, &place, &let_go).await;
    assert!(ended.is_err(), "{ended:?}");
    assert!(!place.exists(), "nothing is left of it either");
}
