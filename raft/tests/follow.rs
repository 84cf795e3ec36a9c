//! Followers of three masters in one process: each change once and in order, from whichever master, and the state where
//! changes are no longer kept.

mod support;

use docklet_control::Change;
use docklet_control::id::LogIndex;
use docklet_raft::{FollowEnd, Followed, HistoryLimits, OnGap};
use futures_util::StreamExt;
use support::{Member, PATIENCE, dirs, first, three};
use tempfile::TempDir;

/// A history that keeps nothing beyond the last checkpoint.
const NOTHING: HistoryLimits = HistoryLimits {
    bytes_max: 0,
    age_ms_max: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_gets_every_change_once_and_in_order_across_a_change_of_leader() {
    let dirs = dirs();
    let [one, two, three] = three(&dirs).await;
    let mut wanted = Vec::new();
    for number in 0..10 {
        wanted.push(one.write(&format!("a-{number}")).await);
    }
    let start = LogIndex(wanted[0].0 - 1);
    let mut got = take(&two, start, 5).await;
    one.stop().await;
    for number in 0..10 {
        wanted.push(three.write(&format!("b-{number}")).await);
    }
    let after = *got.last().expect("five");
    got.extend(take(&three, after, 15).await);
    assert_eq!(got, wanted);
}

/// The next `count` changes after `after` that made a user.
async fn take(member: &Member, after: LogIndex, count: usize) -> Vec<LogIndex> {
    let follow = member.master.follow(after, OnGap::Snapshot);
    let made_user = |followed: Result<Followed, FollowEnd>| {
        let Ok(Followed::Change(change)) = followed else {
            panic!("{followed:?}")
        };
        let change: &Change = &change;
        std::future::ready((change.command == "CreateUser").then_some(change.index))
    };
    let indices = follow.filter_map(made_user).take(count).collect();
    tokio::time::timeout(PATIENCE, indices)
        .await
        .expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_from_the_future_is_told_to_ask_another_master() {
    let dir = TempDir::new().expect("directory");
    let one = first(dir.path()).await;
    let mut follower = one.master.follower(LogIndex(1_000_000), OnGap::Snapshot);
    match follower.next().await {
        Err(FollowEnd::Behind { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_has_seen_a_little_more_is_waited_for() {
    let dir = TempDir::new().expect("directory");
    let one = first(dir.path()).await;
    let next = LogIndex(one.write("ada").await.0 + 1);
    let mut follower = one.master.follower(next, OnGap::Snapshot);
    let (followed, written) = tokio::join!(follower.next(), one.write("bob"));
    assert_eq!(written, next);
    assert!(followed.expect("it comes that far").is_none());
    let last = one.write("eve").await;
    match follower.next().await {
        Ok(Some(Followed::Change(change))) => assert_eq!(change.index, last),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_kept_is_made_up_for_by_the_state_or_passed_over() {
    let dir = TempDir::new().expect("directory");
    let one = first(dir.path()).await;
    let seen = one.write("ada").await;
    for number in 0..20 {
        one.write(&format!("missed-{number}")).await;
    }
    // A restart empties the memory; the history on disk is as short as can be.
    let (dir, addr) = one.stop().await;
    let one = Member::run_keeping(&dir, &addr, NOTHING).await;
    one.write("last-of-the-old").await;
    one.stop().await;
    let one = Member::run_keeping(&dir, &addr, NOTHING).await;
    // To lead again is an entry too.
    let written = one.write("first-of-the-new").await;
    let kept = one.master.history_after().await.expect("read");
    assert!(kept > seen && kept < written, "{kept}");

    let mut follower = one.master.follower(seen, OnGap::Snapshot);
    match follower.next().await {
        Ok(Some(Followed::Snapshot(frozen))) => {
            assert_eq!(frozen.index, follower.position());
            assert!(frozen.index >= written && frozen.state.users.len() == 24);
        }
        other => panic!("{other:?}"),
    }
    assert!(follower.next().await.expect("follows").is_none());
    let next = one.write("next").await;
    match follower.next().await {
        Ok(Some(Followed::Change(change))) => assert_eq!(change.index, next),
        other => panic!("{other:?}"),
    }

    let mut viewer = one.master.follower(seen, OnGap::Skip);
    match viewer.next().await {
        Ok(Some(Followed::Skipped(index))) => assert_eq!(index, kept),
        other => panic!("{other:?}"),
    }
    for wanted in [written, next] {
        match viewer.next().await {
            Ok(Some(Followed::Change(change))) => assert_eq!(change.index, wanted),
            other => panic!("{other:?}"),
        }
    }
    assert!(viewer.next().await.expect("follows").is_none());
    assert_eq!(viewer.position(), one.master.local().index);
}
