//! Segments of the log as each version wrote them: every later program must find the same entries, vote and members in
//! them, and come to the same state. What stands in entries is recorded in `control/golden`; here it is how the log
//! frames them. `make golden` records the present version, once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docklet_control::model::ClusterVersion;
use openraft::entry::RaftEntry;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::{EntryPayload, Membership, RaftLogReader};

use super::support::{SMALL_SEGMENT, Store, entry, id, runtime};
use crate::disk::{Disk, MemoryDisk};
use crate::store::log::LogStore;
use crate::types::{LogEntry, MasterAddress, Vote};

const SEGMENT: &str = "log-0000000000000001";
const LAST: u64 = 6;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn dir(version: ClusterVersion) -> PathBuf {
    golden().join(format!("v{version}"))
}

/// A directory for each version.
fn recorded() -> Vec<PathBuf> {
    let listed = std::fs::read_dir(golden()).expect("the recordings are beside the sources");
    let dirs = listed.map(|entry| entry.expect("the directory can be read").path());
    dirs.collect()
}

/// One of everything that stands in a log.
fn entries() -> Vec<LogEntry> {
    let nodes = BTreeMap::from([(1, MasterAddress("192.0.2.1:1".to_owned()))]);
    let members = Membership::new(vec![BTreeSet::from([1])], nodes).expect("its voter is a node");
    let special = [
        LogEntry::new(id(2, 2), EntryPayload::Membership(members)),
        LogEntry::new(id(2, 3), EntryPayload::Blank),
    ];
    let normal = (4..=LAST).map(|index| entry(2, index));
    std::iter::once(entry(2, 1))
        .chain(special)
        .chain(normal)
        .collect()
}

async fn write(disk: Arc<dyn Disk>) {
    let mut log = LogStore::open(disk, SMALL_SEGMENT).expect("a log");
    log.save_vote(&Vote::new_committed(2, 1))
        .await
        .expect("kept");
    log.blocking_append(entries()).await.expect("written");
    log.save_committed(Some(id(2, LAST))).await.expect("kept");
}

/// The first segment of a disk, without the zeros at its end.
fn segment(disk: &dyn Disk) -> Vec<u8> {
    let file = disk.open(SEGMENT).expect("a segment");
    let len = file.len().expect("a length");
    let mut bytes = vec![0; usize::try_from(len).expect("small")];
    file.read_at(0, &mut bytes).expect("read");
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .expect("it is not empty");
    bytes.truncate(used + 1);
    bytes
}

/// A disk with a recorded segment.
fn with_segment(bytes: &[u8]) -> Arc<dyn Disk> {
    let disk = MemoryDisk::default();
    let file = disk.open(SEGMENT).expect("a segment");
    let len = bytes.len().max(SMALL_SEGMENT);
    file.set_len(len as u64).expect("long enough");
    file.write_at(0, bytes).expect("written");
    Arc::new(disk)
}

fn record(version: ClusterVersion) {
    let dir = dir(version);
    assert!(!dir.exists(), "{} is recorded already", dir.display());
    runtime().block_on(async {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        write(disk.clone()).await;
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join(SEGMENT), segment(disk.as_ref())).expect("written");
        std::fs::write(dir.join("hash"), hash(disk).await).expect("written");
    });
}

/// The hash of the state that the log on a disk leads to.
async fn hash(disk: Arc<dyn Disk>) -> String {
    let mut store = Store::open_on(disk, Default::default()).expect("opens");
    assert_eq!(
        store.log.read_vote().await.expect("read"),
        Some(Vote::new_committed(2, 1))
    );
    assert_eq!(
        store.log.read_committed().await.expect("read"),
        Some(id(2, LAST))
    );
    let found = store.log.try_get_log_entries(1..=LAST).await.expect("read");
    assert_eq!(found, entries());
    store.apply(1, LAST).await.expect("applied");
    store.view.frozen().hash().to_string()
}

#[test]
fn recorded_segments_of_every_version_lead_to_the_same_state() {
    if std::env::var_os("RECORD").is_some() {
        record(ClusterVersion::CURRENT);
    }
    runtime().block_on(async {
        for dir in recorded() {
            let bytes = std::fs::read(dir.join(SEGMENT)).expect("a segment is recorded");
            let wanted = std::fs::read_to_string(dir.join("hash")).expect("with its hash");
            let found = hash(with_segment(&bytes)).await;
            assert_eq!(found, wanted, "{}", dir.display());
        }
    });
}

#[test]
fn a_segment_is_written_as_ever() {
    runtime().block_on(async {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        write(disk.clone()).await;
        let recorded = std::fs::read(dir(ClusterVersion::CURRENT).join(SEGMENT));
        let advice =
            "raise ClusterVersion::CURRENT if a release has this version, and run `make golden`";
        assert!(
            segment(disk.as_ref()) == recorded.expect("the present version is recorded"),
            "the log is written otherwise now: {advice}"
        );
    });
}
