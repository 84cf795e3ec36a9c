//! Generations: each time that a single master goes on from a state alone, because a backup was restored or because
//! the others are lost for ever, the log's indices jump far ahead, and the counters that ids come from some way.
//!
//! So nothing that entries which are lost gave out, or a cluster that goes on elsewhere gives out, is given out a
//! second time: no master's or worker's id, no epoch, no vnode, no host user id. And whoever compares indices finds
//! that the new generation knows more: agents follow it, and masters of the old one were removed long ago.

use crate::id::LogIndex;
use crate::model::{Counters, User};

/// A generation has 2^40 indices: 1,100 years at 30,000 entries a second. 8,192 of them fit into the integers that a
/// browser counts with.
const BITS: u32 = 40;
/// Vclusters and vnodes that a generation may have made after the entry that the next one goes on from.
const MADE: u64 = 1 << 20;
/// Segments and accounts are fewer, and so are their numbers: 24 bits in a VXLAN header, 65,000 ranges of user ids.
const NETWORKS: u64 = 1 << 12;
const USERS: u64 = 1 << 8;

/// The first index of the generation after the one that `index` is of.
#[must_use]
pub fn next(index: LogIndex) -> LogIndex {
    LogIndex(((index.0 >> BITS) + 1) << BITS)
}

/// Whether a generation begins with this index. An ordinary entry never stands there.
#[must_use]
pub fn begins(index: LogIndex) -> bool {
    index.0 != 0 && index.0.trailing_zeros() >= BITS
}

/// How many generations there were before the one that `index` is of.
#[must_use]
pub fn of(index: LogIndex) -> u64 {
    index.0 >> BITS
}

/// The counters with which the next generation begins.
#[must_use]
pub fn counters(now: Counters) -> Counters {
    // Where ids become scarce, half of those left are kept for whoever comes.
    let users = USERS.min(User::ID_MAX.saturating_sub(now.user) / 2);
    Counters {
        user: now.user + users,
        network: now.network.saturating_add(NETWORKS),
        vcluster: now.vcluster.saturating_add(MADE),
        vnode: now.vnode.saturating_add(MADE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_follow_on_each_other_and_ordinary_entries_begin_none() {
        let first = next(LogIndex(7));
        assert_eq!((of(LogIndex(7)), of(first)), (0, 1));
        assert!(begins(first) && !begins(LogIndex(7)) && !begins(LogIndex(0)));
        assert!(!begins(LogIndex(first.0 + 1)));
        let second = next(LogIndex(first.0 + 12));
        assert_eq!(of(second), 2);
        assert!(next(second) > second, "never the same again");
    }

    #[test]
    fn accounts_never_run_out_by_a_jump() {
        let full = |user| {
            let now = Counters {
                user,
                ..Counters::default()
            };
            counters(now).user
        };
        assert_eq!(full(3), 259);
        assert_eq!(full(User::ID_MAX - 100), User::ID_MAX - 50);
        assert_eq!(full(User::ID_MAX), User::ID_MAX);
        assert_eq!(full(User::ID_MAX + 9), User::ID_MAX + 9);
    }
}
