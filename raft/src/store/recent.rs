//! The newest changes, in memory: what followers usually ask for, and what the next checkpoint writes.

use std::collections::VecDeque;
use std::sync::Arc;

use docklet_control::Change;
use docklet_control::audit::chain::Line;
use docklet_control::id::LogIndex;

/// Changes kept although a checkpoint has them.
const KEPT_MAX: usize = 4_096;
/// Events of those changes: a change of a thousand vnodes has some thousands.
const KEPT_EVENTS_MAX: usize = 65_536;
/// Changes that one follower is given at once.
const PAGE_MAX: usize = 128;
/// Events of those changes, but for the last change.
const PAGE_EVENTS_MAX: usize = 1_024;

/// Some changes in order, none missing in between: what a follower is given at once, so small that the memory of many
/// slow followers stays small.
#[derive(Debug)]
pub struct Page {
    /// Changes after this index are kept; those before may be missing.
    pub kept_after: LogIndex,
    /// There are no more changes up to this index.
    pub complete_to: LogIndex,
    pub changes: Vec<Arc<Change>>,
    events: usize,
}

impl Page {
    /// One that will be complete up to `upto` if no more than fit are there.
    pub fn beginning(kept_after: LogIndex, upto: LogIndex) -> Self {
        Self {
            kept_after,
            complete_to: upto,
            changes: Vec::new(),
            events: 0,
        }
    }

    /// Adds a change; answers whether there is room for more.
    pub fn take(&mut self, change: Arc<Change>) -> bool {
        if change.index > self.complete_to {
            return false;
        }
        self.events += change.events.len();
        let index = change.index;
        self.changes.push(change);
        let room = self.changes.len() < PAGE_MAX && self.events < PAGE_EVENTS_MAX;
        if !room {
            self.complete_to = index;
        }
        room
    }
}

/// Changes in order, none missing after the index at which they begin.
#[derive(Debug, Default)]
pub struct Recent {
    /// None is missing after this index.
    after: LogIndex,
    /// Everything up to here is on disk.
    checkpointed: LogIndex,
    changes: VecDeque<Arc<Change>>,
    /// How many they have together.
    events: usize,
    /// Lines of the audit trail that no checkpoint has yet.
    lines: VecDeque<Arc<Line>>,
}

/// What some entries left beside the state.
#[derive(Clone, Debug, Default)]
pub struct Left {
    pub changes: Vec<Arc<Change>>,
    pub lines: Vec<Arc<Line>>,
}

impl Left {
    /// Adds what one more entry left.
    pub fn take(&mut self, change: Change, line: Option<Line>) {
        if !change.events.is_empty() {
            self.changes.push(Arc::new(change));
        }
        self.lines.extend(line.map(Arc::new));
    }
}

impl Recent {
    /// Nothing yet after `index`, up to which all is on disk.
    pub fn starting(index: LogIndex) -> Self {
        Self {
            after: index,
            checkpointed: index,
            changes: VecDeque::new(),
            events: 0,
            lines: VecDeque::new(),
        }
    }

    /// Adds what a batch left.
    pub fn push(&mut self, left: Left) {
        let events = left.changes.iter().map(|change| change.events.len());
        self.events += events.sum::<usize>();
        self.changes.extend(left.changes);
        self.lines.extend(left.lines);
    }

    /// Takes note that everything up to `index` is on disk, and forgets the oldest.
    pub fn checkpointed(&mut self, index: LogIndex) {
        self.checkpointed = index;
        let written = self.lines.partition_point(|line| line.index <= index);
        self.lines.drain(..written);
        while (self.changes.len() > KEPT_MAX || self.events > KEPT_EVENTS_MAX)
            && let Some(oldest) = self.changes.front().filter(|change| change.index <= index)
        {
            self.after = oldest.index;
            self.events -= oldest.events.len();
            self.changes.pop_front();
        }
    }

    /// How much no checkpoint has yet.
    pub fn waiting(&self) -> usize {
        let changes = self.changes.len() - self.position(self.checkpointed);
        changes.max(self.lines.len())
    }

    /// What the next checkpoint up to `index` writes.
    pub fn left(&self, index: LogIndex) -> Left {
        let changes = self.range(self.checkpointed, index);
        let lines = self.lines.iter().take_while(|line| line.index <= index);
        Left {
            changes: changes.expect("changes are kept until a checkpoint has them"),
            lines: lines.cloned().collect(),
        }
    }

