//! Beans: what vnodes cost, and who has how many. Amounts are whole millionths of a bean, so that nothing is lost by
//! rounding.

mod day;
mod month;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ClusterVersion;
use crate::id::{Epoch, GroupId, LogIndex, UnixMs, UserId, VclusterId, VnodeId, WorkerId};

pub use day::{BeanDay, BeanDays, DayOfMonth};
pub use month::Month;

/// Millionths of a bean; may be owed.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct MicroBeans(pub i64);

impl MicroBeans {
    /// One bean.
    pub const ONE: i64 = 1_000_000;
    /// Nobody has more, or owes more: a million million beans.
    pub const MOST: i64 = 1_000_000 * 1_000_000 * Self::ONE;

    /// So many whole beans.
    #[must_use]
    pub fn whole(beans: u64) -> Self {
        let beans = i64::try_from(beans).unwrap_or(i64::MAX);
        Self(beans.saturating_mul(Self::ONE))
    }

    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    #[must_use]
    pub fn minus(self, less: Self) -> Self {
        Self(self.0.saturating_sub(less.0))
    }

    /// Whether nothing is left to spend.
    #[must_use]
    pub fn is_spent(self) -> bool {
        self.0 <= 0
    }
}

impl fmt::Display for MicroBeans {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        let (beans, part) = (size / 1_000_000, size % 1_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if part == 0 {
            return write!(formatter, "{sign}{beans}");
        }
        let part = format!("{part:06}");
        write!(formatter, "{sign}{beans}.{}", part.trim_end_matches('0'))
    }
}

/// Whose purse.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PurseOf {
    User(UserId),
    Group(GroupId),
}

/// What things cost. Each but those of GPUs is how much of it one bean pays for; what is 0 costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Seconds of one core.
    pub cpu_s: u64,
    /// Seconds of one core, times the MiB of memory that were in use meanwhile.
    pub cpu_s_mib: u64,
    /// Hours in which one MiB of memory was in use, whatever the CPU did.
    pub memory_mib_h: u64,
    /// Hours of running with one MiB of disk.
    pub disk_mib_h: u64,
    /// Hours of running with one open port.
    pub port_h: u64,
    /// Bytes that the vnode sent and received.
    pub network_bytes: u64,
    /// Beans for one hour of a GPU of which nothing else is said.
    pub gpu_h: u64,
    /// Beans for one hour of a GPU of this model.
    pub gpus: BTreeMap<String, u64>,
    /// Whether each hour of running costs whole beans, rounded up.
    pub whole_hours: bool,
}

impl Rates {
    /// Models with a price of their own.
    pub const GPUS_MAX: usize = 100;
    pub const PER_BEAN_MAX: u64 = 1_000_000_000_000_000;
    pub const GPU_H_MAX: u64 = 1_000_000;
}

impl Default for Rates {
    /// Those of the Docklet of before.
    fn default() -> Self {
        Self {
            cpu_s: 500,
            cpu_s_mib: 2_000_000,
            memory_mib_h: 0,
            disk_mib_h: 4_000,
            port_h: 1,
            network_bytes: 1_000_000_000,
            gpu_h: 100,
            gpus: BTreeMap::new(),
            whole_hours: true,
        }
    }
}

/// How a site uses beans. No row: it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BeanSettings {
    pub on: bool,
    /// Beans that a person has in the beginning.
    pub birth: u64,
    /// For how long vclusters go on without beans.
    pub grace_ms: u64,
    /// Balances of which people are told when theirs falls to them, the highest first.
    pub thresholds: Vec<u64>,
    /// How often workers tell what vnodes use.
    pub every_ms: u64,
    pub rates: Rates,
}

impl BeanSettings {
    /// Since when there are beans.
    pub const SINCE: ClusterVersion = ClusterVersion(3);
    pub const BIRTH_MAX: u64 = 1_000_000;
    pub const GRACE_MS_MAX: u64 = 30 * 24 * 3_600_000;
    pub const THRESHOLDS_MAX: usize = 8;
    pub const EVERY_MS_RANGE: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;
    /// Beans of one grant at most.
    pub const GRANT_MAX: u64 = 1_000_000;
}

impl Default for BeanSettings {
    fn default() -> Self {
        Self {
            on: false,
            birth: 150,
            grace_ms: 3_600_000,
            thresholds: vec![1_000, 500, 100, 0],
            every_ms: 60_000,
            rates: Rates::default(),
        }
    }
}

