//! Parts of lists that may be long: what is looked for, in order, from one row on. Only what is shown is worked out.

use serde::{Deserialize, Serialize};

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only what has this in its name.
    pub find: String,
    /// The key of the first row, as [`Part::next`] gives it; from the beginning if none. It need not be there any more.
    pub from: Option<String>,
    /// Most rows; all if none.
    pub limit: Option<usize>,
}

/// Some rows of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<T> {
    pub rows: Vec<T>,
    /// How many come before these.
    pub before: usize,
    /// How many there are that were looked for.
    pub total: usize,
    /// The key of the row that comes after these, if there is one.
    pub next: Option<String>,
}

impl Wanted {
    /// All there is.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether a name is looked for.
    #[must_use]
    pub fn finds(&self, name: &str) -> bool {
        name.contains(&*self.find)
    }

    /// The wanted part of `rows`, by their keys; `read` makes a key of what [`Part::next`] told, and `tell` that of a key.
    pub(crate) fn of<K: Ord, R, T>(
        &self,
        mut rows: Vec<(K, R)>,
        read: impl Fn(&str) -> Option<K>,
        tell: impl Fn(&K) -> String,
        show: impl FnMut(R) -> T,
    ) -> Part<T> {
        let by_key = |(one, _): &(K, R), (other, _): &(K, R)| one.cmp(other);
        let total = rows.len();
        let from = self.from.as_deref().and_then(read);
        let before = from.map_or(0, |from| rows.iter().filter(|(key, _)| *key < from).count());
        let end = self
            .limit
            .map_or(total, |limit| total.min(before.saturating_add(limit)));
        // What is not shown is parted off, and not put in order.
        let next = (end < total).then(|| tell(&rows.select_nth_unstable_by(end, by_key).1.0));
        rows.truncate(end);
        if before < end {
            rows.select_nth_unstable_by(before, by_key);
        }
        let mut shown = rows.split_off(before);
        shown.sort_unstable_by(by_key);
        Part {
            rows: shown.into_iter().map(|(_, row)| row).map(show).collect(),
            before,
            total,
            next,
        }
    }

    /// The same of rows that come in the order of their keys: nothing is kept of those that are not shown.
    pub(crate) fn of_ordered<'r, K: Ord + 'r, R, T>(
        &self,
        rows: impl Iterator<Item = (&'r K, R)>,
        read: impl Fn(&str) -> Option<K>,
        tell: impl Fn(&K) -> String,
        mut show: impl FnMut(R) -> T,
    ) -> Part<T> {
        let from = self.from.as_deref().and_then(read);
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut part = Part {
            rows: Vec::new(),
            before: 0,
            total: 0,
            next: None,
        };
        for (key, row) in rows {
            part.total += 1;
            if from.as_ref().is_some_and(|from| key < from) {
                part.before += 1;
            } else if part.rows.len() < limit {
                part.rows.push(show(row));
            } else if part.next.is_none() {
                part.next = Some(tell(key));
            }
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_order_are_parted_as_sorted_ones() {
        let rows = [(10, 1), (20, 2), (30, 3), (40, 4)];
        for from in [None, Some("10"), Some("25"), Some("99"), Some("no key")] {
            for limit in [None, Some(1), Some(3), Some(9)] {
                let wanted = Wanted {
                    from: from.map(str::to_owned),
                    limit,
                    ..Wanted::all()
                };
                let in_order = rows.iter().map(|(key, row)| (key, *row));
                let read = |text: &str| text.parse().ok();
                let parted = wanted.of_ordered(in_order, read, u32::to_string, |row| row);
                assert_eq!(parted, part(from, limit));
            }
        }
    }

    fn part(from: Option<&str>, limit: Option<usize>) -> Part<u32> {
        let wanted = Wanted {
            from: from.map(str::to_owned),
            limit,
            ..Wanted::all()
        };
        let rows = vec![(30, 3), (10, 1), (40, 4), (20, 2)];
        wanted.of(rows, |text| text.parse().ok(), u32::to_string, |row| row)
    }

    #[test]
    fn parts_follow_each_other_without_a_row_left_out_or_twice() {
        let (mut from, mut seen) = (None, Vec::new());
        loop {
            let part = part(from.as_deref(), Some(3));
            assert_eq!((part.before, part.total), (seen.len(), 4));
            seen.extend(part.rows);
            from = part.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 3, 4]);
    }

    #[test]
    fn a_row_that_is_gone_is_followed_by_the_one_after_it() {
        assert_eq!(part(Some("25"), Some(1)).rows, [3]);
        assert_eq!(part(Some("99"), Some(1)).rows, [0; 0]);
        assert_eq!(part(Some("no key"), Some(1)).rows, [1]);
        assert_eq!(part(None, None).rows, [1, 2, 3, 4]);
    }
}
