//! A set of numbers that mostly follow each other, kept as runs.

use serde::{Deserialize, Serialize};

/// Disjoint runs of numbers, first and last included, in order, with a gap between each two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Runs(Vec<(u32, u32)>);

impl Runs {
    /// More gaps than this are not kept.
    pub const COUNT_MAX: usize = 512;

    /// Whether the runs are as they should be: they may come from elsewhere.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let ordered = self.0.iter().all(|(first, last)| first <= last);
        let apart = |pair: &[(u32, u32)]| pair[0].1.checked_add(1).is_some_and(|n| n < pair[1].0);
        self.0.len() <= Self::COUNT_MAX && ordered && self.0.windows(2).all(apart)
    }

    /// Adds a number.
    pub fn insert(&mut self, number: u32) {
        let at = self.0.partition_point(|(first, _)| *first <= number);
        if at > 0 && number <= self.0[at - 1].1 {
            return;
        }
        let joins_left = at > 0 && self.0[at - 1].1 + 1 == number;
        let joins_right = self.0.get(at).is_some_and(|run| run.0 - 1 == number);
        match (joins_left, joins_right) {
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
            (true, false) => self.0[at - 1].1 = number,
            (false, true) => self.0[at].0 = number,
            (false, false) => self.0.insert(at, (number, number)),
        }
    }

    /// Whether the number is one of them.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|(first, _)| *first <= number);
        at > 0 && number <= self.0[at - 1].1
    }

    /// How many numbers there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        let length = |(first, last): &(u32, u32)| u64::from(last - first) + 1;
        self.0.iter().map(length).sum()
    }

    /// How many runs there are.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.0.len()
    }

    /// How many of these numbers are not in `other`. Both must be sound.
    #[must_use]
    pub fn missing_from(&self, other: &Self) -> u64 {
        self.count() - self.shared_with(other)
    }

    fn shared_with(&self, other: &Self) -> u64 {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut shared = 0;
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                shared += u64::from(last - first) + 1;
            }
            if a.1 < b.1 {
                mine.next();
            } else {
                theirs.next();
            }
        }
        shared
    }
}

impl FromIterator<u32> for Runs {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut runs = Self::default();
        for number in numbers {
            runs.insert(number);
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Runs;

    proptest! {
        #[test]
        fn runs_are_a_set(mine in prop::collection::vec(0..60_u32, 0..80), theirs in prop::collection::vec(0..60_u32, 0..80)) {
            let (runs, others): (Runs, Runs) = (mine.iter().copied().collect(), theirs.iter().copied().collect());
            let (set, other): (BTreeSet<u32>, BTreeSet<u32>) = (mine.into_iter().collect(), theirs.into_iter().collect());
            prop_assert!(runs.is_sound());
            prop_assert_eq!(runs.count(), set.len() as u64);
            prop_assert!((0..60).all(|number| runs.contains(number) == set.contains(&number)));
            prop_assert_eq!(runs.missing_from(&others), set.difference(&other).count() as u64);
        }
    }

    #[test]
    fn runs_of_others_are_looked_at_first() {
        let sound = |runs: &[(u32, u32)]| Runs(runs.to_vec()).is_sound();
        assert!(sound(&[]) && sound(&[(0, u32::MAX)]) && sound(&[(1, 1), (3, 4)]));
        assert!(!sound(&[(2, 1)]) && !sound(&[(3, 4), (1, 1)]) && !sound(&[(1, 2), (3, 4)]));
        assert!(!sound(&[(0, u32::MAX), (5, 6)]));
    }
}