/// What somebody has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purse {
    pub of: PurseOf,
    pub balance: MicroBeans,
    /// What it comes to of months whose lines are not kept any more.
    pub before: MicroBeans,
    /// Since when nothing is left; none while something is.
    pub spent_since: Option<UnixMs>,
}

/// Amounts that were used. They only rise while one placement of a vnode goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Used {
    /// For how long it ran.
    pub run_ms: u64,
    /// Milliseconds of one core.
    pub cpu_ms: u64,
    /// The same, times the MiB of memory in use meanwhile.
    pub cpu_ms_mib: u64,
    /// Memory in use, times how long.
    pub memory_mib_ms: u64,
    /// What its disk holds, times how long it ran.
    pub disk_mib_ms: u64,
    /// Its open ports, times how long it ran.
    pub port_ms: u64,
    /// Sent and received.
    pub network_bytes: u64,
    /// How long it had GPUs, by their model.
    pub gpu_ms: BTreeMap<String, u64>,
}

impl Used {
    /// No amount is larger.
    pub const MOST: u64 = 1_000_000_000_000_000_000;
    /// Models of GPUs of one vnode.
    pub const MODELS_MAX: usize = 16;
    /// Length of a model's name.
    pub const MODEL_LEN_MAX: usize = 100;

    /// All but the GPUs, in order.
    #[must_use]
    pub fn amounts(&self) -> [u64; 7] {
        [
            self.run_ms,
            self.cpu_ms,
            self.cpu_ms_mib,
            self.memory_mib_ms,
            self.disk_mib_ms,
            self.port_ms,
            self.network_bytes,
        ]
    }

    fn each(&self, other: &Self, with: fn(u64, u64) -> u64) -> Self {
        let mut gpu_ms = self.gpu_ms.clone();
        for (model, ms) in &other.gpu_ms {
            let own = gpu_ms.entry(model.clone()).or_default();
            *own = with(*own, *ms);
        }
        gpu_ms.retain(|_, ms| *ms > 0);
        Self {
            run_ms: with(self.run_ms, other.run_ms),
            cpu_ms: with(self.cpu_ms, other.cpu_ms),
            cpu_ms_mib: with(self.cpu_ms_mib, other.cpu_ms_mib),
            memory_mib_ms: with(self.memory_mib_ms, other.memory_mib_ms),
            disk_mib_ms: with(self.disk_mib_ms, other.disk_mib_ms),
            port_ms: with(self.port_ms, other.port_ms),
            network_bytes: with(self.network_bytes, other.network_bytes),
            gpu_ms,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        self.each(more, u64::saturating_add)
    }

    /// What is beyond `less`.
    #[must_use]
    pub fn minus(&self, less: &Self) -> Self {
        self.each(less, u64::saturating_sub)
    }

    /// Whether none of it is less than in `before`, and all is within what can be.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        let amounts = self.amounts().into_iter().zip(before.amounts());
        let mut gpus = before.gpu_ms.iter();
        let of = |model: &String| self.gpu_ms.get(model).copied().unwrap_or(0);
        amounts
            .into_iter()
            .all(|(now, then)| now >= then && now <= Self::MOST)
            && gpus.all(|(model, then)| of(model) >= *then)
            && self.gpu_ms.values().all(|ms| *ms <= Self::MOST)
            && self.gpu_ms.len() <= Self::MODELS_MAX
            && self.gpu_ms.keys().all(|m| m.len() <= Self::MODEL_LEN_MAX)
    }
}

/// What something cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    pub cpu: MicroBeans,
    pub memory: MicroBeans,
    pub disk: MicroBeans,
    pub ports: MicroBeans,
    pub network: MicroBeans,
    pub gpus: MicroBeans,
    /// What made an hour of running cost whole beans.
    pub rounding: MicroBeans,
}

impl Cost {
    /// With their names.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, MicroBeans); 7] {
        [
            ("cpu", self.cpu),
            ("memory", self.memory),
            ("disk", self.disk),
            ("ports", self.ports),
            ("network", self.network),
            ("gpus", self.gpus),
            ("rounding", self.rounding),
        ]
    }

    /// All of it.
    #[must_use]
    pub fn sum(&self) -> MicroBeans {
        let parts = self.parts().into_iter();
        parts.fold(MicroBeans(0), |sum, (_, part)| sum.plus(part))
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        Self {
            cpu: self.cpu.plus(more.cpu),
            memory: self.memory.plus(more.memory),
            disk: self.disk.plus(more.disk),
            ports: self.ports.plus(more.ports),
            network: self.network.plus(more.network),
            gpus: self.gpus.plus(more.gpus),
            rounding: self.rounding.plus(more.rounding),
        }
    }
}

