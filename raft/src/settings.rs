//! What can be set of a master: Raft's times, and sizes that only tests and simulations change.

use std::sync::Arc;

use docklet_control::model::ClusterVersion;
use docklet_link::Identity;
use openraft::{Config, SnapshotPolicy};

use crate::fault::RaftFault;
use crate::snapshot::PART_BYTES;
use crate::store::log::SEGMENT_BYTES;
use crate::store::rows::HistoryLimits;

/// Raft's own times. The defaults suit masters on one local network, where they let others write again 0.55 to 0.75 s
/// after a leader's death: the longest election timeout, then one between both. Masters far apart, or a disk whose sync
/// takes longer than the election timeout, need larger ones.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub heartbeat_ms: u64,
    pub election_min_ms: u64,
    pub election_max_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_ms: 40,
            election_min_ms: 200,
            election_max_ms: 350,
        }
    }
}

/// How much of a thing makes one piece. Small ones let a short run reach what a cluster sees once a week.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Length of a segment of the log.
    pub segment_bytes: usize,
    /// After so many entries the log is purged.
    pub entries_between_purges: u64,
    /// So many entries outlive a purge, for followers that lag a little.
    pub entries_kept: u64,
    /// About what a call of a snapshot's transfer carries.
    pub snapshot_part_bytes: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            entries_between_purges: 50_000,
            entries_kept: 10_000,
            snapshot_part_bytes: PART_BYTES,
        }
    }
}

/// All of it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whom this master's certificate names.
    pub identity: Identity,
    pub timing: Timing,
    /// How far back the history may reach.
    pub history: HistoryLimits,
    pub sizes: Sizes,
    /// The newest version of a cluster that this program knows.
    pub knows: ClusterVersion,
}

impl Settings {
    /// The part that openraft wants.
    pub(crate) fn raft(&self) -> Result<Arc<Config>, RaftFault> {
        let config = Config {
            cluster_name: "docklet".to_owned(),
            heartbeat_interval: self.timing.heartbeat_ms,
            election_timeout_min: self.timing.election_min_ms,
            election_timeout_max: self.timing.election_max_ms,
            install_snapshot_timeout: 60_000,
            max_payload_entries: 300,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.sizes.entries_between_purges),
            max_in_snapshot_log_to_keep: self.sizes.entries_kept,
            // A master that comes back is found within half a second.
            backoff: "50ms 100ms 200ms ...500ms".to_owned(),
            enable_pre_vote: Some(true),
            // The state is synced later than the log: a leader that comes back must first apply what it may have lost.
            enable_leader_restore: Some(false),
            // A follower whose disk forgot the end of its log is given it again (docs/adr/0007).
            allow_log_reversion: Some(true),
            ..Config::default()
        };
        let valid = config.validate();
        Ok(Arc::new(
            valid.map_err(|error| RaftFault::Raft(error.to_string()))?,
        ))
    }
}
