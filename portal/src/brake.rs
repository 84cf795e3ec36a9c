//! The brake on logins: who guesses gets slower and slower, and nobody is ever locked out.
//!
//! Failures are counted by account and client address together, so that guessing somebody's password slows the
//! guesser and not the owner, who comes from elsewhere. From the same address the owner waits at most as long as the
//! guesser does. Beside that there is a second count, so that many names or many addresses are no way around the first:
//! of passwords by address alone, of codes by account alone. It is loose, it is told of failures only, and what came of
//! somebody who is in now is taken back from it. Each master counts for itself, in memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first wait; it doubles with each failure, up to the longest.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// Attempts that are counted together and wait at once. Each waits for all before it.
const WAITING_MAX: u32 = 6;
/// What is remembered of each kind. Beyond it what was quiet longest is forgotten.
const REMEMBERED_MAX: usize = 10_000;
/// Longer names are no account's, and are all counted as one.
const NAME_BYTES_MAX: usize = 40;
/// Failures beyond those that are free that are kept: who stops is soon forgiven, whatever came before.
const BEYOND_MAX: u32 = 10;
/// Whoever has not failed waits no longer for what others did to the same account.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(4);

/// What failures that are counted together cost.
#[derive(Clone, Copy)]
struct Rule {
    /// So many cost nothing: people mistype.
    free: u32,
    wait_max: Duration,
    /// One is forgiven in this time.
    forgiven: Duration,
}

const OF_PASSWORDS: Rule = Rule {
    free: 5,
    wait_max: Duration::from_secs(8),
    forgiven: Duration::from_secs(60),
};
/// A classroom may come from one address, each of whom mistypes.
const OF_ADDRESSES: Rule = Rule {
    free: 100,
    wait_max: Duration::from_secs(4),
    forgiven: Duration::from_secs(10),
};
/// Who guesses codes knows the password already. Three in a million are right at any moment: at this pace, through three
/// masters, one day of guessing succeeds once in a hundred.
const OF_CODES: Rule = Rule {
    wait_max: Duration::from_secs(60),
    ..OF_PASSWORDS
};
/// Of codes, from wherever they come.
const OF_ACCOUNTS: Rule = Rule {
    free: 20,
    ..OF_CODES
};

/// Of whom failures are counted once more.
#[derive(Clone, Copy)]
enum Whose {
    /// Whoever comes from there, whatever their names: a wait for all of them.
    Address,
    /// Whoever tries that account, wherever they come from: who has failed waits in turn with the others who have.
    Account,
}

/// Whose failures are counted together.
type Key = (String, IpAddr);

#[derive(Clone, Copy)]
struct Strikes {
    failures: u32,
    waiting: u32,
    /// Since when none was forgiven.
    since: Instant,
}

#[derive(Default)]
struct Counts {
    own: Kind,
    beside: Kind,
}

#[derive(Default)]
struct Kind(HashMap<Key, Strikes>);

/// The counts.
#[derive(Clone)]
pub(crate) struct Brake {
    counts: Arc<Mutex<Counts>>,
    rule: Rule,
    beside: Option<(Whose, Rule)>,
}

impl Default for Brake {
    /// By account and address, and nothing beside.
    fn default() -> Self {
        Self::by(OF_PASSWORDS, None)
    }
}

/// One attempt, from when it waits until its outcome is known.
pub(crate) struct Attempt {
    brake: Brake,
    own: Key,
    /// What is counted beside, and whether it waits in turn there.
    beside: Option<(Key, bool)>,
    /// How long it must wait before the password is looked at.
    pub(crate) wait: Duration,
}

impl Brake {
    /// One of passwords.
    pub(crate) fn of_passwords() -> Self {
        Self::by(OF_PASSWORDS, Some((Whose::Address, OF_ADDRESSES)))
    }

    /// One of codes of second factors.
    pub(crate) fn of_codes() -> Self {
        Self::by(OF_CODES, Some((Whose::Account, OF_ACCOUNTS)))
    }

