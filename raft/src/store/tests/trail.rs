//! The audit trail on disk: over restarts, after a snapshot, and filled by others.

use std::sync::Arc;

use docklet_control::audit::chain::{Chain, hash_of};
use docklet_control::id::MasterId;
use docklet_control::model::audit::AuditHead;
use docklet_control::model::{ClusterVersion, Program};
use docklet_control::{Actor, Command};
use futures_util::stream;
use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;

use super::support::{Store, entry, entry_of, runtime};
use crate::disk::MemoryDisk;
use crate::store::rows::HistoryLimits;
use crate::store::trail::Page;
use crate::types::LogEntry;

/// The first entries make a cluster of a version that has a trail, the others a user each.
fn told(index: u64) -> LogEntry {
    match index {
        2 => entry_of(
            index,
            Actor::Door(MasterId(1)),
            Command::ReportProgram {
                program: Program {
                    master: MasterId(1),
                    name: "docklet".to_owned(),
                    knows: ClusterVersion::CURRENT,
                },
            },
        ),
        3 => entry_of(
            index,
            Actor::Duty,
            Command::RaiseVersion {
                to: ClusterVersion::CURRENT,
            },
        ),
        _ => entry(1, index),
    }
}

fn open(disk: &MemoryDisk) -> Store {
    Store::open_on(Arc::new(disk.clone()), HistoryLimits::default()).expect("opens")
}

async fn live(store: &mut Store, upto: u64) {
    let entries = (store.applied().0 + 1..=upto).map(|index| Ok((told(index), None)));
    let applied = store.machine.apply(stream::iter(entries)).await;
    applied.expect("applied");
}

async fn lived(disk: &MemoryDisk, upto: u64) -> Store {
    let mut store = open(disk);
    live(&mut store, upto).await;
    store.view.flush().await.expect("written");
    store
}

/// All that a store gives, page by page.
async fn all(store: &Store) -> Page {
    let mut page = store.view.trail_after(0, 7).await.expect("read");
    loop {
        let last = page.after + page.lines.len() as u64;
        let next = store.view.trail_after(last, 7).await.expect("read");
        if next.lines.is_empty() {
            return page;
        }
        page.lines.extend(next.lines);
    }
}

/// Where a trail ends that is followed from its beginning on.
fn end(page: &Page) -> AuditHead {
    let mut chain = Chain::after(page.after, page.hash);
    let records = page
        .lines
        .iter()
        .map(|line| chain.follow(line).expect("it follows"));
    let index = records.last().map(|record| record.index);
    AuditHead {
        records: chain.number(),
        index: index.unwrap_or_default(),
        hash: chain.hash(),
    }
}

fn head(store: &Store) -> AuditHead {
    store
        .view
        .frozen()
        .state
        .audit_head
        .expect("there is a trail")
}

/// Takes the other's state whole.
async fn take_snapshot(store: &mut Store, of: &mut Store) {
    let mut builder = of.machine.get_snapshot_builder().await;
    let snapshot = builder.build_snapshot().await.expect("built");
    let installed = store
        .machine
        .install_snapshot(&snapshot.meta, snapshot.snapshot);
    installed.await.expect("installed");
}

async fn fill_from(store: &Store, other: &Store, most: usize) -> bool {
    let begin = store.view.trail_begin().await.expect("read");
    let page = other
        .view
        .trail_upto(begin.after, most)
        .await
        .expect("read");
    store.view.fill_trail(page).await.expect("written")
}

#[test]
fn the_trail_goes_on_over_restarts_also_after_a_crash_between_checkpoints() {
    runtime().block_on(async {
        let disk = MemoryDisk::default();
        drop(lived(&disk, 20).await);
        let mut store = open(&disk);
        assert_eq!(store.applied().0, 20);
        live(&mut store, 40).await;
        // Nothing of these twenty is on disk yet.
        drop(store);
        let store = lived(&disk, 60).await;
        let trail = all(&store).await;
        assert_eq!((trail.after, trail.lines.len()), (0, 57));
        assert_eq!(end(&trail), head(&store));
    });
}

#[test]
fn what_a_snapshot_leaves_out_others_fill_and_it_is_what_was() {
    runtime().block_on(async {
        let mut old = lived(&MemoryDisk::default(), 60).await;
        let disk = MemoryDisk::default();
        let mut new = open(&disk);
        take_snapshot(&mut new, &mut old).await;
        live(&mut new, 70).await;
        new.view.flush().await.expect("written");
        let begin = new.view.trail_begin().await.expect("read");
        assert_eq!((begin.after, begin.wanted), (57, true));
        assert_eq!(all(&new).await.lines.len(), 10);
        let mut pages = 0;
        while new.view.trail_begin().await.expect("read").wanted {
            assert!(fill_from(&new, &old, 25).await);
            pages += 1;
        }
        assert_eq!(pages, 3);
        live(&mut old, 70).await;
        old.view.flush().await.expect("written");
        assert_eq!(all(&new).await, all(&old).await);
        assert_eq!(end(&all(&open(&disk)).await), head(&new));
    });
}

#[test]
fn lines_of_before_a_snapshot_are_used_again() {
    runtime().block_on(async {
        let mut old = lived(&MemoryDisk::default(), 60).await;
        let mut late = lived(&MemoryDisk::default(), 33).await;
        take_snapshot(&mut late, &mut old).await;
        assert!(fill_from(&late, &old, 27).await);
        assert!(!late.view.trail_begin().await.expect("read").wanted);
        assert_eq!(all(&late).await, all(&old).await);
    });
}

#[test]
fn what_is_not_what_was_is_not_taken() {
    runtime().block_on(async {
        let mut old = lived(&MemoryDisk::default(), 30).await;
        let mut new = open(&MemoryDisk::default());
        take_snapshot(&mut new, &mut old).await;
        let whole = old.view.trail_upto(27, 100).await.expect("read");
        let with = |change: fn(&mut Page)| {
            let mut page = whole.clone();
            change(&mut page);
            page
        };
        let forged = [
            with(|page| page.lines[4] = page.lines[4].replace("user-", "user_")),
            with(|page| drop(page.lines.pop())),
            with(|page| drop(page.lines.remove(3))),
            with(|page| page.after = 1),
            with(|page| page.hash = hash_of(&page.lines[0]).expect("a hash")),
            with(|page| page.lines.clear()),
        ];
        for page in forged {
            assert!(!new.view.fill_trail(page).await.expect("read"));
            assert!(all(&new).await.lines.is_empty());
        }
        assert!(new.view.fill_trail(whole).await.expect("written"));
        assert_eq!(all(&new).await, all(&old).await);
    });
}
