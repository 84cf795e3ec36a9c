//! How many there are of each of something.

use std::collections::HashMap;
use std::hash::Hash;

/// Of what there is none nothing is kept.
#[derive(Debug)]
pub struct Tally<K>(HashMap<K, u32>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Tally<K> {
    /// Whether there are fewer than `most` of it.
    #[must_use]
    pub fn has_room(&self, key: &K, most: u32) -> bool {
        self.0.get(key).copied().unwrap_or(0) < most
    }

    /// One more.
    pub fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    /// One less, if there is any.
    pub fn remove(&mut self, key: &K) {
        let Some(count) = self.0.get_mut(key) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.0.remove(key);
        }
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
