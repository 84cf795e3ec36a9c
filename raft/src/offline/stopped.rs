//! The store of a master that does not run: what it has, and letting it go on alone.

use std::sync::Arc;

use docklet_control::id::{LogIndex, MasterId, UnixMs};
use docklet_control::model::ClusterVersion;
use docklet_control::{Command, State, apply, generation};
use openraft::entry::RaftEntry;
use openraft::storage::RaftLogStorage;
use openraft::{EntryPayload, RaftLogReader};

use super::{Alone, OfflineFault, begin};
use crate::disk::Disk;
use crate::fault::RaftFault;
use crate::store::Frozen;
use crate::store::log::{LogStore, SEGMENT_BYTES};
use crate::store::pace::Pace;
use crate::store::recent::Left;
use crate::store::rows::{HistoryLimits, RowStore};
use crate::types::{LogEntry, LogId, Membership, Vote};

/// Nothing of the past is dropped here.
const KEEP_ALL: HistoryLimits = HistoryLimits {
    bytes_max: u64::MAX,
    age_ms_max: u64::MAX,
};

/// An open store. Nobody else can open it.
pub struct Stopped {
    rows: RowStore,
    log: LogStore,
    /// The last checkpoint.
    frozen: Frozen,
    /// The last entry, in the log or in the state.
    pub last: LogId,
    vote: Option<Vote>,
}

/// What the log's end adds to the last checkpoint.
pub struct Tail {
    pub state: State,
    pub membership: Arc<Membership>,
    /// When the last entry was stamped that says so.
    pub at: Option<UnixMs>,
    left: Left,
}

impl Stopped {
    /// Opens what is on `disk`.
    ///
    /// # Errors
    /// It is in use or damaged, or there was never an entry.
    pub async fn open(disk: Arc<dyn Disk>) -> Result<Self, OfflineFault> {
        let rows = RowStore::open(disk.as_ref(), KEEP_ALL)?;
        rows.admit(ClusterVersion::CURRENT)?;
        let frozen = rows.load()?;
        let mut log = LogStore::open(disk, SEGMENT_BYTES)?;
        let found = log.get_log_state().await.map_err(RaftFault::Io)?;
        let vote = log.read_vote().await.map_err(RaftFault::Io)?;
        let last = found.last_log_id.max(frozen.applied);
        Ok(Self {
            rows,
            log,
            last: last.ok_or(OfflineFault::Empty)?,
            frozen,
            vote,
        })
    }

    /// The entry that the last checkpoint reaches.
    pub fn checkpoint(&self) -> LogIndex {
        self.frozen.index
    }

    /// Everything in the log counts: an entry that was acknowledged is here for certain only in the log's end, and
    /// one that never was may well take effect.
    ///
    /// # Errors
    /// An entry is missing or damaged.
    pub async fn tail(&mut self) -> Result<Tail, OfflineFault> {
        let from = self.frozen.index.0 + 1;
        let entries = self.log.try_get_log_entries(from..=self.last.index());
        let entries = entries.await.map_err(RaftFault::Io)?;
        let mut tail = Tail {
            state: State::clone(&self.frozen.state),
            membership: self.frozen.membership.clone(),
            at: None,
            left: Left::default(),
        };
        for (wanted, entry) in (from..=self.last.index()).zip(&entries) {
            assert_eq!(entry.index(), wanted, "the log has no gap");
            tail.take(entry);
        }
        let complete = (from..=self.last.index()).count() == entries.len();
        if complete {
            return Ok(tail);
        }
        let text = format!("entries from {from} to {} are not all there", self.last);
        Err(RaftFault::Io(std::io::Error::other(text)).into())
    }

    fn term(&self) -> u64 {
        let voted = self.vote.as_ref().map_or(0, |vote| vote.leader_id.term);
        voted.max(self.last.committed_leader_id().term)
    }

    /// Lets `master` go on alone from the end of its log, in a generation of its own. One transaction of the disk:
    /// before it nothing has changed, after it all has.
    ///
    /// # Errors
    /// The disk failed, or it is no member.
    pub async fn go_on_alone(
        mut self,
        master: MasterId,
        at: UnixMs,
    ) -> Result<LogIndex, OfflineFault> {
        let last = LogIndex(self.last.index());
        let index = generation::next(last);
        let mut tail = self.tail().await?;
        let address = tail.state.masters.get(&master);
        let address = address.map(|known| known.cluster_addr.clone());
        let applied = begin(
            &tail.state,
            index,
            at,
            Command::RecoverCluster { master, last },
        )?;
        tail.left.take(applied.change, applied.audit);
        let address = address.expect("recovering what is no member is refused");
        let term = self.term() + 1;
        // A vote alone changes nothing, should the power go before the rest.
        let vote = Vote::new(term, master.0);
        self.log.save_vote(&vote).await.map_err(RaftFault::Io)?;
        let alone = Alone::new(term, master, index, address);
        let after = Frozen {
            index,
            state: Arc::new(applied.state),
            applied: Some(alone.applied),
            membership: Arc::new(alone.membership),
            base: self.frozen.base.clone(),
        };
        self.rows
            .checkpoint(&self.frozen.base, &after, &tail.left, Pace::straight())?;
        Ok(index)
    }
}

impl Tail {
    fn take(&mut self, entry: &LogEntry) {
        match &entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Membership(members) => {
                let members = Membership::new(Some(entry.log_id()), members.clone());
                self.membership = Arc::new(members);
            }
            EntryPayload::Normal(proposal) => {
                let state = std::mem::take(&mut self.state);
                let applied = apply(state, LogIndex(entry.index()), &proposal.0);
                self.at = Some(proposal.0.at);
                self.state = applied.state;
                self.left.take(applied.change, applied.audit);
            }
        }
    }
}

/// Makes the store of a master that is the only one of its group.
///
/// # Errors
/// The disk failed.
pub async fn make(
    disk: Arc<dyn Disk>,
    master: MasterId,
    address: String,
    index: LogIndex,
    state: State,
) -> Result<Frozen, RaftFault> {
    const TERM: u64 = 1;
    let mut log = LogStore::open(disk.clone(), SEGMENT_BYTES)?;
    log.save_vote(&Vote::new(TERM, master.0))
        .await
        .map_err(RaftFault::Io)?;
    let alone = Alone::new(TERM, master, index, address);
    let frozen = Frozen {
        index,
        state: Arc::new(state),
        applied: Some(alone.applied),
        membership: Arc::new(alone.membership),
        ..Frozen::default()
    };
    let rows = RowStore::open(disk.as_ref(), KEEP_ALL)?;
    let base = Arc::new(rows.replace(&frozen)?);
    Ok(Frozen { base, ..frozen })
}
