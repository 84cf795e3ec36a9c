//! The state machine as openraft drives it: entries go through the fold, in memory; checkpoints bring the state to
//! disk.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::model::{ClusterVersion, Receipt};
use docklet_control::rows::{StateHash, diff};
use docklet_control::{Refusal, State, apply, version};
use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tokio::sync::watch;

use super::checkpoint::{Checkpoints, Point, Progress};
use super::past::Reach;
use super::recent::{Left, Page};
use super::rows::{HistoryLimits, RowStore};
use super::{Frozen, blocking, trail};
use crate::disk::{Disk, Work};
use crate::fault::RaftFault;
use crate::types::{LogEntry, LogId, Membership, Snapshot, SnapshotMeta, Types};

/// Masters compare the hashes of their states after every so many entries.
const POINT_EVERY: u64 = 1_024;

/// The state machine.
pub struct Machine {
    view: MachineView,
    /// What a follower that lags far is sent: the state as of the last time that the log was to be purged.
    built: Arc<Mutex<Option<Frozen>>>,
}

/// What the rest of the room sees of it.
#[derive(Clone)]
pub struct MachineView {
    rows: Arc<RowStore>,
    progress: Arc<Progress>,
    checkpoints: Checkpoints,
    threads: bool,
    /// What this program knows.
    knows: ClusterVersion,
}

impl MachineView {
    /// The state after the last applied entry.
    pub fn frozen(&self) -> Frozen {
        self.progress.frozen()
    }

    /// Wakes at each new state.
    pub fn watch(&self) -> watch::Receiver<Frozen> {
        self.progress.watch()
    }

    /// Tells when the state cannot be written any more, and why.
    pub fn failure(&self) -> watch::Receiver<Option<Arc<RaftFault>>> {
        self.progress.failure()
    }

    /// This program must not go on with the state.
    pub fn refuse(&self, refusal: Refusal) {
        self.progress.refuse(refusal);
    }

    /// Comes back when this program must not go on, with the reason.
    pub async fn refused(&self) -> Refusal {
        let mut refusal = self.progress.refusal();
        let refused = refusal.wait_for(Option::is_some).await;
        match refused.ok().and_then(|refusal| refusal.clone()) {
            Some(refusal) => refusal,
            // The sender lives as long as this view.
            None => std::future::pending().await,
        }
    }

