//! A disk that forgets the very end of a follower's log, as a flipped bit there looks (docs/adr/0007): the leader knows
//! that the follower had more, and must neither fall over that nor leave it behind.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use support::{Member, agree, dirs, leader_of, three, wait_for};

/// A segment's first record stands here; each has a header of so many bytes, with the body's length in front and the
/// kind behind.
const FIRST_RECORD: usize = 8;
const HEADER_BYTES: usize = 13;
const KIND: usize = 12;
const ENTRY: u8 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_whose_log_lost_its_end_is_given_it_again() {
    let dirs = dirs();
    let mut members = Vec::from(three(&dirs).await);
    let leader = leader_of(&members).await;
    members.swap(0, leader);
    let last = members[0].write("before").await;
    agree(&members.iter().collect::<Vec<_>>(), last).await;
    let (dir, addr) = stop(members.remove(1)).await;
    // The state need not be synced: what the next run brings to disk is lost with the log's end.
    let state = fs::read(state_of(&dir)).expect("a state");
    members.push(Member::run(&dir, &addr).await);
    let last = members[0].write("forgotten").await;
    agree(&members.iter().collect::<Vec<_>>(), last).await;
    let (dir, addr) = stop(members.pop().expect("it runs")).await;
    fs::write(state_of(&dir), state).expect("the state of before");
    forget_last_entry(&dir);
    let term = members[0].master.status().term;
    members.push(Member::run(&dir, &addr).await);
    let id = members[2].master.id();
    wait_for("the leader to know it to be whole", || {
        let status = members[0].master.status();
        let member = status.members.iter().find(|member| member.id == id);
        member.is_some_and(|member| member.matched == Some(status.last_log))
            && members[2].master.status().last_log == status.last_log
    })
    .await;
    let last = members[0].write("after").await;
    agree(&members.iter().collect::<Vec<_>>(), last).await;
    let status = members[0].master.status();
    assert_eq!((status.role.as_str(), status.term), ("leader", term));
}

/// Stops a member, and waits until it has let go of its files.
async fn stop(member: Member) -> (PathBuf, String) {
    let (dir, addr) = member.stop().await;
    wait_for("the end of the store's use", || {
        let lock = File::open(dir.join("store/lock")).expect("a store");
        lock.try_lock().is_ok()
    })
    .await;
    (dir, addr)
}

fn state_of(dir: &Path) -> PathBuf {
    dir.join("store/state.redb")
}

/// Makes the last entry, and what little came after it, look as if never written.
fn forget_last_entry(dir: &Path) {
    let segments = fs::read_dir(dir.join("store")).expect("a store");
    let mut segments: Vec<PathBuf> = segments.map(|entry| entry.expect("entry").path()).collect();
    segments.retain(|path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("log-")
    });
    segments.sort();
    for segment in segments.iter().rev() {
        let mut bytes = fs::read(segment).expect("a segment");
        if let Some(entry) = last_entry(&bytes) {
            bytes[entry..].fill(0);
            return fs::write(segment, bytes).expect("written");
        }
    }
    panic!("no entry in {segments:?}");
}

fn last_entry(bytes: &[u8]) -> Option<usize> {
    let (mut offset, mut last) = (FIRST_RECORD, None);
    while bytes.get(offset + KIND).is_some_and(|kind| *kind != 0) {
        if bytes[offset + KIND] == ENTRY {
            last = Some(offset);
        }
        let body = bytes[offset..].first_chunk().expect("a header");
        offset += HEADER_BYTES + u32::from_le_bytes(*body) as usize;
    }
    last
}
