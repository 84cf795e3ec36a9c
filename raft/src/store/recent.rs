//! The newest changes, in memory: what followers usually ask for, and what the next checkpoint writes.

use std::collections::VecDeque;
use std::sync::Arc;

use docklet_control::Change;
use docklet_control::id::LogIndex;

/// Changes kept although a checkpoint has them.
const KEPT_MAX: usize = 4_096;

/// Changes in order, none missing after the index at which they begin.
#[derive(Debug, Default)]
pub struct Recent {
    /// None is missing after this index.
    after: LogIndex,
    /// Everything up to here is on disk.
    checkpointed: LogIndex,
    changes: VecDeque<Arc<Change>>,
}

impl Recent {
    /// Nothing yet after `index`, up to which all is on disk.
    pub fn starting(index: LogIndex) -> Self {
        Self {
            after: index,
            checkpointed: index,
            changes: VecDeque::new(),
        }
    }

    /// Adds the changes of a batch.
    pub fn push(&mut self, changes: Vec<Change>) {
        self.changes.extend(changes.into_iter().map(Arc::new));
    }

    /// Takes note that everything up to `index` is on disk, and forgets the oldest.
    pub fn checkpointed(&mut self, index: LogIndex) {
        self.checkpointed = index;
        while self.changes.len() > KEPT_MAX
            && let Some(oldest) = self.changes.front().filter(|change| change.index <= index)
        {
            self.after = oldest.index;
            self.changes.pop_front();
        }
    }

    /// Changes that no checkpoint has yet.
    pub fn waiting(&self) -> usize {
        self.changes.len() - self.position(self.checkpointed)
    }

    /// Where the first change after `index` is.
    fn position(&self, index: LogIndex) -> usize {
        self.changes.partition_point(|change| change.index <= index)
    }

    /// Changes after `after` up to and with `upto`, at most `limit`; none if some of them are only on disk.
    pub fn range(&self, after: LogIndex, upto: LogIndex, limit: usize) -> Option<Vec<Arc<Change>>> {
        if after < self.after {
            return None;
        }
        let (start, end) = (self.position(after), self.position(upto));
        let end = end.min(start.saturating_add(limit)).max(start);
        Some(self.changes.range(start..end).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docklet_control::Actor;
    use docklet_control::id::UnixMs;

    fn change(index: u64) -> Change {
        Change {
            index: LogIndex(index),
            at: UnixMs(index),
            actor: Actor::Duty,
            command: String::new(),
            events: Vec::new(),
        }
    }

    #[test]
    fn what_is_asked_for_is_given_whole_or_not_at_all() {
        let mut recent = Recent::starting(LogIndex(10));
        recent.push((1..=5_000).map(|number| change(10 + number * 2)).collect());
        let indices = |found: Option<Vec<Arc<Change>>>| {
            found.map(|found| {
                found
                    .iter()
                    .map(|change| change.index.0)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(indices(recent.range(LogIndex(9), LogIndex(14), 9)), None);
        assert_eq!(
            indices(recent.range(LogIndex(10), LogIndex(15), 9)),
            Some(vec![12, 14])
        );
        assert_eq!(
            indices(recent.range(LogIndex(13), LogIndex(99), 2)),
            Some(vec![14, 16])
        );
        assert_eq!(
            indices(recent.range(LogIndex(20_000), LogIndex(11), 2)),
            Some(vec![])
        );
        assert_eq!(
            recent.waiting(),
            5_000,
            "nothing is forgotten that is not on disk"
        );
        recent.checkpointed(LogIndex(110));
        assert_eq!(recent.waiting(), 4_950);
        assert_eq!(indices(recent.range(LogIndex(108), LogIndex(113), 9)), None);
        assert_eq!(
            indices(recent.range(LogIndex(110), LogIndex(113), 9)),
            Some(vec![112])
        );
    }
}
