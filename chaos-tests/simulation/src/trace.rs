//! The story of a run: what happened when and to whom, for people; and a fingerprint of everything, down to each
//! message, by which two runs can be told apart.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Lines kept for whoever asks after a failure.
const KEPT_MAX: usize = 4_000;

/// The story; clones are the same one. It also holds the time, which everybody needs.
#[derive(Clone)]
pub struct Trace {
    now_ms: Arc<AtomicU64>,
    told: Arc<Mutex<Told>>,
}

struct Told {
    hasher: DefaultHasher,
    lines: VecDeque<String>,
    /// What was met, and how often.
    met: BTreeMap<String, u64>,
    /// Whether lines are printed as they come.
    aloud: bool,
}

impl Trace {
    pub fn new(aloud: bool) -> Self {
        Self {
            now_ms: Arc::default(),
            told: Arc::new(Mutex::new(Told {
                hasher: DefaultHasher::new(),
                lines: VecDeque::new(),
                met: BTreeMap::new(),
                aloud,
            })),
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Simulated milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    pub fn set_now_ms(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Tells something that people want to know.
    pub fn tell(&self, who: &str, what: &str) {
        let now = self.now_ms();
        let line = format!("{:>4}.{:03} {who:<8} {what}", now / 1_000, now % 1_000);
        let mut told = self.told();
        line.hash(&mut told.hasher);
        if told.aloud {
            crate::print(&line);
        }
        told.lines.push_back(line);
        if told.lines.len() > KEPT_MAX {
            told.lines.pop_front();
        }
    }

    /// Takes note of something that only the fingerprint shows.
    pub fn note(&self, what: impl Hash) {
        let now = self.now_ms();
        let mut told = self.told();
        now.hash(&mut told.hasher);
        what.hash(&mut told.hasher);
    }

    /// Counts something that not every run meets.
    pub fn count(&self, what: &str) {
        let met = &mut self.told().met;
        match met.get_mut(what) {
            Some(times) => *times += 1,
            None => drop(met.insert(what.to_owned(), 1)),
        }
    }

    /// Whether this was met.
    pub fn has_met(&self, what: &str) -> bool {
        self.told().met.contains_key(what)
    }

    /// What was met, and how often.
    pub fn met(&self) -> BTreeMap<String, u64> {
        self.told().met.clone()
    }

    /// The fingerprint of everything so far.
    pub fn fingerprint(&self) -> u64 {
        self.told().hasher.finish()
    }

    /// The last lines.
    pub fn lines(&self) -> Vec<String> {
        self.told().lines.iter().cloned().collect()
    }
}
