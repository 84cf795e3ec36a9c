//! Following the log: every change after an index, in order, each once, from whichever master.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use docklet_control::Change;
use docklet_control::id::LogIndex;
use futures_util::Stream;

use crate::fault::RaftFault;
use crate::master::Master;
use crate::store::Frozen;

/// A follower that has seen more than this master waits so long for it to come that far.
const BEHIND_MAX: Duration = Duration::from_secs(2);

/// What a follower is given.
#[derive(Clone, Debug)]
pub enum Followed {
    /// What one entry changed.
    Change(Arc<Change>),
    /// Some changes that come next are no longer kept: the state instead, which holds all up to its index.
    Snapshot(Frozen),
    /// The changes up to this entry are no longer kept, and left out.
    Skipped(LogIndex),
}

/// What is given instead of changes that are no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGap {
    /// The state of now: for whoever must have it right.
    Snapshot,
    /// Nothing: for whoever wants to see of the changes as many as there are.
    Skip,
}

/// Why following ends.
#[derive(Debug, thiserror::Error)]
pub enum FollowEnd {
    /// This master has not come that far: ask another.
    #[error("this master has applied entry {applied} only")]
    Behind { applied: LogIndex },
    #[error("the history cannot be read")]
    Fault(#[source] RaftFault),
}

/// One follower: a position in the log, and the next few changes. It costs the master nothing else, however slow it is.
pub struct Follower {
    master: Master,
    after: LogIndex,
    on_gap: OnGap,
    page: VecDeque<Arc<Change>>,
    /// The position when the page is used up.
    page_end: LogIndex,
}

impl Master {
    /// Follows the changes after `after`.
    #[must_use]
    pub fn follower(&self, after: LogIndex, on_gap: OnGap) -> Follower {
        Follower {
            master: self.clone(),
            after,
            on_gap,
            page: VecDeque::new(),
            page_end: after,
        }
    }

    /// Everything after `after` that happened or will happen. Entries that changed nothing are left out.
    pub fn follow(
        &self,
        after: LogIndex,
        on_gap: OnGap,
    ) -> impl Stream<Item = Result<Followed, FollowEnd>> + use<> {
        let following = Some((self.follower(after, on_gap), self.watch()));
        futures_util::stream::unfold(following, |following| async {
            let (mut follower, mut states) = following?;
            loop {
                states.borrow_and_update();
                match follower.next().await {
                    Ok(Some(followed)) => return Some((Ok(followed), Some((follower, states)))),
                    Err(end) => return Some((Err(end), None)),
                    // The master has stopped.
                    Ok(None) => states.changed().await.ok()?,
                }
            }
        })
    }
}

impl Follower {
    /// Everything up to this entry has been given.
    #[must_use]
    pub fn position(&self) -> LogIndex {
        self.after
    }

    /// Passes over what comes up to `index`: the follower has no interest in any of that.
    pub fn pass(&mut self, index: LogIndex) {
        if index > self.after {
            self.after = index;
            self.page_end = self.page_end.max(index);
            self.page.retain(|change| change.index > index);
        }
    }

    /// What comes next; none if the follower has come as far as this master.
    ///
    /// # Errors
    /// This master has not come so far, or cannot read its history.
    pub async fn next(&mut self) -> Result<Option<Followed>, FollowEnd> {
        loop {
            if let Some(change) = self.page.pop_front() {
                self.after = change.index;
                return Ok(Some(Followed::Change(change)));
            }
            self.after = self.page_end;
            let applied = self.applied().await?;
            if self.after == applied {
                return Ok(None);
            }
            if let Some(gap) = self.turn_page(applied).await? {
                return Ok(Some(gap));
            }
        }
    }

    /// How far this master has come, which is at least as far as the follower.
    async fn applied(&self) -> Result<LogIndex, FollowEnd> {
        let applied = self.master.local().index;
        if self.after <= applied {
            return Ok(applied);
        }
        match self.master.wait_applied(self.after, BEHIND_MAX).await {
            Ok(frozen) => Ok(frozen.index),
            Err(_) => Err(FollowEnd::Behind { applied }),
        }
    }

    /// Reads on; answers what takes the place of what is no longer kept.
    async fn turn_page(&mut self, applied: LogIndex) -> Result<Option<Followed>, FollowEnd> {
        let view = &self.master.inner.view;
        let page = view.changes(self.after, applied).await;
        let page = page.map_err(FollowEnd::Fault)?;
        if self.after >= page.kept_after {
            self.page = page.changes.into();
            self.page_end = page.complete_to;
            return Ok(None);
        }
        let (index, gap) = match self.on_gap {
            OnGap::Skip => (page.kept_after, Followed::Skipped(page.kept_after)),
            OnGap::Snapshot => {
                let frozen = self.master.local();
                (frozen.index, Followed::Snapshot(frozen))
            }
        };
        self.after = index;
        self.page_end = index;
        Ok(Some(gap))
    }
}
