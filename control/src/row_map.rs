//! A table of the state in memory: an ordered persistent map whose rows are shared. A clone costs nothing; changing
//! one row copies the nodes on its way, and of its neighbours there only the references.

use std::fmt::{self, Debug, Formatter};
use std::ops::{Index, RangeBounds};
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

/// Rows by their key.
#[derive(Clone)]
pub struct RowMap<K, V>(OrdMap<K, Arc<V>>);

impl<K: Ord + Debug, V: Debug> Debug for RowMap<K, V> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<K: Ord, V: PartialEq> PartialEq for RowMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K, V> Default for RowMap<K, V> {
    fn default() -> Self {
        Self(OrdMap::new())
    }
}

/// A row that two maps do not have alike.
#[derive(Debug)]
pub struct Differing<'m, K, V> {
    pub key: &'m K,
    /// As the first map has it.
    pub before: Option<&'m V>,
    /// As the second has it.
    pub after: Option<&'m V>,
}

/// Looking.
impl<K: Ord, V> RowMap<K, V> {
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(Arc::as_ref)
    }

    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// The row with the least key.
    #[must_use]
    pub fn first(&self) -> Option<(&K, &V)> {
        self.0.get_min().map(|(key, row)| (key, row.as_ref()))
    }

    /// The row with the greatest key.
    #[must_use]
    pub fn last(&self) -> Option<(&K, &V)> {
        self.0.get_max().map(|(key, row)| (key, row.as_ref()))
    }

    /// Keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.0.keys()
    }

    /// Rows in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.0.values().map(Arc::as_ref)
    }

    /// Keys and rows in the order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.0.iter().map(|(key, row)| (key, row.as_ref()))
    }

    /// The rows with keys in `range`, by key.
    pub fn range(
        &self,
        range: impl RangeBounds<K>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        self.0.range(range).map(|(key, row)| (key, row.as_ref()))
    }
}

impl<K, V> RowMap<K, V> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the same in memory, and so surely alike.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl<K: Ord, V: PartialEq> RowMap<K, V> {
    /// What differs in `after`, by key. Costs in proportion to that: shared subtrees are skipped.
    pub fn differing<'m>(&'m self, after: &'m Self) -> impl Iterator<Item = Differing<'m, K, V>> {
        self.0.diff(&after.0).map(|item| {
            let (key, before, after) = match item {
                DiffItem::Add(key, new) => (key, None, Some(new)),
                DiffItem::Update {
                    old: (key, old),
                    new: (_, new),
                } => (key, Some(old), Some(new)),
                DiffItem::Remove(key, old) => (key, Some(old), None),
            };
            Differing {
                key,
                before: before.map(Arc::as_ref),
                after: after.map(Arc::as_ref),
            }
        })
    }
}

/// For who knows that the row is there.
impl<K: Ord, V> Index<&K> for RowMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key)
            .expect("whoever indexes knows that the row is there")
    }
}

/// Changing, for [`crate::state`] only: its look-up tables must follow.
impl<K: Ord + Clone, V: Clone> RowMap<K, V> {
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key).map(Arc::make_mut)
    }

    pub(crate) fn insert(&mut self, key: K, row: V) {
        self.0.insert(key, Arc::new(row));
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key).map(Arc::unwrap_or_clone)
    }
}
