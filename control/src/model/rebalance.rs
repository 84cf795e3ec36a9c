//! Workers that are loaded unevenly: what the cluster does about it by itself, and how far it is. Since version 3.

use imbl::Vector;
use serde::{Deserialize, Serialize};

use crate::id::UnixMs;

/// What the leader does by itself when workers are loaded unevenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RebalancePolicy {
    /// Whether it does anything.
    pub enabled: bool,
    /// How far the share of the most loaded worker may be above that of the least loaded one, in thousandths.
    pub threshold_permille: u32,
    /// For how long it must have been further, without a pause, before anything moves.
    pub hold_ms: u64,
    /// Vnodes on their way at once, at most.
    pub at_once: u32,
    /// Moves begun within `window_ms`, at most.
    pub moves_max: u32,
    pub window_ms: u64,
}

impl Default for RebalancePolicy {
    /// Off. A fifth apart is much, ten minutes are no short burst, and ten moves an hour disturb few.
    fn default() -> Self {
        Self {
            enabled: false,
            threshold_permille: 200,
            hold_ms: 600_000,
            at_once: 2,
            moves_max: 10,
            window_ms: 3_600_000,
        }
    }
}

impl RebalancePolicy {
    /// What can be given as the threshold: less than a hundredth is not worth a move.
    pub const THRESHOLD_PERMILLE_RANGE: std::ops::RangeInclusive<u64> = 10..=1_000;
    /// What can be given as the time for which it must hold: a second to a week.
    pub const HOLD_MS_RANGE: std::ops::RangeInclusive<u64> = 1_000..=7 * 24 * 3_600_000;
    /// What can be given as the number of vnodes on their way at once.
    pub const AT_ONCE_RANGE: std::ops::RangeInclusive<u64> = 1..=64;
    /// What can be given as a number of moves: more could not be looked at by people, and are looked for too long.
    pub const MOVES_RANGE: std::ops::RangeInclusive<u64> = 1..=100;
    /// What can be given as the time in which there are so many: a minute to a week.
    pub const WINDOW_MS_RANGE: std::ops::RangeInclusive<u64> = 60_000..=7 * 24 * 3_600_000;
}

/// What the cluster knows of its evening out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebalance {
    pub policy: RebalancePolicy,
    /// Since when workers are loaded more unevenly than the policy wants; none while they are not, or nobody looks.
    pub uneven_since: Option<UnixMs>,
    /// When the last moves for it began, whoever wanted them, the newest last.
    pub begun: Vector<UnixMs>,
}

impl Rebalance {
    /// Beginnings that are kept: as many as a policy can count.
    pub const BEGUN_MAX: usize = 100;
    /// A vnode that was moved for this, or should have been, is left alone for so long: whoever works in it is not
    /// interrupted twice, what failed would fail again, and who cancelled it wants it to stay.
    pub const REST_MS: u64 = 3_600_000;

    /// Moves begun within the policy's time before `now`.
    #[must_use]
    pub fn begun_lately(&self, now: UnixMs) -> u32 {
        let lately = |at: &&UnixMs| now.since_ms(**at) < self.policy.window_ms;
        let count = self.begun.iter().filter(lately).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Moves that the policy still allows.
    #[must_use]
    pub fn moves_left(&self, now: UnixMs) -> u32 {
        let begun = self.begun_lately(now);
        self.policy.moves_max.saturating_sub(begun)
    }
}
