//! Going on alone is one step of the disk: whenever the power goes, all of it has happened or nothing.

use std::sync::Arc;

use docklet_control::id::{LogIndex, MasterId, UnixMs};
use docklet_control::{State, generation};
use openraft::RaftLogReader;
use openraft::entry::RaftEntry;
use openraft::storage::RaftLogStorage;

use super::OfflineFault;
use super::stopped::Stopped;
use crate::disk::{Fault, MemoryDisk};
use crate::store::tests::support::{Store, after, id, runtime};

const LAST: u64 = 40;
/// What is known to be committed when the master stops for the last time.
const COMMITTED: u64 = 30;

/// A store whose log goes further than its state, stopped in the middle.
fn stopped() -> MemoryDisk {
    let disk = MemoryDisk::default();
    runtime().block_on(async {
        let mut store = Store::open(&disk).expect("opens");
        store.vote(3).await.expect("written");
        store.append(3, 1..=LAST).await.expect("written");
        let committed = Some(id(3, COMMITTED));
        store.log.save_committed(committed).await.expect("written");
        store.apply(1, COMMITTED).await.expect("applied");
        store.view.flush().await.expect("written");
    });
    disk.after_power_loss(0)
}

fn whole() -> State {
    (1..=LAST).fold(State::default(), |state, index| after(&state, 3, index))
}

async fn go_on(disk: &MemoryDisk) -> Result<LogIndex, OfflineFault> {
    let stopped = Stopped::open(Arc::new(disk.clone())).await?;
    stopped.go_on_alone(MasterId(1), UnixMs(99_000)).await
}

/// Whether what is on the disk has gone on alone; else it must be as it was.
async fn has_gone_on(disk: &MemoryDisk) -> bool {
    let mut store = Store::open(disk).expect("opens");
    let frozen = store.view.frozen();
    let vote = store.log.read_vote().await.expect("read").expect("voted");
    let voters: Vec<u64> = frozen.membership.membership().voter_ids().collect();
    if !generation::begins(frozen.index) {
        assert_eq!((frozen.index, voters), (LogIndex(COMMITTED), vec![]));
        let log = store.log.get_log_state().await.expect("read");
        assert_eq!(log.last_log_id, Some(id(3, LAST)), "nothing is lost");
        return false;
    }
    assert_eq!((voters, vote.leader_id.term), (vec![1], 4));
    let applied = frozen.applied.expect("an entry");
    assert_eq!(applied, id(4, generation::next(LogIndex(LAST)).0));
    let lineage = frozen.state.lineage.expect("it says where it comes from");
    assert_eq!((lineage.last, lineage.from), (LogIndex(LAST), None));
    assert_eq!(frozen.state.users, whole().users, "the whole log counts");
    true
}

#[test]
fn everything_in_the_log_counts_and_the_past_can_be_looked_at_as_before() {
    let disk = stopped();
    runtime().block_on(async {
        let begun = go_on(&disk).await.expect("goes on");
        assert!(has_gone_on(&disk).await);
        let store = Store::open(&disk).expect("opens");
        for index in [1, COMMITTED - 3, COMMITTED + 5, LAST] {
            let found = store.view.state_at(LogIndex(index)).await.expect("read");
            let users = found.expect("kept").users.len() as u64;
            assert_eq!(users, index, "after entry {index}");
        }
        let page = store.view.changes(LogIndex(LAST - 1), begun).await;
        let changes = page.expect("read").changes;
        let names: Vec<_> = changes
            .iter()
            .map(|c| (c.index, c.command.as_ref()))
            .collect();
        assert_eq!(
            names,
            [(LogIndex(LAST), "CreateUser"), (begun, "RecoverCluster")]
        );
    });
}

#[test]
fn a_second_time_there_is_nothing_lost_either() {
    let disk = stopped();
    runtime().block_on(async {
        let first = go_on(&disk).await.expect("goes on");
        let second = go_on(&disk).await.expect("goes on again");
        assert_eq!(generation::of(second), generation::of(first) + 1);
        let store = Store::open(&disk).expect("opens");
        assert_eq!(store.view.frozen().state.users, whole().users);
    });
}

#[test]
fn power_lost_at_any_moment_leaves_all_of_it_or_nothing() {
    let operations = {
        let disk = stopped();
        disk.set_fault(None);
        runtime().block_on(go_on(&disk)).expect("goes on");
        disk.operations()
    };
    assert!(operations > 3, "{operations} operations");
    let mut gone_on = [0, 0];
    for at in 0..operations {
        for seed in 0..12 {
            let disk = stopped();
            disk.set_fault(Some(Fault::PowerLoss { at }));
            let done = runtime().block_on(go_on(&disk)).is_ok();
            let left = disk.after_power_loss(at * 1_000 + seed);
            let gone = runtime().block_on(has_gone_on(&left));
            assert!(gone || !done, "it said so, and it had not");
            gone_on[usize::from(gone)] += 1;
            runtime().block_on(go_on(&left)).expect("can be done anew");
        }
    }
    assert!(gone_on[0] > 0, "{gone_on:?}");
}

#[test]
fn openraft_takes_up_what_went_on_alone_and_purges_the_rest_of_the_log() {
    let disk = stopped();
    runtime().block_on(async {
        let begun = go_on(&disk).await.expect("goes on");
        let mut store = Store::open(&disk).expect("opens");
        let mut helper = openraft::StorageHelper::new(&mut store.log, &mut store.machine);
        let state = helper.get_initial_state().await.expect("a sound store");
        assert_eq!(state.log_ids.last().map(|id| id.index()), Some(begun.0));
        let left = store.log.try_get_log_entries(..).await.expect("read");
        assert_eq!(left.iter().map(RaftEntry::index).count(), 0);
    });
}

#[test]
fn who_never_was_part_of_a_cluster_has_nothing_to_go_on_from() {
    let disk = MemoryDisk::default();
    let opened = runtime().block_on(Stopped::open(Arc::new(disk)));
    assert!(matches!(opened.map(|_| ()), Err(OfflineFault::Empty)));
}
