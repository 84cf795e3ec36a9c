//! What a master keeps on disk: the log in one redb file, state rows and history in another.

pub mod log;
pub mod machine;
pub mod rows;

use docklet_control::State;
use docklet_control::id::LogIndex;
use docklet_control::rows::StateHash;

use crate::types::{LogId, Membership};

/// The state as it was after one entry: cheap to keep, never changes.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    /// The entry.
    pub index: LogIndex,
    /// The state after it.
    pub state: State,
    /// Its fingerprint, equal on all masters at this index.
    pub hash: StateHash,
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: Membership,
}

/// Runs blocking work on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::RaftFault> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)?
        .map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use openraft::StorageError;
    use openraft::testing::log::{StoreBuilder, Suite};
    use tempfile::TempDir;

    use super::log::LogStore;
    use super::machine::Machine;
    use crate::types::Types;

    struct OnDisk;

    impl StoreBuilder<Types, LogStore, Machine, TempDir> for OnDisk {
        async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<Types>> {
            let dir = TempDir::new().expect("a directory");
            let log = LogStore::open(dir.path()).expect("a log");
            let (machine, _) = Machine::open(dir.path()).expect("a state");
            Ok((dir, log, machine))
        }
    }

    #[test]
    fn openrafts_own_store_suite_passes_on_real_files() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let result = runtime.block_on(Suite::test_all(OnDisk));
        assert!(result.is_ok(), "{result:?}");
    }
}