    /// Where the first change after `index` is.
    fn position(&self, index: LogIndex) -> usize {
        self.changes.partition_point(|change| change.index <= index)
    }

    /// All changes after `after` up to and with `upto`; none if some of them are only on disk.
    pub fn range(&self, after: LogIndex, upto: LogIndex) -> Option<Vec<Arc<Change>>> {
        if after < self.after {
            return None;
        }
        let (start, end) = (self.position(after), self.position(upto));
        Some(self.changes.range(start..end.max(start)).cloned().collect())
    }

    /// The next changes after `after`, up to and with `upto` at most; none if some of them are only on disk.
    pub fn page(&self, after: LogIndex, upto: LogIndex) -> Option<Page> {
        if after < self.after {
            return None;
        }
        let mut page = Page::beginning(after, upto);
        let mut changes = self.changes.range(self.position(after)..);
        while changes
            .next()
            .is_some_and(|change| page.take(change.clone()))
        {}
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docklet_control::id::UnixMs;
    use docklet_control::{Actor, Event};

    fn change(index: u64) -> Change {
        Change {
            index: LogIndex(index),
            at: UnixMs(index),
            actor: Actor::Duty,
            command: "".into(),
            events: Vec::new(),
        }
    }

    fn left(changes: impl Iterator<Item = Change>) -> Left {
        Left {
            changes: changes.map(Arc::new).collect(),
            lines: Vec::new(),
        }
    }

    /// Changes of entries 12, 14, ….
    fn recent() -> Recent {
        let mut recent = Recent::starting(LogIndex(10));
        recent.push(left((1..=5_000).map(|number| change(10 + number * 2))));
        recent
    }

    fn indices(changes: &[Arc<Change>]) -> Vec<u64> {
        changes.iter().map(|change| change.index.0).collect()
    }

    #[test]
    fn what_is_asked_for_is_given_whole_or_not_at_all() {
        let mut recent = recent();
        let range = |recent: &Recent, after, upto| {
            let found = recent.range(LogIndex(after), LogIndex(upto));
            found.map(|found| indices(&found))
        };
        assert_eq!(range(&recent, 9, 14), None);
        assert_eq!(range(&recent, 10, 15), Some(vec![12, 14]));
        assert_eq!(range(&recent, 20_000, 11), Some(vec![]));
        assert_eq!(
            recent.waiting(),
            5_000,
            "nothing is forgotten that is not on disk"
        );
        recent.checkpointed(LogIndex(110));
        assert_eq!(recent.waiting(), 4_950);
        assert_eq!(range(&recent, 108, 113), None);
        assert_eq!(range(&recent, 110, 113), Some(vec![112]));
    }

    #[test]
    fn a_page_says_how_far_it_is_complete() {
        let recent = recent();
        let page = |after, upto| recent.page(LogIndex(after), LogIndex(upto)).expect("kept");
        let short = page(13, 19);
        assert_eq!(indices(&short.changes), [14, 16, 18]);
        assert_eq!(short.complete_to, LogIndex(19));
        let full = page(10, 9_999);
        assert_eq!(full.changes.len(), PAGE_MAX);
        assert_eq!(full.complete_to, full.changes[PAGE_MAX - 1].index);
        assert!(recent.page(LogIndex(9), LogIndex(19)).is_none());
    }

    #[test]
    fn large_changes_make_short_pages_and_a_short_ring() {
        let user = docklet_control::model::User {
            id: docklet_control::id::UserId(1),
            name: docklet_control::name::Name::parse("user", "ada").expect("good"),
            role: docklet_control::model::Role::User,
            password_hash: String::new(),
            created_at: UnixMs(0),
        };
        let large = |index| Change {
            events: vec![Event::UserCreated { user: user.clone() }; 600],
            ..change(index)
        };
        let mut recent = Recent::starting(LogIndex(0));
        recent.push(left((1..=300).map(large)));
        let page = recent.page(LogIndex(0), LogIndex(300)).expect("kept");
        assert_eq!((page.changes.len(), page.complete_to), (2, LogIndex(2)));
        recent.checkpointed(LogIndex(300));
        let kept = recent.range(LogIndex(300 - 109), LogIndex(300));
        assert_eq!(kept.map(|kept| kept.len()), Some(109));
        assert!(recent.range(LogIndex(300 - 110), LogIndex(300)).is_none());
    }
}
