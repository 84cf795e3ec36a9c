//! Power lost before every single operation of a disk, and the disk failing at every single one: what was
//! acknowledged is there afterwards, in a state that some prefix of the entries gives.

use std::io;

use docklet_control::State;
use docklet_control::id::LogIndex;
use openraft::RaftLogReader;
use openraft::entry::RaftEntry;
use openraft::storage::{LogState, RaftLogStorage};

use super::support::{Store, after, entry, id, runtime};
use crate::disk::{Fault, MemoryDisk};
use crate::types::{LogId, Types, Vote};

/// What the store has said is done.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    /// Term of each entry, from index 1 on.
    terms: Vec<u64>,
    vote: u64,
    purged: u64,
    /// The state is on disk up to here.
    durable: u64,
    /// Operations of the disk that all this took.
    operations: u64,
}

/// What may or may not have been done: it was asked for and never answered.
#[derive(Clone, Debug, Default)]
struct Asked {
    appended: Vec<u64>,
    vote: Option<u64>,
    truncated: Option<u64>,
    purged: Option<u64>,
}

/// A life of a store: elections, appends of several sizes, a conflict that is cut off, applying, purging.
async fn live(store: &mut Store, done: &mut Acknowledged, asked: &mut Asked) -> io::Result<()> {
    for round in 1..=6_u64 {
        asked.vote = Some(round);
        store.vote(round).await?;
        done.vote = round;
        asked.vote = None;
        for size in [1, 3, 9] {
            let first = done.terms.len() as u64 + 1;
            asked.appended = vec![round; size];
            store.append(round, first..first + size as u64).await?;
            done.terms.extend(std::mem::take(&mut asked.appended));
        }
        let last = done.terms.len() as u64;
        // The last entry turns out never to have been committed.
        asked.truncated = Some(last);
        store.log.truncate_after(Some(id(round, last - 1))).await?;
        done.terms.truncate(done.terms.len() - 1);
        asked.truncated = None;
        let last = last - 1;
        store.log.save_committed(Some(id(round, last))).await?;
        store.apply(store.applied().0 + 1, last).await?;
        if round % 2 == 0 {
            let upto = last - 4;
            asked.purged = Some(upto);
            store
                .purge(id(
                    done.terms[usize::try_from(upto).expect("small") - 1],
                    upto,
                ))
                .await?;
            done.purged = upto;
            done.durable = last;
            asked.purged = None;
        }
    }
    Ok(())
}

/// The state after the entries up to `index`.
fn state_after(terms: &[u64], index: u64) -> State {
    (1..=index).fold(State::default(), |state, index| {
        let term = terms[usize::try_from(index).expect("small") - 1];
        after(&state, term, index)
    })
}

/// Opens what is left and compares.
async fn check(disk: &MemoryDisk, done: &Acknowledged, asked: &Asked) {
    let mut store = Store::open(disk).unwrap_or_else(|fault| panic!("does not open: {fault:?}"));
    let vote = store
        .log
        .read_vote()
        .await
        .expect("read")
        .map_or(0, |vote: Vote| vote.leader_id.term);
    assert!(
        vote == done.vote || Some(vote) == asked.vote,
        "vote {vote}, {done:?} {asked:?}"
    );
    let found = store.log.get_log_state().await.expect("read");
    let purged = found.last_purged_log_id.map_or(0, |id| id.index());
    assert!(
        purged == done.purged || Some(purged) == asked.purged,
        "purged {purged}, {done:?} {asked:?}"
    );
    let last = found.last_log_id.map_or(0, |id: LogId| id.index());
    let mut terms = done.terms.clone();
    terms.extend(&asked.appended);
    let least = asked
        .truncated
        .map_or(done.terms.len() as u64, |from| from - 1);
    assert!(
        (least..=terms.len() as u64).contains(&last),
        "last {last}, {done:?} {asked:?}"
    );
    let entries = store
        .log
        .try_get_log_entries(purged + 1..=last)
        .await
        .expect("readable");
    assert_eq!(entries.len() as u64, last - purged, "no entry is missing");
    for found in entries {
        let index = found.index();
        assert_eq!(
            found,
            entry(terms[usize::try_from(index).expect("small") - 1], index)
        );
    }
    let frozen = store.view.frozen();
    assert!(
        frozen.index.0 >= done.durable.max(purged),
        "the state has what the log has not: {done:?}"
    );
    assert_eq!(*frozen.state, state_after(&terms, frozen.index.0));
    // It goes on from here.
    let next = last + 1;
    store.append(9, next..next + 3).await.expect("goes on");
    store
        .apply(frozen.index.0 + 1, next + 2)
        .await
        .expect("goes on");
}

