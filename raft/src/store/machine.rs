//! The state machine: applies committed entries, publishes the state after each batch, gives and takes snapshots.

use std::io;
use std::path::Path;
use std::sync::Arc;

use docklet_control::apply;
use docklet_control::id::LogIndex;
use docklet_control::rows;
use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tokio::sync::watch;

use super::rows::RowStore;
use super::{Frozen, blocking};
use crate::fault::RaftFault;
use crate::types::{LogEntry, LogId, Membership, Snapshot, SnapshotMeta, Types};

/// The state machine as openraft drives it.
pub struct Machine {
    rows: Arc<RowStore>,
    published: Arc<watch::Sender<Frozen>>,
}

/// What the rest of the room sees of it.
#[derive(Clone)]
pub struct MachineView {
    pub rows: Arc<RowStore>,
    published: Arc<watch::Sender<Frozen>>,
}

impl MachineView {
    /// The state after the last applied entry.
    pub fn frozen(&self) -> Frozen {
        self.published.borrow().clone()
    }

    /// Wakes at each new state.
    pub fn watch(&self) -> watch::Receiver<Frozen> {
        self.published.subscribe()
    }
}

impl Machine {
    /// Opens the state in `dir` and goes on where it was last synced.
    ///
    /// # Errors
    /// The file is damaged or cannot be opened.
    pub fn open(dir: &Path) -> Result<(Self, MachineView), RaftFault> {
        let rows = Arc::new(RowStore::open(dir)?);
        let published = Arc::new(watch::Sender::new(rows.load()?));
        let machine = Self {
            rows: rows.clone(),
            published: published.clone(),
        };
        Ok((machine, MachineView { rows, published }))
    }

    fn frozen(&self) -> Frozen {
        self.published.borrow().clone()
    }
}

/// One batch while it is applied.
struct Batch {
    before: Frozen,
    after: Frozen,
    history: Vec<docklet_control::Change>,
}

impl Batch {
    fn on(before: Frozen) -> Self {
        Self {
            after: before.clone(),
            before,
            history: Vec::new(),
        }
    }

    fn apply(&mut self, entry: &LogEntry) -> Option<docklet_control::model::Receipt> {
        let index = LogIndex(entry.index());
        self.after.index = index;
        self.after.applied = Some(entry.log_id());
        match &entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Membership(membership) => {
                self.after.membership = Membership::new(Some(entry.log_id()), membership.clone());
                None
            }
            EntryPayload::Normal(proposal) => {
                let applied = apply(&self.after.state, index, &proposal.0);
                self.after.state = applied.state;
                if !applied.change.events.is_empty() {
                    self.history.push(applied.change);
                }
                Some(applied.receipt)
            }
        }
    }

    /// Writes what changed and gives the state to publish.
    fn commit(mut self, store: &RowStore) -> Result<Frozen, RaftFault> {
        let changed = rows::diff(&self.before.state, &self.after.state);
        self.after.hash = self.before.hash.after(&changed);
        store.apply(&self.after, &changed, &self.history)?;
        Ok(self.after)
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Frozen;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), io::Error> {
        let frozen = self.frozen();
        Ok((frozen.applied, frozen.membership))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut batch = Batch::on(self.frozen());
        let mut answers = Vec::new();
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let receipt = batch.apply(&entry);
            answers.extend(responder.map(|responder| (responder, receipt)));
        }
        let rows = self.rows.clone();
        let after = blocking(move || batch.commit(&rows)).await?;
        self.published.send_replace(after);
        for (responder, receipt) in answers {
            responder.send(receipt);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        Builder {
            rows: self.rows.clone(),
            frozen: self.frozen(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Frozen,
    ) -> Result<(), io::Error> {
        let frozen = Frozen {
            index: LogIndex(meta.last_log_id.map_or(0, |id| id.index())),
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
            ..snapshot
        };
        let (rows, stored) = (self.rows.clone(), frozen.clone());
        blocking(move || rows.replace(&stored)).await?;
        self.published.send_replace(frozen);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let frozen = self.frozen();
        Ok(frozen.applied.is_some().then(|| snapshot_of(frozen)))
    }
}

/// A snapshot is the frozen state itself; building one means that it is on disk, so that the log may be purged.
pub struct Builder {
    rows: Arc<RowStore>,
    frozen: Frozen,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Frozen;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let rows = self.rows.clone();
        blocking(move || rows.flush()).await?;
        Ok(snapshot_of(self.frozen.clone()))
    }
}

fn snapshot_of(frozen: Frozen) -> Snapshot {
    Snapshot {
        meta: SnapshotMeta {
            last_log_id: frozen.applied,
            last_membership: frozen.membership.clone(),
        },
        snapshot: frozen,
    }
}
