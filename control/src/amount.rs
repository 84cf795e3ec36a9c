//! Amounts with their unit in the type: what a vnode may use and what a worker has.

use serde::{Deserialize, Serialize};

/// Thousandths of one CPU core.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Default,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct CpuMilli(pub u32);

/// Mebibytes of memory.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Default,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct MemoryMib(pub u32);

/// Mebibytes of disk.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Default,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct DiskMib(pub u64);

/// What one vnode may use at most; the worker's kernel enforces each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VnodeSize {
    /// CPU time per second of wall time.
    pub cpu_milli: CpuMilli,
    /// Memory, swap included.
    pub memory_mib: MemoryMib,
    /// Processes and threads.
    pub pids_max: u32,
}

impl VnodeSize {
    /// The smallest and the largest value accepted for each amount.
    pub const CPU_MILLI_RANGE: std::ops::RangeInclusive<u32> = 10..=256_000;
    /// An init and a shell do not fit in less than 4 MiB.
    pub const MEMORY_MIB_RANGE: std::ops::RangeInclusive<u32> = 4..=4_194_304;
    /// Below 8 not even a login works.
    pub const PIDS_RANGE: std::ops::RangeInclusive<u32> = 8..=1_000_000;
    /// What a vnode's disk holds. It takes only what is written to it.
    pub const DISK: DiskMib = DiskMib(10 << 10);
}

impl VnodeSize {
    /// The larger of each amount.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.max(other.cpu_milli),
            memory_mib: self.memory_mib.max(other.memory_mib),
            pids_max: self.pids_max.max(other.pids_max),
        }
    }
}

impl Default for VnodeSize {
    /// One core, 512 MiB, 2,048 processes: enough for a shell and a small notebook.
    fn default() -> Self {
        Self {
            cpu_milli: CpuMilli(1_000),
            memory_mib: MemoryMib(512),
            pids_max: 2_048,
        }
    }
}
