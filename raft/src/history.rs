//! Looking back: the state as it was after any entry that the history still reaches.

use std::sync::Arc;

use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::{Change, State};

use crate::fault::RaftFault;
use crate::master::Master;

impl Master {
    /// The state after the entry at `index`, without receipts. None if the history does not reach back so far.
    ///
    /// # Errors
    /// This master has not come to that entry, or the disk failed.
    pub async fn state_at(&self, index: LogIndex) -> Result<Option<State>, RaftFault> {
        let applied = self.local().index;
        if index > applied {
            let wanted = index;
            return Err(RaftFault::Behind { wanted, applied });
        }
        self.inner.view.state_at(index).await
    }

    /// The last entry that changed something and was stamped at `time` or before. None if the history does not
    /// reach back so far.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn index_at(&self, time: UnixMs) -> Result<Option<LogIndex>, RaftFault> {
        self.inner.view.index_at(time).await
    }

    /// The entry up to which changes are no longer kept, as of the last checkpoint: the state can be had as of this
    /// entry and later. Unlike [`Self::reach`] it makes no checkpoint, which may drop more.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn history_after(&self) -> Result<LogIndex, RaftFault> {
        self.inner.view.history_after().await
    }

    /// How far the history reaches back, and when that was if it is known: the state can be had as of that entry and
    /// later.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn reach(&self) -> Result<(LogIndex, Option<UnixMs>), RaftFault> {
        let reach = self.inner.view.reach().await?;
        Ok((reach.after, reach.at))
    }

    /// Changes after `after`, up to and with `upto`, in order; and the entry up to which they are no longer kept.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn changes(
        &self,
        after: LogIndex,
        upto: LogIndex,
    ) -> Result<(LogIndex, Vec<Arc<Change>>), RaftFault> {
        let mut changes = Vec::new();
        let mut from = after;
        let mut kept_after = None;
        loop {
            let page = self.inner.view.changes(from, upto).await?;
            kept_after = kept_after.or(Some(page.kept_after));
            changes.extend(page.changes);
            if page.complete_to <= from || page.complete_to >= upto {
                return Ok((kept_after.unwrap_or(after), changes));
            }
            from = page.complete_to;
        }
    }

    /// When the last entry at `index` or before that changed something was stamped; none if that is not kept.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn stamp(&self, index: LogIndex) -> Result<Option<UnixMs>, RaftFault> {
        self.inner.view.stamp(index).await
    }
}
