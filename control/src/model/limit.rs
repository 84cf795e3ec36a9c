//! Limits that a vcluster's owner chooses and that hold at once: bandwidth of its own, and new ones on their way to workers.

use serde::{Deserialize, Serialize};

use super::KbitPerS;
use crate::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use crate::id::{Epoch, LogIndex, VclusterId, VnodeId};

/// How much each vnode of a vcluster may send, and as much receive, by its owner's wish. Without a row the site's
/// setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VclusterBandwidth {
    pub vcluster: VclusterId,
    pub rate: KbitPerS,
}

/// New limits of a vnode that its worker has not put in force yet. Without a row all are as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeResize {
    pub vnode: VnodeId,
    /// The entry that asked for it; a later one takes its place.
    pub number: LogIndex,
    /// The placement at which it is to be done.
    pub epoch: Epoch,
    /// The most that it may have until then: a worker that waits for memory has not taken any away.
    pub holds: VnodeSize,
    /// Why it is not done yet, as its worker said; empty if it said nothing.
    pub waits: String,
}

impl VnodeResize {
    /// Longest reason that is kept, in bytes.
    pub const WAITS_BYTES_MAX: usize = 1_000;
}

/// Which bandwidth is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BandwidthWish {
    /// The site's setting, whatever it becomes.
    Site,
    /// So much each way.
    KbitPerS(KbitPerS),
}

/// What is to become another; all else stays.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct SizeChange {
    pub cpu_milli: Option<CpuMilli>,
    pub memory_mib: Option<MemoryMib>,
    pub pids_max: Option<u32>,
    pub disk_mib: Option<DiskMib>,
    pub bandwidth: Option<BandwidthWish>,
}

impl SizeChange {
    /// The size with what changes.
    #[must_use]
    pub fn of(&self, size: VnodeSize) -> VnodeSize {
        VnodeSize {
            cpu_milli: self.cpu_milli.unwrap_or(size.cpu_milli),
            memory_mib: self.memory_mib.unwrap_or(size.memory_mib),
            pids_max: self.pids_max.unwrap_or(size.pids_max),
        }
    }
}
