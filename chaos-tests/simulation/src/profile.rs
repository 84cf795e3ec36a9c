//! What a seed chooses before anything happens. No run has everything in it: each leaves some kinds of faults out and
//! has others more often, so that over many seeds all mixtures come up (swarm testing, Groce and others 2012).

use docklet_raft::{HistoryLimits, Sizes, Timing};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::disk::LatencyMs;
use crate::network::Conditions;

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    Kill,
    KillAll,
    PowerLoss,
    PowerLossAll,
    PowerLossInWrite,
    DiskFails,
    DiskFull,
    DiskSlow,
    BitFlip,
    Pause,
    Split,
    Isolate,
    OneWay,
    Bridge,
    BadNetwork,
    ClockJump,
    Transfer,
    Stop,
    /// A disk is lost for good.
    Lose,
    /// A master more.
    Grow,
    /// A master less.
    Shrink,
}

impl Trouble {
    /// Whether it does not pass by itself.
    pub fn is_lasting(self) -> bool {
        matches!(self, Self::BitFlip | Self::Lose | Self::Grow | Self::Shrink)
    }
}

const TROUBLES: [Trouble; 21] = [
    Trouble::Kill,
    Trouble::KillAll,
    Trouble::PowerLoss,
    Trouble::PowerLossAll,
    Trouble::PowerLossInWrite,
    Trouble::DiskFails,
    Trouble::DiskFull,
    Trouble::DiskSlow,
    Trouble::BitFlip,
    Trouble::Pause,
    Trouble::Split,
    Trouble::Isolate,
    Trouble::OneWay,
    Trouble::Bridge,
    Trouble::BadNetwork,
    Trouble::ClockJump,
    Trouble::Transfer,
    Trouble::Stop,
    Trouble::Lose,
    Trouble::Grow,
    Trouble::Shrink,
];

/// The choices.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Masters at first.
    pub masters: usize,
    /// Machines on which there may be more.
    pub spares: usize,
    /// Whether trouble begins while masters still join.
    pub early: bool,
    pub clients: u64,
    pub keys: usize,
    pub rest_ms: u64,
    pub conditions: Conditions,
    pub latency_ms: LatencyMs,
    pub sizes: Sizes,
    pub timing: Timing,
    pub history: HistoryLimits,
    /// What may go wrong, the more frequent several times.
    pub troubles: Vec<Trouble>,
    /// Time between troubles at most.
    pub between_ms: u64,
    /// For how long there is trouble.
    pub trouble_ms: u64,
}

impl Profile {
    pub fn choose(dice: &mut SmallRng) -> Self {
        let masters = if dice.random_bool(0.7) { 3 } else { 5 };
        Self {
            masters,
            spares: dice.random_range(0..=2),
            early: dice.random_bool(0.3),
            clients: dice.random_range(2..=6),
            keys: dice.random_range(1..=6),
            rest_ms: pick(dice, &[20, 100, 400]),
            conditions: conditions(dice),
            latency_ms: pick(dice, &[(0, 0), (0, 2), (1, 10), (5, 40)]),
            sizes: sizes(dice),
            timing: Timing::default(),
            history: HistoryLimits {
                bytes_max: pick(dice, &[8 << 10, 64 << 10, 16 << 20]),
                ..HistoryLimits::default()
            },
            troubles: troubles(dice),
            between_ms: pick(dice, &[300, 1_000, 3_000]),
            trouble_ms: dice.random_range(5_000..25_000),
        }
    }
}

fn pick<T: Copy>(dice: &mut SmallRng, from: &[T]) -> T {
    *from.choose(dice).expect("there is something to pick from")
}

fn conditions(dice: &mut SmallRng) -> Conditions {
    let worse = dice.random_bool(0.25);
    Conditions {
        delay_ms: pick(dice, &[(1, 1), (1, 5), (1, 20), (5, 60)]),
        late_one_in: pick(dice, &[0, 1_000, 100]),
        late_ms: pick(dice, &[50, 400, 2_000]),
        silent_permille: if worse { pick(dice, &[1, 3, 10]) } else { 0 },
    }
}

fn sizes(dice: &mut SmallRng) -> Sizes {
    Sizes {
        segment_bytes: pick(dice, &[2 << 10, 16 << 10, 64 << 10]),
        entries_between_purges: pick(dice, &[20, 100, 1_000]),
        entries_kept: pick(dice, &[0, 5, 50]),
        snapshot_part_bytes: pick(dice, &[200, 4_000, 1 << 20]),
    }
}

fn troubles(dice: &mut SmallRng) -> Vec<Trouble> {
    loop {
        let mut chosen = Vec::new();
        for trouble in TROUBLES {
            let weight = if dice.random_bool(0.5) {
                0
            } else {
                dice.random_range(1..=3)
            };
            chosen.extend(std::iter::repeat_n(trouble, weight));
        }
        if !chosen.is_empty() {
            return chosen;
        }
    }
}
