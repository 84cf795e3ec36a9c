//! Every state of the past can be had again, as far back as the limits allow.

use std::sync::Arc;

use docklet_control::State;
use docklet_control::id::{LogIndex, UnixMs};

use super::support::{Store, after, runtime};
use crate::disk::MemoryDisk;
use crate::store::rows::HistoryLimits;

const LAST: u64 = 300;

/// States after each entry, without receipts; the first is that of nothing.
fn states() -> Vec<State> {
    let mut states = vec![State::default()];
    for index in 1..=LAST {
        let last = states.last().expect("one");
        states.push(after(last, 1, index));
    }
    for state in &mut states {
        state.forget_receipts();
    }
    states
}

/// A store with all entries, and checkpoints after every few of them.
async fn lived(limits: HistoryLimits) -> Store {
    let disk = Arc::new(MemoryDisk::default());
    let mut store = Store::open_on(disk, limits).expect("opens");
    store.append(1, 1..=LAST).await.expect("written");
    let mut from = 1;
    for size in [1, 2, 50, 3, 140, 4, 100] {
        store.apply(from, from + size - 1).await.expect("applied");
        from += size;
        store.view.flush().await.expect("written");
    }
    assert_eq!(from, LAST + 1);
    store
}

#[test]
fn every_state_since_the_beginning_comes_back_as_it_was() {
    runtime().block_on(async {
        let store = lived(HistoryLimits::default()).await;
        for (index, wanted) in states().into_iter().enumerate() {
            let found = store
                .view
                .state_at(LogIndex(index as u64))
                .await
                .expect("read");
            assert!(
                found.as_ref() == Some(&wanted),
                "another state after entry {index}"
            );
        }
    });
}

#[test]
fn a_time_is_the_last_entry_stamped_by_then() {
    runtime().block_on(async {
        let store = lived(HistoryLimits::default()).await;
        // Entries are stamped a second apart.
        for index in 1..=LAST {
            for (time, wanted) in [(index * 1_000, index), (index * 1_000 + 999, index)] {
                let found = store.view.index_at(UnixMs(time)).await.expect("read");
                assert_eq!(found, Some(LogIndex(wanted)), "at {time} ms");
            }
        }
        assert_eq!(store.view.index_at(UnixMs(999)).await.expect("read"), None);
    });
}

/// Indices of all changes after `after`, page by page.
async fn followed(store: &Store, after: u64, upto: u64) -> Vec<u64> {
    let mut after = LogIndex(after);
    let mut indices = Vec::new();
    while after < LogIndex(upto) {
        let page = store.view.changes(after, LogIndex(upto)).await;
        let page = page.expect("read");
        assert!(page.kept_after <= after && page.complete_to > after);
        indices.extend(page.changes.iter().map(|change| change.index.0));
        after = page.complete_to;
    }
    indices
}

#[test]
fn changes_are_given_once_and_in_order_whether_on_disk_or_not() {
    runtime().block_on(async {
        let disk = Arc::new(MemoryDisk::default());
        let mut store = Store::open_on(disk.clone(), HistoryLimits::default()).expect("opens");
        store.append(1, 1..=LAST).await.expect("written");
        store.apply(1, 200).await.expect("applied");
        store.view.flush().await.expect("written");
        drop(store);
        // After a restart older changes are on disk only, newer ones in memory only.
        let mut store = Store::open_on(disk, HistoryLimits::default()).expect("opens");
        store.apply(201, LAST).await.expect("applied");
        for after in [0, 1, 127, 128, 199, 200, 201, LAST - 1, LAST] {
            for upto in [after, 200, 201, LAST] {
                let wanted: Vec<u64> = (after + 1..=upto).collect();
                assert_eq!(followed(&store, after, upto).await, wanted);
            }
        }
    });
}

#[test]
fn each_entry_has_its_time_and_the_history_says_since_when_it_is_kept() {
    runtime().block_on(async {
        let store = lived(HistoryLimits::default()).await;
        let reach = store.view.reach().await.expect("read");
        assert_eq!((reach.after, reach.at), (LogIndex(0), Some(UnixMs(1_000))));
        for index in 1..=LAST {
            let stamp = store.view.stamp(LogIndex(index)).await.expect("read");
            assert_eq!(stamp, Some(UnixMs(index * 1_000)));
        }
        assert_eq!(store.view.stamp(LogIndex(0)).await.expect("read"), None);

        let limits = HistoryLimits {
            age_ms_max: 120_000,
            ..HistoryLimits::default()
        };
        let store = lived(limits).await;
        let reach = store.view.reach().await.expect("read");
        assert_eq!(
            (reach.after, reach.at),
            (LogIndex(56), Some(UnixMs(56_000)))
        );
        for (index, wanted) in [(55, None), (56, Some(56)), (57, Some(57))] {
            let stamp = store.view.stamp(LogIndex(index)).await.expect("read");
            assert_eq!(stamp, wanted.map(|second| UnixMs(second * 1_000)));
        }
        for (time, wanted) in [(55_999, None), (56_000, Some(56)), (57_000, Some(57))] {
            let found = store.view.index_at(UnixMs(time)).await.expect("read");
            assert_eq!(found, wanted.map(LogIndex));
        }
    });
}

#[test]
fn the_history_stays_within_its_bytes_and_says_how_far_it_reaches() {
    runtime().block_on(async {
        let limits = HistoryLimits {
            bytes_max: 15_000,
            ..HistoryLimits::default()
        };
        let store = lived(limits).await;
        let after = store.view.history_after().await.expect("read");
        assert!((1..LAST).contains(&after.0), "{after}");
        let states = states();
        for index in 0..=LAST {
            let found = store.view.state_at(LogIndex(index)).await.expect("read");
            let position = usize::try_from(index).expect("small");
            let wanted = (index >= after.0).then(|| states[position].clone());
            assert!(
                found == wanted,
                "after entry {index}, history after {after}"
            );
        }
    });
}

#[test]
fn what_is_too_old_goes_with_the_next_checkpoint() {
    runtime().block_on(async {
        let limits = HistoryLimits {
            age_ms_max: 120_000,
            ..HistoryLimits::default()
        };
        let store = lived(limits).await;
        // The last checkpoint ends at 300 s; of the others only those that end after 180 s are young enough.
        assert_eq!(
            store.view.history_after().await.expect("read"),
            LogIndex(56)
        );
    });
}
