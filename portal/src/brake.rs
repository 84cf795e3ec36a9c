//! The brake on logins: who guesses passwords gets slower and slower, and nobody is ever locked out.
//!
//! Failures are counted by account and client address together, so that guessing somebody's password slows the
//! guesser and not the owner, who comes from elsewhere. From the same address the owner waits at most as long as the
//! guesser does. Each master counts for itself, in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many failures cost nothing: people mistype.
const FREE: u32 = 5;
/// The first wait; it doubles with each failure, up to the longest.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(8);
/// One failure is forgiven in this time.
const FORGIVEN: Duration = Duration::from_secs(60);
/// Attempts of one account and address that wait at once. Each waits for all before it.
const WAITING_MAX: u32 = 6;
/// Accounts and addresses that are remembered. Beyond it the one that was quiet longest is forgotten.
const REMEMBERED_MAX: usize = 10_000;
/// Longer names are no account's, and are all counted as one.
const NAME_BYTES_MAX: usize = 40;

/// Whose failures are counted together.
type Key = (String, IpAddr);

#[derive(Clone, Copy)]
struct Strikes {
    failures: u32,
    waiting: u32,
    last: Instant,
}

/// The counts.
#[derive(Clone)]
pub(crate) struct Brake {
    counts: Arc<Mutex<HashMap<Key, Strikes>>>,
    wait_max: Duration,
}

impl Default for Brake {
    fn default() -> Self {
        Self::waiting(WAIT_MAX)
    }
}

/// One attempt, from when it waits until its outcome is known.
pub(crate) struct Attempt {
    brake: Brake,
    key: Key,
    /// How long it must wait before the password is looked at.
    pub(crate) wait: Duration,
}

impl Brake {
    /// One whose waits become so long.
    pub(crate) fn waiting(wait_max: Duration) -> Self {
        Self {
            counts: Arc::default(),
            wait_max,
        }
    }

