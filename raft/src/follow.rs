//! Following the log: every change after an index, in order, each once, from whichever master.

use std::sync::Arc;

use docklet_control::Change;
use docklet_control::id::LogIndex;
use futures_util::Stream;
use tokio::sync::watch;

use crate::fault::RaftFault;
use crate::master::Master;
use crate::store::Frozen;

/// Changes read from disk at once.
const PAGE: usize = 256;

/// Why a stream of changes ends.
#[derive(Debug, thiserror::Error)]
pub enum FollowEnd {
    /// Changes after the asked index are no longer kept: take the state itself, then follow from its index.
    #[error(
        "changes up to entry {kept_after} are no longer kept; start from the state at that entry or later"
    )]
    Compacted { kept_after: LogIndex },
    /// This master has not come that far: ask another.
    #[error("this master has applied entry {applied} only")]
    Behind { applied: LogIndex },
    #[error("the history cannot be read")]
    Fault(#[source] RaftFault),
}

struct Cursor {
    master: Master,
    watch: watch::Receiver<Frozen>,
    after: LogIndex,
    page: std::vec::IntoIter<Arc<Change>>,
    ended: bool,
}

impl Master {
    /// Every change after `after` that happened or will happen. Entries that changed nothing are left out.
    pub fn follow(
        &self,
        after: LogIndex,
    ) -> impl Stream<Item = Result<Arc<Change>, FollowEnd>> + use<> {
        let cursor = Cursor {
            master: self.clone(),
            watch: self.watch(),
            after,
            page: Vec::new().into_iter(),
            ended: false,
        };
        futures_util::stream::unfold(cursor, |mut cursor| async move {
            if cursor.ended {
                return None;
            }
            let item = cursor.next().await;
            cursor.ended = item.is_err();
            Some((item, cursor))
        })
    }
}

impl Cursor {
    async fn next(&mut self) -> Result<Arc<Change>, FollowEnd> {
        loop {
            if let Some(change) = self.page.next() {
                self.after = change.index;
                return Ok(change);
            }
            let applied = self.watch.borrow_and_update().index;
            if self.after > applied {
                return Err(FollowEnd::Behind { applied });
            }
            self.page = self.read_page(applied).await?.into_iter();
            if self.page.len() == 0 {
                self.after = self.after.max(applied);
                let stopped = |_| FollowEnd::Fault(RaftFault::Raft("master stopped".to_owned()));
                self.watch.changed().await.map_err(stopped)?;
            }
        }
    }

    async fn read_page(&self, applied: LogIndex) -> Result<Vec<Arc<Change>>, FollowEnd> {
        let view = &self.master.inner.view;
        let page = view.changes(self.after, applied, PAGE).await;
        let (kept_after, changes) = page.map_err(FollowEnd::Fault)?;
        if self.after < kept_after {
            return Err(FollowEnd::Compacted { kept_after });
        }
        Ok(changes)
    }
}
