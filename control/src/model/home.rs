//! How much people's homes may hold.

use serde::{Deserialize, Serialize};

use super::{ClusterVersion, Wishes};
use crate::amount::{DiskMib, VnodeSize};
use crate::id::UserId;

/// What a home holds whose owner was given no size of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HomeUsual {
    pub disk_mib: DiskMib,
}

impl HomeUsual {
    /// As long as no admin says otherwise: as much as a vnode's disk.
    pub const DEFAULT: Self = Self {
        disk_mib: VnodeSize::DISK,
    };
    /// Since when homes have a size.
    pub const SINCE: ClusterVersion = ClusterVersion(3);
    /// Homes are what disks are.
    pub const DISK_MIB_RANGE: std::ops::RangeInclusive<u64> = Wishes::DISK_MIB_RANGE;
}

/// What one person's home holds. Without a row it is the usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserHome {
    pub user: UserId,
    pub disk_mib: DiskMib,
}
