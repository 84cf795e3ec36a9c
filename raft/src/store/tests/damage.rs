//! Bits that flip and files that vanish: never a silently shorter log or another state.

use openraft::storage::RaftLogStorage;

use super::support::{Store, id, runtime};
use crate::disk::{Disk, MemoryDisk};
use crate::fault::RaftFault;
use crate::store::rows::FILE;

/// A store of several segments, stopped in order.
fn lived() -> MemoryDisk {
    let disk = MemoryDisk::default();
    runtime().block_on(async {
        let mut store = Store::open(&disk).expect("opens");
        store.vote(1).await.expect("written");
        for first in (1..=60).step_by(5) {
            store.append(1, first..first + 5).await.expect("written");
        }
        store
            .log
            .save_committed(Some(id(1, 60)))
            .await
            .expect("written");
        store.apply(1, 60).await.expect("applied");
        store.view.flush().await.expect("written");
    });
    disk
}

fn last_of(disk: &MemoryDisk) -> Result<u64, RaftFault> {
    let mut store = Store::open(disk)?;
    let state = runtime().block_on(store.log.get_log_state()).expect("read");
    Ok(state.last_log_id.map_or(0, |id| id.index()))
}

fn segments(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.list().expect("listed");
    names
        .into_iter()
        .filter(|name| name.starts_with("log-"))
        .collect()
}

#[test]
fn a_flipped_bit_of_the_log_is_never_a_shorter_log() {
    let disk = lived();
    let names = segments(&disk);
    assert!(names.len() > 2, "several segments: {names:?}");
    for name in names {
        let used = disk
            .bytes(&name)
            .iter()
            .rposition(|byte| *byte != 0)
            .expect("used");
        for offset in (0..=used).step_by(5) {
            let bit = u8::try_from(offset % 8).expect("a bit");
            disk.flip(&name, offset, bit);
            match last_of(&disk) {
                Err(RaftFault::LogDamaged { segment, .. }) => assert!(!segment.is_empty()),
                Ok(last) => assert_eq!(last, 60, "{name} flipped at {offset}: the log got shorter"),
                Err(other) => panic!("{name} flipped at {offset}: {other:?}"),
            }
            disk.flip(&name, offset, bit);
        }
    }
    assert_eq!(last_of(&disk).expect("whole again"), 60);
}

#[test]
fn a_lost_segment_is_noticed() {
    let names = segments(&lived());
    for name in &names[..names.len() - 1] {
        let disk = lived();
        disk.remove(name).expect("there");
        assert!(
            matches!(last_of(&disk), Err(RaftFault::LogDamaged { .. })),
            "nobody missed {name}"
        );
    }
}

#[test]
fn a_flipped_bit_of_a_row_is_found_before_anybody_sees_it() {
    let disk = lived();
    let bytes = disk.bytes(FILE);
    let name = b"user-30";
    let places: Vec<usize> = (0..bytes.len() - name.len())
        .filter(|offset| bytes[*offset..].starts_with(name))
        .collect();
    assert!(!places.is_empty(), "the row is in the file");
    let mut found = 0;
    for offset in places {
        disk.flip(FILE, offset + 5, 0);
        if let Err(fault) = Store::open(&disk) {
            assert!(matches!(fault, RaftFault::HashDiffers { .. }), "{fault:?}");
            found += 1;
        }
        disk.flip(FILE, offset + 5, 0);
    }
    assert!(
        found > 0,
        "the row that counts was flipped and nobody noticed"
    );
}
