//! openraft's own suite for stores.

use std::sync::Arc;

use docklet_control::model::ClusterVersion;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::support::{SMALL_SEGMENT, runtime};
use crate::disk::{Disk, HostDisk, MemoryDisk};
use crate::store::log::LogStore;
use crate::store::machine::Machine;
use crate::store::rows::HistoryLimits;
use crate::types::Types;

fn open(disk: Arc<dyn Disk>) -> (LogStore, Machine) {
    let (machine, _) = Machine::open(
        disk.as_ref(),
        HistoryLimits::default(),
        ClusterVersion::CURRENT,
    )
    .expect("a state");
    let log = LogStore::open(disk, SMALL_SEGMENT).expect("a log");
    (log, machine)
}

struct OnFiles;

impl StoreBuilder<Types, LogStore, Machine, TempDir> for OnFiles {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<Types>> {
        let dir = TempDir::new().expect("a directory");
        let (log, machine) = open(Arc::new(HostDisk::open(dir.path()).expect("a disk")));
        Ok((dir, log, machine))
    }
}

struct InMemory;

impl StoreBuilder<Types, LogStore, Machine, ()> for InMemory {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError<Types>> {
        let (log, machine) = open(Arc::new(MemoryDisk::default()));
        Ok(((), log, machine))
    }
}

#[test]
fn openrafts_own_store_suite_passes_on_real_files() {
    let result = runtime().block_on(Suite::test_all(OnFiles));
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn openrafts_own_store_suite_passes_on_the_disk_of_the_simulation() {
    let result = runtime().block_on(Suite::test_all(InMemory));
    assert!(result.is_ok(), "{result:?}");
}
