//! A master whose state is not that of the others is found, named, fenced, and takes its state anew.

mod support;

use std::path::{Path, PathBuf};

use docklet_control::Event;
use docklet_control::id::LogIndex;
use docklet_control::rows::{RowChange, StateHash, Table};
use docklet_raft::disk::HostDisk;
use docklet_raft::{Divergence, Followed, OnGap};
use futures_util::StreamExt;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use support::{Member, PATIENCE, agree, dirs, three};

const ROWS: TableDefinition<'_, (u8, &[u8]), &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from);
    let at = at.expect("it is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// Stops a master and waits until its files are closed.
async fn stopped(member: Member) -> (PathBuf, String) {
    let (dir, addr) = member.stop().await;
    let store = dir.join("store");
    let opened = tokio::task::spawn_blocking(move || HostDisk::open(&store)).await;
    drop(opened.expect("no panic").expect("closed in time"));
    (dir, addr)
}

/// Changes a row of a stopped master, and the hash with it: nothing in the file gives it away.
fn forge(store: &Path, hash: StateHash) {
    let database = Database::open(store.join("state.redb")).expect("opens");
    let (key, before) = {
        let rows = database
            .begin_read()
            .expect("read")
            .open_table(ROWS)
            .expect("rows");
        let users = (Table::Users as u8, [].as_slice())..(Table::Users as u8 + 1, [].as_slice());
        let found = rows.range(users).expect("users").map(|row| {
            let (key, value) = row.expect("a row");
            (key.value().1.to_vec(), value.value().to_vec())
        });
        let mut found = found.filter(|(_, value)| value.windows(6).any(|part| part == b"user-7"));
        found.next().expect("the user is there")
    };
    let after = replaced(&before, b"user-7", b"uzer-7");
    let change = RowChange {
        table: Table::Users,
        key: key.clone(),
        before: Some(before),
        after: Some(after.clone()),
    };
    let forged = postcard::to_stdvec(&hash.after(&[change])).expect("encodes");
    let transaction = database.begin_write().expect("write");
    {
        let mut rows = transaction.open_table(ROWS).expect("rows");
        rows.insert((Table::Users as u8, key.as_slice()), after.as_slice())
            .expect("written");
        let mut meta = transaction.open_table(META).expect("meta");
        let applied = meta
            .get("applied")
            .expect("read")
            .expect("there")
            .value()
            .to_vec();
        let hash = postcard::to_stdvec(&hash).expect("encodes");
        meta.insert("applied", replaced(&applied, &hash, &forged).as_slice())
            .expect("written");
    }
    transaction.commit().expect("committed");
}

async fn with_users(members: &[Member; 3]) -> LogIndex {
    let mut last = LogIndex(0);
    for number in 0..10 {
        last = members[0].write(&format!("user-{number}")).await;
    }
    agree(&members.each_ref(), last).await;
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bytes_of_rows_are_found_at_the_start_and_the_state_is_taken_anew() {
    let dirs = dirs();
    let members = three(&dirs).await;
    with_users(&members).await;
    let [one, two, three] = members;
    let (dir, addr) = stopped(three).await;
    let file = dir.join("store/state.redb");
    let mut bytes = std::fs::read(&file).expect("read");
    let places: Vec<usize> = (0..bytes.len() - 6)
        .filter(|at| bytes[*at..].starts_with(b"user-7"))
        .collect();
    assert!(!places.is_empty(), "the row is in the file");
    for at in places {
        bytes[at + 5] ^= 1;
    }
    std::fs::write(&file, bytes).expect("written");
    let three = Member::run(&dir, &addr).await;
    assert!(
        dir.join("store/state.redb.damaged").exists(),
        "what was damaged is kept to be looked at"
    );
    let last = one.write("after").await;
    agree(&[&one, &two, &three], last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_differs_from_the_others_is_named_fenced_and_rebuilt() {
    let dirs = dirs();
    let members = three(&dirs).await;
    let before = with_users(&members).await;
    let [one, two, three] = members;
    let id = three.master.id();
    let hash = three.master.local().hash();
    let (dir, addr) = stopped(three).await;
    forge(&dir.join("store"), hash);
    let three = Member::run(&dir, &addr).await;
    let found = tokio::time::timeout(PATIENCE, three.master.diverged()).await;
    assert!(matches!(found.expect("found in time"), Divergence::At(_)));
    let followed = one.master.follow(before, OnGap::Snapshot);
    let mut named = Box::pin(followed.filter(|followed| {
        let Ok(Followed::Change(change)) = followed else {
            panic!("{followed:?}")
        };
        let names =
            |event: &Event| matches!(event, Event::MasterDiverged { master, .. } if *master == id);
        std::future::ready(change.events.iter().any(names))
    }));
    let named = tokio::time::timeout(PATIENCE, named.next()).await;
    assert!(named.expect("named in time").is_some());
    three.stop().await;
    let three = Member::run(&dir, &addr).await;
    assert_eq!(three.master.id(), id, "it is the same master");
    let last = two.write("after").await;
    agree(&[&one, &two, &three], last).await;
}