    /// Begins an attempt; none if too many of its kind wait already.
    pub(crate) fn attempt(&self, name: &str, client: IpAddr, now: Instant) -> Option<Attempt> {
        let name = if name.len() > NAME_BYTES_MAX {
            ""
        } else {
            name
        };
        let key = (name.to_owned(), network_of(client));
        let mut counts = self.lock();
        let strikes = counts.entry(key.clone()).or_insert(Strikes {
            failures: 0,
            waiting: 0,
            last: now,
        });
        strikes.forgive(now);
        if strikes.waiting >= WAITING_MAX {
            return None;
        }
        strikes.waiting += 1;
        let wait = strikes.wait(self.wait_max) * strikes.waiting;
        forget_one(&mut counts);
        drop(counts);
        Some(Attempt {
            brake: self.clone(),
            key,
            wait,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Strikes>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strikes {
    fn forgive(&mut self, now: Instant) {
        let quiet = now.saturating_duration_since(self.last).as_secs();
        let forgiven = u32::try_from(quiet / FORGIVEN.as_secs()).unwrap_or(u32::MAX);
        if forgiven > 0 {
            self.failures = self.failures.saturating_sub(forgiven);
            self.last = now;
        }
    }

    fn wait(self, wait_max: Duration) -> Duration {
        let Some(beyond) = self.failures.checked_sub(FREE) else {
            return Duration::ZERO;
        };
        let doubled = 2_u32.checked_pow(beyond).unwrap_or(u32::MAX);
        WAIT_FIRST.saturating_mul(doubled).min(wait_max)
    }
}

impl Attempt {
    /// The password was wrong.
    pub(crate) fn failed(&self, now: Instant) {
        if let Some(strikes) = self.brake.lock().get_mut(&self.key) {
            strikes.failures = strikes.failures.saturating_add(1);
            strikes.last = now;
        }
    }

    /// The password was right: whoever knows it did not guess.
    pub(crate) fn passed(&self) {
        if let Some(strikes) = self.brake.lock().get_mut(&self.key) {
            strikes.failures = 0;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut counts = self.brake.lock();
        if let Some(strikes) = counts.get_mut(&self.key) {
            strikes.waiting = strikes.waiting.saturating_sub(1);
            if strikes.waiting == 0 && strikes.failures == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// A single IPv6 client has a whole network of addresses to come from.
fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            std::net::Ipv6Addr::from_bits(network).into()
        }
    }
}

fn forget_one(counts: &mut HashMap<Key, Strikes>) {
    if counts.len() <= REMEMBERED_MAX {
        return;
    }
    let idle = counts.iter().filter(|(_, strikes)| strikes.waiting == 0);
    let quietest = idle.min_by_key(|(_, strikes)| strikes.last);
    if let Some(key) = quietest.map(|(key, _)| key.clone()) {
        counts.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 8));

    fn fail(brake: &Brake, name: &str, client: IpAddr, times: u32, now: Instant) {
        for _ in 0..times {
            brake
                .attempt(name, client, now)
                .expect("admitted")
                .failed(now);
        }
    }

    fn wait(brake: &Brake, name: &str, client: IpAddr, now: Instant) -> Duration {
        brake.attempt(name, client, now).expect("admitted").wait
    }

    #[test]
    fn a_guesser_waits_longer_with_each_failure_up_to_a_bound() {
        let (brake, now) = (Brake::default(), Instant::now());
        let waits: Vec<u128> = (0..12)
            .map(|_| {
                let waited = wait(&brake, "ann", HERE, now).as_millis();
                fail(&brake, "ann", HERE, 1, now);
                waited
            })
            .collect();
        assert_eq!(
            waits,
            [0, 0, 0, 0, 0, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]
        );
    }

    #[test]
    fn the_owner_elsewhere_and_other_accounts_here_do_not_wait() {
        let (brake, now) = (Brake::default(), Instant::now());
        fail(&brake, "ann", HERE, 50, now);
        assert_eq!(wait(&brake, "ann", THERE, now), Duration::ZERO);
        assert_eq!(wait(&brake, "bob", HERE, now), Duration::ZERO);
        assert_eq!(wait(&brake, "ann", HERE, now), WAIT_MAX, "slow, not shut");
    }

    #[test]
    fn the_right_password_and_time_forgive() {
        let (brake, now) = (Brake::default(), Instant::now());
        fail(&brake, "ann", HERE, 7, now);
        assert_eq!(wait(&brake, "ann", HERE, now), WAIT_FIRST * 4);
        let later = now + FORGIVEN * 2;
        assert_eq!(wait(&brake, "ann", HERE, later), WAIT_FIRST);
        let attempt = brake.attempt("ann", HERE, later).expect("admitted");
        attempt.passed();
        drop(attempt);
        assert_eq!(wait(&brake, "ann", HERE, later), Duration::ZERO);
        assert!(brake.lock().is_empty(), "nothing is kept of the innocent");
    }

    #[test]
    fn guessing_in_parallel_is_no_faster() {
        let (brake, now) = (Brake::default(), Instant::now());
        fail(&brake, "ann", HERE, FREE, now);
        let attempts: Vec<Attempt> = (0..WAITING_MAX)
            .map(|_| brake.attempt("ann", HERE, now).expect("admitted"))
            .collect();
        let waits: Vec<Duration> = attempts.iter().map(|attempt| attempt.wait).collect();
        let wanted: Vec<Duration> = (1..=WAITING_MAX).map(|n| WAIT_FIRST * n).collect();
        assert_eq!(waits, wanted);
        assert!(brake.attempt("ann", HERE, now).is_none(), "a full queue");
        drop(attempts);
        assert_eq!(wait(&brake, "ann", HERE, now), WAIT_FIRST);
    }

    #[test]
    fn many_names_and_addresses_take_bounded_room() {
        let (brake, now) = (Brake::default(), Instant::now());
        for number in 0..u32::try_from(REMEMBERED_MAX).expect("small") + 100 {
            let client = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            fail(&brake, &"x".repeat(300), client, 1, now);
        }
        assert_eq!(brake.lock().len(), REMEMBERED_MAX);
        let v6 = |low: u128| IpAddr::V6(std::net::Ipv6Addr::from_bits((0x2001 << 112) | low));
        fail(&brake, "ann", v6(1), FREE, now);
        assert_eq!(wait(&brake, "ann", v6(2), now), WAIT_FIRST, "one network");
    }
}