fn life_on(disk: &MemoryDisk) -> (io::Result<()>, Acknowledged, Asked) {
    let (mut done, mut asked) = (Acknowledged::default(), Asked::default());
    let lived = runtime().block_on(async {
        let mut store = Store::open(disk).map_err(io::Error::other)?;
        let lived = live(&mut store, &mut done, &mut asked).await;
        // What closing the files does is nobody's to rely on.
        done.operations = disk.operations();
        lived
    });
    (lived, done, asked)
}

fn operations_of_a_life() -> u64 {
    let disk = MemoryDisk::default();
    let (lived, done, _) = life_on(&disk);
    lived.expect("a whole disk serves");
    assert_eq!(done.terms.len(), 72);
    done.operations
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power_before_every_operation() {
    let operations = operations_of_a_life();
    assert!(operations > 150, "only {operations} operations");
    for at in 0..operations {
        let disk = MemoryDisk::default();
        disk.set_fault(Some(Fault::PowerLoss { at }));
        let (lived, done, asked) = life_on(&disk);
        assert!(lived.is_err(), "operation {at} was never reached");
        for seed in 0..3 {
            let left = disk.after_power_loss(at * 100 + seed);
            runtime().block_on(check(&left, &done, &asked));
        }
    }
}

#[test]
fn a_second_loss_of_power_while_recovering_from_the_first_loses_nothing_either() {
    let operations = operations_of_a_life();
    for at in (0..operations).step_by(11) {
        let disk = MemoryDisk::default();
        disk.set_fault(Some(Fault::PowerLoss { at }));
        let (_, done, asked) = life_on(&disk);
        for second in 0..12 {
            let left = disk.after_power_loss(at * 1_000 + second);
            left.set_fault(Some(Fault::PowerLoss { at: second }));
            drop(Store::open(&left));
            let left = left.after_power_loss(second);
            runtime().block_on(check(&left, &done, &asked));
        }
    }
}

#[test]
fn a_disk_that_fails_is_never_taken_for_one_that_has_written() {
    let operations = operations_of_a_life();
    for at in 0..operations {
        let disk = MemoryDisk::default();
        disk.set_fault(Some(Fault::Failure { at }));
        let (lived, done, asked) = life_on(&disk);
        assert!(lived.is_err(), "operation {at} failed and nobody said so");
        // The process stops; the disk works again and has kept what it had.
        disk.set_fault(None);
        runtime().block_on(check(&disk, &done, &asked));
    }
}

#[test]
fn a_full_disk_stops_the_store_and_loses_nothing() {
    let whole = MemoryDisk::default();
    life_on(&whole).0.expect("serves");
    for after_bytes in (0..2_000_000).step_by(9_973) {
        let disk = MemoryDisk::default();
        disk.set_fault(Some(Fault::Full { after_bytes }));
        let (lived, done, asked) = life_on(&disk);
        if lived.is_ok() {
            return;
        }
        disk.set_fault(None);
        runtime().block_on(check(&disk, &done, &asked));
    }
}

/// What a start finds.
async fn found(disk: &MemoryDisk) -> (LogState<Types>, Option<Vote>, LogIndex) {
    let mut store = Store::open(disk).unwrap_or_else(|fault| panic!("does not open: {fault:?}"));
    let state = store.log.get_log_state().await.expect("read");
    let vote = store.log.read_vote().await.expect("read");
    (state, vote, store.applied())
}

#[test]
fn what_a_start_finds_survives_a_loss_of_power_right_after_it() {
    let operations = operations_of_a_life();
    for at in 0..operations {
        let disk = MemoryDisk::default();
        disk.set_fault(Some(Fault::Failure { at }));
        drop(life_on(&disk));
        // The process was killed there; what it wrote and did not sync is there to be read.
        disk.set_fault(None);
        let before = runtime().block_on(found(&disk));
        for seed in 0..3 {
            let left = disk.after_power_loss(at * 100 + seed);
            let after = runtime().block_on(found(&left));
            assert_eq!(after, before, "killed at operation {at}");
        }
    }
}