/// What one placement of a vnode has used as far as it was charged. It stays until its worker has told the last of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub vnode: VnodeId,
    pub epoch: Epoch,
    pub worker: WorkerId,
    pub owner: UserId,
    pub vcluster: VclusterId,
    /// As `lab/host-0`, for when it is gone.
    pub label: String,
    /// None until its worker tells for the first time what there was before anything was charged.
    pub used: Option<Used>,
    /// What the hour of running that has not ended has cost so far.
    pub hour: MicroBeans,
    /// What all of it has cost.
    pub charged: MicroBeans,
    /// Its worker has told less than it did before.
    pub behind: bool,
}

impl Tally {
    /// Under which it is in the state.
    #[must_use]
    pub fn key(&self) -> (VnodeId, Epoch) {
        (self.vnode, self.epoch)
    }
}

/// What a line of a statement is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LineOf {
    /// What was given.
    Credits,
    Vnode(VnodeId),
    /// All vnodes beyond those that have lines of their own.
    Others,
}

/// One line of the statement of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeanLine {
    pub of: PurseOf,
    pub month: Month,
    pub about: LineOf,
    /// As `lab/host-0`.
    pub label: String,
    pub used: Used,
    pub cost: Cost,
    /// What was given; less than nothing if it was given on.
    pub credit: MicroBeans,
    /// Of how many charges or grants it is the sum.
    pub count: u64,
    /// The entries of the first and of the last of them.
    pub first: LogIndex,
    pub last: LogIndex,
}

impl BeanLine {
    /// Months of which lines are kept.
    pub const MONTHS_KEPT: u32 = 24;
    /// Vnodes that have lines of their own in one month.
    pub const VNODES_MAX: usize = 500;

    /// Under which it is in the state.
    #[must_use]
    pub fn key(&self) -> (PurseOf, Month, LineOf) {
        (self.of, self.month, self.about)
    }

    /// What it adds to a balance.
    #[must_use]
    pub fn amount(&self) -> MicroBeans {
        self.credit.minus(self.cost.sum())
    }
}

/// What somebody asked for, the last time that they did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeanRequest {
    pub user: UserId,
    /// The entry by which they asked.
    pub number: LogIndex,
    pub beans: u64,
    pub reason: String,
    pub asked_at: UnixMs,
    /// None as long as it waits.
    pub verdict: Option<BeanVerdict>,
}

impl BeanRequest {
    pub const BEANS_RANGE: std::ops::RangeInclusive<u64> = 100..=5_000;
    pub const REASON_LEN_MAX: usize = 600;
}

/// What was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeanVerdict {
    pub by: UserId,
    pub at: UnixMs,
    pub given: bool,
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_months_read_as_people_write_them() {
        for (micro, text) in [
            (0, "0"),
            (150_000_000, "150"),
            (1_500_000, "1.5"),
            (-1, "-0.000001"),
            (-12_250_000, "-12.25"),
        ] {
            assert_eq!(MicroBeans(micro).to_string(), text);
        }
        // 2026-11-30T23:59:59.999Z, and a millisecond later.
        let month = |ms| Month::of(UnixMs(ms)).to_string();
        assert_eq!(month(1_796_083_199_999), "2026-11");
        assert_eq!(month(1_796_083_200_000), "2026-12");
        assert_eq!(
            Month::parse("2026-11").map(|m| m.to_string()).as_deref(),
            Some("2026-11")
        );
        for text in [
            "2026-13", "2026-00", "26-11", "2026-1", "+026-11", "", "2026",
        ] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
        assert_eq!(Month::of(UnixMs(u64::MAX)), Month(u32::MAX));
    }

    #[test]
    fn what_falls_does_not_follow() {
        let gpu = |ms| BTreeMap::from([("A100".to_owned(), ms)]);
        let before = Used {
            cpu_ms: 5,
            gpu_ms: gpu(7),
            ..Used::default()
        };
        let after = Used {
            cpu_ms: 6,
            gpu_ms: gpu(7),
            ..Used::default()
        };
        assert!(after.follows(&before) && !before.follows(&after));
        assert_eq!(after.minus(&before).cpu_ms, 1);
        assert!(after.minus(&before).gpu_ms.is_empty());
        assert_eq!(before.plus(&after.minus(&before)), after);
        let without = Used {
            gpu_ms: BTreeMap::new(),
            ..after
        };
        assert!(!without.follows(&before));
    }
}
