//! How fast vnodes' files may leave while the vnodes run: so many bytes a second for all of them together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The limit. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Pace(Option<Arc<Limit>>);

#[derive(Debug)]
struct Limit {
    bytes_per_s: u64,
    /// When the next message may go.
    free_at: Mutex<Instant>,
}

impl Pace {
    /// So many bytes a second, or as fast as it goes.
    #[must_use]
    pub fn new(bytes_per_s: Option<u64>) -> Self {
        Self(bytes_per_s.map(|bytes_per_s| {
            Arc::new(Limit {
                bytes_per_s: bytes_per_s.max(1),
                free_at: Mutex::new(Instant::now()),
            })
        }))
    }

    /// Waits until a message of so many bytes may go. Whoever asks first goes first.
    pub async fn turn(&self, bytes: usize) {
        let Some(limit) = &self.0 else {
            return;
        };
        let at = {
            let mut free_at = limit.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*free_at).max(Instant::now());
            *free_at = at + limit.time_for(bytes);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

impl Limit {
    fn time_for(&self, bytes: usize) -> Duration {
        let nanos = (bytes as u128 * 1_000_000_000) / u128::from(self.bytes_per_s);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_together_are_no_faster_than_the_limit() {
        let pace = Pace::new(Some(10 << 20));
        let begun = Instant::now();
        let turns = (0..4).map(|_| async {
            for _ in 0..4 {
                pace.turn(64 << 10).await;
            }
        });
        futures_util::future::join_all(turns).await;
        // The first message goes at once: 15 more of 6.25 ms each.
        assert!(begun.elapsed() >= Duration::from_millis(93));
        Pace::default().turn(usize::MAX).await;
    }
}