    /// Comes back when everything that was applied before is durable.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn flush(&self) -> Result<(), RaftFault> {
        self.checkpoints.flush().await
    }

    /// The next changes after `after`, up to and with `upto` at most.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn changes(&self, after: LogIndex, upto: LogIndex) -> Result<Page, RaftFault> {
        let recent = self.progress.recent().page(after, upto);
        if let Some(page) = recent {
            return Ok(page);
        }
        let rows = self.rows.clone();
        self.off(move || rows.history(after, upto)).await
    }

    /// The state after the entry at `index`, without receipts; none if the history does not reach back so far.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn state_at(&self, index: LogIndex) -> Result<Option<State>, RaftFault> {
        loop {
            if self.progress.base().index < index {
                self.flush().await?;
            }
            let (rows, base) = (self.rows.clone(), self.progress.base());
            let reached = base.index;
            let found = self.off(move || rows.state_at(&base, index)).await?;
            // Another checkpoint in between moves the ground.
            if found.is_some() || self.progress.base().index == reached {
                return Ok(found);
            }
        }
    }

    /// The last entry that was stamped at `time` or before; none if the history does not reach back so far.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn index_at(&self, time: UnixMs) -> Result<Option<LogIndex>, RaftFault> {
        self.flush().await?;
        let rows = self.rows.clone();
        self.off(move || rows.index_at(time)).await
    }

    /// Hashes of states that are to be compared, with `now` also of the present one.
    pub async fn hashes(&self, now: bool) -> Vec<(LogIndex, StateHash)> {
        let (points, base) = (self.progress.take_points(now), self.progress.base());
        let compute = move || {
            let mut before = (base.state.clone(), base.hash);
            let hashes = points.into_iter().map(|(index, state)| {
                let hash = before.1.after(&diff(&before.0, &state));
                before = (state, hash);
                (index, hash)
            });
            Ok(hashes.collect())
        };
        self.off(compute).await.unwrap_or_default()
    }

    /// Reads all rows on disk; whether they are those that were written.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn scrub(&self) -> Result<bool, RaftFault> {
        let rows = self.rows.clone();
        self.off(move || rows.scrub()).await
    }

    /// The index after which every change is kept.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn history_after(&self) -> Result<LogIndex, RaftFault> {
        let rows = self.rows.clone();
        let reach = self.off(move || rows.reach()).await?;
        Ok(reach.after)
    }

    /// How far the history reaches back.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn reach(&self) -> Result<Reach, RaftFault> {
        self.flush().await?;
        let rows = self.rows.clone();
        self.off(move || rows.reach()).await
    }

    /// When the last entry at `index` or before that changed something was stamped; none if that is not kept.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn stamp(&self, index: LogIndex) -> Result<Option<UnixMs>, RaftFault> {
        let rows = self.rows.clone();
        self.off(move || rows.stamp(index)).await
    }

    /// The entry that the last checkpoint reaches.
    pub fn durable(&self) -> LogIndex {
        self.progress.base().index
    }

    /// Up to `most` lines of the audit trail after the record `after`, as far as checkpoints have them.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn trail_after(&self, after: u64, most: usize) -> Result<trail::Page, RaftFault> {
        let rows = self.rows.clone();
        self.off(move || rows.trail_after(after, most)).await
    }

    /// The last lines up to the record `upto`, as far as checkpoints have them.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn trail_upto(&self, upto: u64, most: usize) -> Result<trail::Page, RaftFault> {
        let rows = self.rows.clone();
        self.off(move || rows.trail_upto(upto, most)).await
    }

    /// Where the trail that is kept begins.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn trail_begin(&self) -> Result<trail::Begin, RaftFault> {
        let rows = self.rows.clone();
        self.off(move || rows.trail_begin()).await
    }

    /// Puts before it what another master has; whether that leads there.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn fill_trail(&self, page: trail::Page) -> Result<bool, RaftFault> {
        let rows = self.rows.clone();
        self.off(move || rows.fill_trail(&page)).await
    }

    /// Refuses a state that the cluster agreed to write in a version beyond what this program knows: it would fold what
    /// comes next into another state than the others.
    fn admit(&self, state: &State) -> io::Result<()> {
        version::admit(state, self.knows).map_err(|refusal| {
            self.refuse(refusal.clone());
            io::Error::other(refusal)
        })
    }

    /// Runs disk work off the asynchronous threads, where there are such.
    pub(crate) async fn off<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RaftFault> + Send + 'static,
    ) -> Result<T, RaftFault> {
        if self.threads {
            Ok(blocking(work).await?)
        } else {
            work()
        }
    }
}

impl Machine {
    /// Opens the state on `disk` and goes on where it was last brought there.
    ///
    /// # Errors
    /// The file is damaged or cannot be opened, or this program knows too little for it.
    pub fn open(
        disk: &dyn Disk,
        limits: HistoryLimits,
        knows: ClusterVersion,
    ) -> Result<(Self, MachineView), RaftFault> {
        let rows = Arc::new(RowStore::open(disk, limits)?);
        rows.admit(knows)?;
        let progress = Arc::new(Progress::starting(rows.load()?));
        let work = disk.work();
        let view = MachineView {
            checkpoints: Checkpoints::start(progress.clone(), rows.clone(), work == Work::Threads)?,
            rows,
            progress,
            knows,
            threads: work == Work::Threads,
        };
        if matches!(work, Work::Tasks(_)) {
            tokio::spawn(view.checkpoints.clone().keep_time());
        }
        let machine = Self {
            view: view.clone(),
            built: Arc::default(),
        };
        Ok((machine, view))
    }
}