    fn by(rule: Rule, beside: Option<(Whose, Rule)>) -> Self {
        Self {
            counts: Arc::default(),
            rule,
            beside,
        }
    }

    /// Begins an attempt; none if too many of its kind wait already.
    pub(crate) fn attempt(&self, name: &str, client: IpAddr, now: Instant) -> Option<Attempt> {
        let name = if name.len() > NAME_BYTES_MAX {
            ""
        } else {
            name
        };
        let own = (name.to_owned(), network_of(client));
        let mut counts = self.lock();
        let mut strikes = counts.own.of(&own, self.rule, now);
        if strikes.waiting >= WAITING_MAX {
            return None;
        }
        strikes.waiting += 1;
        let mut wait = self.rule.wait(strikes.failures) * strikes.waiting;
        let mut beside = None;
        if let Some((whose, rule)) = self.beside {
            let key = whose.key(&own);
            let mut many = counts.beside.of(&key, rule, now);
            let due = rule.wait(many.failures);
            let in_turn = whose.takes_turns(strikes.failures);
            if in_turn && !due.is_zero() && many.waiting >= WAITING_MAX {
                return None;
            }
            many.waiting += u32::from(in_turn);
            let due = if in_turn {
                due * many.waiting
            } else {
                due.min(FIRST_WAIT_MAX)
            };
            wait = wait.max(due);
            counts.beside.put(key.clone(), many);
            beside = Some((key, in_turn));
        }
        counts.own.put(own.clone(), strikes);
        drop(counts);
        Some(Attempt {
            brake: self.clone(),
            own,
            beside,
            wait,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn wait(self, failures: u32) -> Duration {
        let Some(beyond) = failures.checked_sub(self.free) else {
            return Duration::ZERO;
        };
        let doubled = 2_u32.checked_pow(beyond).unwrap_or(u32::MAX);
        WAIT_FIRST.saturating_mul(doubled).min(self.wait_max)
    }
}

impl Whose {
    fn key(self, (name, network): &Key) -> Key {
        match self {
            Self::Address => (String::new(), *network),
            Self::Account => (name.clone(), Ipv4Addr::UNSPECIFIED.into()),
        }
    }

    /// Whether somebody who has failed so often waits for those before them, and is sent away if they are many.
    fn takes_turns(self, failures: u32) -> bool {
        match self {
            Self::Address => true,
            Self::Account => failures > 0,
        }
    }
}

impl Kind {
    /// How it stands now.
    fn of(&self, key: &Key, rule: Rule, now: Instant) -> Strikes {
        let known = self.0.get(key).copied();
        let mut strikes = known.unwrap_or(Strikes {
            failures: 0,
            waiting: 0,
            since: now,
        });
        let since = now.saturating_duration_since(strikes.since).as_secs();
        let forgiven = u32::try_from(since / rule.forgiven.as_secs()).unwrap_or(u32::MAX);
        if forgiven >= strikes.failures {
            strikes.failures = 0;
            strikes.since = now;
        } else {
            strikes.failures -= forgiven;
            strikes.since += rule.forgiven * forgiven;
        }
        strikes
    }

    fn put(&mut self, key: Key, strikes: Strikes) {
        self.0.insert(key, strikes);
        if self.0.len() <= REMEMBERED_MAX {
            return;
        }
        let idle = self.0.iter().filter(|(_, strikes)| strikes.waiting == 0);
        let quietest = idle.min_by_key(|(_, strikes)| strikes.since);
        if let Some(key) = quietest.map(|(key, _)| key.clone()) {
            self.0.remove(&key);
        }
    }

    fn failed(&mut self, key: &Key, rule: Rule) {
        if let Some(strikes) = self.0.get_mut(key) {
            strikes.failures = (strikes.failures + 1).min(rule.free + BEYOND_MAX);
        }
    }

    /// Takes failures back; answers how many there were.
    fn forgive(&mut self, key: &Key, most: u32) -> u32 {
        let Some(strikes) = self.0.get_mut(key) else {
            return 0;
        };
        let before = strikes.failures;
        strikes.failures = before.saturating_sub(most);
        before
    }

    fn leave(&mut self, key: &Key, waited: bool) {
        if let Some(strikes) = self.0.get_mut(key) {
            strikes.waiting = strikes.waiting.saturating_sub(u32::from(waited));
            if strikes.waiting == 0 && strikes.failures == 0 {
                self.0.remove(key);
            }
        }
    }
}

impl Attempt {
    /// It was wrong.
    pub(crate) fn failed(&self) {
        let mut counts = self.brake.lock();
        counts.own.failed(&self.own, self.brake.rule);
        if let (Some((key, _)), Some((_, rule))) = (&self.beside, self.brake.beside) {
            counts.beside.failed(key, rule);
        }
    }

    /// It was right: whoever knows it did not guess.
    pub(crate) fn passed(&self) {
        let mut counts = self.brake.lock();
        let mistyped = counts.own.forgive(&self.own, u32::MAX);
        if let Some((key, _)) = &self.beside {
            counts.beside.forgive(key, mistyped);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut counts = self.brake.lock();
        counts.own.leave(&self.own, true);
        if let Some((key, in_turn)) = &self.beside {
            counts.beside.leave(key, *in_turn);
        }
    }
}

/// A single IPv6 client has a whole network of addresses to come from.
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8));

    fn fail(brake: &Brake, name: &str, client: IpAddr, times: u32, now: Instant) {
        for _ in 0..times {
            brake.attempt(name, client, now).expect("admitted").failed();
        }
    }

    fn wait(brake: &Brake, name: &str, client: IpAddr, now: Instant) -> Duration {
        brake.attempt(name, client, now).expect("admitted").wait
    }

    #[test]
    fn a_guesser_waits_longer_with_each_failure_up_to_a_bound() {
        let (brake, now) = (Brake::of_passwords(), Instant::now());
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
        let (brake, now) = (Brake::of_passwords(), Instant::now());
        fail(&brake, "ann", HERE, 50, now);
        assert_eq!(wait(&brake, "ann", THERE, now), Duration::ZERO);
        assert_eq!(wait(&brake, "bob", HERE, now), Duration::ZERO);
        assert_eq!(
            wait(&brake, "ann", HERE, now),
            OF_PASSWORDS.wait_max,
            "slow, not shut"
        );
    }

    #[test]
    fn the_right_password_and_time_forgive() {
        let (brake, now) = (Brake::of_passwords(), Instant::now());
        fail(&brake, "ann", HERE, 7, now);
        assert_eq!(wait(&brake, "ann", HERE, now), WAIT_FIRST * 4);
        let later = now + OF_PASSWORDS.forgiven * 2;
        assert_eq!(wait(&brake, "ann", HERE, later), WAIT_FIRST);
        let attempt = brake.attempt("ann", HERE, later).expect("admitted");
        attempt.passed();
        drop(attempt);
        assert_eq!(wait(&brake, "ann", HERE, later), Duration::ZERO);
        let counts = brake.lock();
        let kept = counts.own.0.len() + counts.beside.0.len();
        assert_eq!(kept, 0, "nothing is kept of the innocent");
    }

    #[test]
    fn guessing_in_parallel_is_no_faster() {
        let (brake, now) = (Brake::default(), Instant::now());
        fail(&brake, "ann", HERE, OF_PASSWORDS.free, now);
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
            let client = IpAddr::V4(Ipv4Addr::from_bits(number));
            fail(&brake, &"x".repeat(300), client, 1, now);
        }
        assert_eq!(brake.lock().own.0.len(), REMEMBERED_MAX);
        let v6 = |low: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001 << 112) | low));
        fail(&brake, "ann", v6(1), OF_PASSWORDS.free, now);
        assert_eq!(wait(&brake, "ann", v6(2), now), WAIT_FIRST, "one network");
    }

    #[test]
    fn many_names_from_one_address_are_slowed_together() {
        let (brake, now) = (Brake::of_passwords(), Instant::now());
        for number in 0..OF_ADDRESSES.free {
            let name = format!("nobody{number}");
            assert_eq!(wait(&brake, &name, HERE, now), Duration::ZERO);
            fail(&brake, &name, HERE, 1, now);
        }
        assert_eq!(wait(&brake, "ann", HERE, now), WAIT_FIRST);
        assert_eq!(wait(&brake, "ann", THERE, now), Duration::ZERO);
        fail(&brake, "bob", HERE, 50, now);
        assert_eq!(wait(&brake, "ann", HERE, now), OF_ADDRESSES.wait_max);
        let waiting: Vec<Attempt> = (0..WAITING_MAX)
            .filter_map(|number| brake.attempt(&format!("n{number}"), HERE, now))
            .collect();
        let waits: Vec<Duration> = waiting.iter().map(|attempt| attempt.wait).collect();
        let wanted = (1..=WAITING_MAX).map(|n| OF_ADDRESSES.wait_max * n);
        assert_eq!(waits, wanted.collect::<Vec<_>>());
        assert!(brake.attempt("ann", HERE, now).is_none(), "a full queue");
        assert!(brake.attempt("ann", THERE, now).is_some());
        drop(waiting);
        let later = now + OF_ADDRESSES.forgiven * (BEYOND_MAX + 1);
        assert_eq!(wait(&brake, "ann", HERE, later), Duration::ZERO);
    }

    #[test]
    fn a_classroom_that_mistypes_and_comes_in_does_not_wait() {
        let (brake, now) = (Brake::of_passwords(), Instant::now());
        for number in 0..OF_ADDRESSES.free {
            let name = format!("student{number}");
            fail(&brake, &name, HERE, 3, now);
            let attempt = brake.attempt(&name, HERE, now).expect("admitted");
            assert_eq!(attempt.wait, Duration::ZERO, "{name}");
            attempt.passed();
        }
        // All of them at once, too.
        let attempts: Vec<Option<Attempt>> = (0..OF_ADDRESSES.free)
            .map(|number| brake.attempt(&format!("student{number}"), HERE, now))
            .collect();
        let mut waits = attempts.iter().flatten().map(|attempt| attempt.wait);
        assert!(waits.all(|wait| wait.is_zero()));
        assert!(attempts.iter().all(Option::is_some));
    }

    #[test]
    fn an_own_login_makes_no_room_for_guesses_at_others() {
        let (brake, now) = (Brake::of_passwords(), Instant::now());
        for number in 0..OF_ADDRESSES.free {
            fail(&brake, &format!("nobody{number}"), HERE, 1, now);
            let own = brake.attempt("eve", HERE, now).expect("admitted");
            own.passed();
        }
        assert_eq!(wait(&brake, "ann", HERE, now), WAIT_FIRST);
    }

    #[test]
    fn codes_are_slow_for_who_guesses_them_and_the_owner_is_never_sent_away() {
        let (brake, now) = (Brake::of_codes(), Instant::now());
        fail(&brake, "ann", HERE, 50, now);
        assert_eq!(wait(&brake, "ann", HERE, now), OF_CODES.wait_max);
        // As many as may wait, from there and from everywhere else that has failed.
        let elsewhere = |last| IpAddr::V4(Ipv4Addr::new(198, 51, 100, last));
        for last in 0..40 {
            fail(&brake, "ann", elsewhere(last), 1, now);
        }
        let guessing: Vec<Attempt> = (0..40)
            .filter_map(|last| brake.attempt("ann", elsewhere(last), now))
            .collect();
        assert_eq!(u32::try_from(guessing.len()), Ok(WAITING_MAX));
        assert!(guessing[0].wait >= OF_ACCOUNTS.wait_max);
        assert!(brake.attempt("ann", HERE, now).is_none(), "a full queue");
        assert_eq!(wait(&brake, "ann", THERE, now), FIRST_WAIT_MAX);
        assert_eq!(wait(&brake, "bob", HERE, now), Duration::ZERO);
        let own = brake.attempt("ann", THERE, now).expect("admitted");
        own.passed();
        assert_eq!(wait(&brake, "ann", THERE, now), FIRST_WAIT_MAX);
    }
}