/// One batch while it is applied.
struct Batch {
    index: LogIndex,
    applied: Option<LogId>,
    membership: Arc<Membership>,
    state: State,
    left: Left,
    points: Vec<Point>,
}

impl Batch {
    fn on(before: &Frozen) -> Self {
        Self {
            index: before.index,
            applied: before.applied,
            membership: before.membership.clone(),
            state: State::clone(&before.state),
            left: Left::default(),
            points: Vec::new(),
        }
    }

    fn apply(&mut self, entry: &LogEntry) -> Option<Receipt> {
        let receipt = self.fold(entry);
        if self.index.0.is_multiple_of(POINT_EVERY) {
            self.points.push((self.index, Arc::new(self.state.clone())));
        }
        receipt
    }

    fn fold(&mut self, entry: &LogEntry) -> Option<Receipt> {
        self.index = LogIndex(entry.index());
        self.applied = Some(entry.log_id());
        match &entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Membership(membership) => {
                let membership = Membership::new(Some(entry.log_id()), membership.clone());
                self.membership = Arc::new(membership);
                None
            }
            EntryPayload::Normal(proposal) => {
                let state = std::mem::take(&mut self.state);
                let applied = apply(state, self.index, &proposal.0);
                self.state = applied.state;
                self.left.take(applied.change, applied.audit);
                Some(applied.receipt)
            }
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Frozen;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), io::Error> {
        let frozen = self.view.frozen();
        Ok((frozen.applied, Membership::clone(&frozen.membership)))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let before = self.view.frozen();
        let mut batch = Batch::on(&before);
        let mut answers = Vec::new();
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let receipt = batch.apply(&entry);
            self.view.admit(&batch.state)?;
            answers.extend(responder.map(|responder| (responder, receipt)));
        }
        let after = Frozen {
            index: batch.index,
            state: Arc::new(batch.state),
            applied: batch.applied,
            membership: batch.membership,
            base: self.view.progress.base(),
        };
        self.view.progress.add_points(batch.points);
        self.view.progress.publish(after, batch.left);
        for (responder, receipt) in answers {
            responder.send(receipt);
        }
        self.view
            .checkpoints
            .keep_up()
            .await
            .map_err(io::Error::other)
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        SnapshotBuilder {
            view: self.view.clone(),
            frozen: self.view.frozen(),
            built: self.built.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Frozen,
    ) -> Result<(), io::Error> {
        self.view.admit(&snapshot.state)?;
        let frozen = Frozen {
            index: LogIndex(meta.last_log_id.map_or(0, |id| id.index())),
            applied: meta.last_log_id,
            membership: Arc::new(meta.last_membership.clone()),
            ..snapshot
        };
        let checkpoints = self.view.checkpoints.clone();
        self.view
            .off(move || checkpoints.replace(frozen))
            .await
            .map_err(io::Error::other)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let built = self
            .built
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let frozen = built.unwrap_or_else(|| self.view.frozen());
        Ok(frozen.applied.is_some().then(|| snapshot_of(frozen)))
    }
}

/// A snapshot is the frozen state itself; building one means that it is on disk, so that the log may be purged.
pub struct SnapshotBuilder {
    view: MachineView,
    frozen: Frozen,
    built: Arc<Mutex<Option<Frozen>>>,
}

impl RaftSnapshotBuilder<Types> for SnapshotBuilder {
    type SnapshotData = Frozen;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        self.view.flush().await.map_err(io::Error::other)?;
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        *built = Some(self.frozen.clone());
        Ok(snapshot_of(self.frozen.clone()))
    }
}

fn snapshot_of(frozen: Frozen) -> Snapshot {
    Snapshot {
        meta: SnapshotMeta {
            last_log_id: frozen.applied,
            last_membership: Membership::clone(&frozen.membership),
        },
        snapshot: frozen,
    }
}
