//! How much people may have: what was set for one person, for a group and its members, and for everybody else.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Bandwidth, ClusterVersion, HomeUsual, ImageQuota};
use crate::id::{GroupId, UserId};

/// Of what there is a quota.
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
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum QuotaItem {
    /// Vnodes of all vclusters, stopped ones too.
    Vnodes,
    /// Their CPU, in thousandths of a core.
    CpuMilli,
    /// Their memory.
    MemoryMib,
    /// Their disks.
    DiskMib,
    /// Their GPUs.
    Gpus,
    /// Their ports that are open to the outside.
    Ports,
    /// Images, packed, each once.
    ImageBytes,
    /// What the home holds.
    HomeMib,
    /// What each vnode sends, and as much receives.
    BandwidthKbitPerS,
    /// How long all vnodes of a vcluster may do nothing before it is stopped.
    IdleMinutes,
    /// Snapshots of all vnodes, those aside that restores leave.
    Snapshots,
}

impl QuotaItem {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::Vnodes,
        Self::CpuMilli,
        Self::MemoryMib,
        Self::DiskMib,
        Self::Gpus,
        Self::Ports,
        Self::Snapshots,
        Self::ImageBytes,
        Self::HomeMib,
        Self::BandwidthKbitPerS,
        Self::IdleMinutes,
    ];

    /// Its name with its unit, for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Vnodes => "vnodes",
            Self::CpuMilli => "cpu_milli",
            Self::MemoryMib => "memory_mib",
            Self::DiskMib => "disk_mib",
            Self::Gpus => "gpus",
            Self::Ports => "ports",
            Self::ImageBytes => "image_bytes",
            Self::HomeMib => "home_mib",
            Self::BandwidthKbitPerS => "bandwidth_kbit_per_s",
            Self::IdleMinutes => "idle_minutes",
            Self::Snapshots => "snapshots",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Vnodes => "vnodes",
            Self::CpuMilli => "CPU",
            Self::MemoryMib => "memory",
            Self::DiskMib => "disk",
            Self::Gpus => "GPUs",
            Self::Ports => "ports",
            Self::ImageBytes => "images",
            Self::HomeMib => "home",
            Self::BandwidthKbitPerS => "bandwidth",
            Self::IdleMinutes => "idle time",
            Self::Snapshots => "snapshots",
        }
    }

    /// So much of it, as people read it.
    #[must_use]
    pub fn words(self, amount: u64) -> String {
        match self {
            Self::Vnodes | Self::Gpus | Self::Ports | Self::Snapshots => amount.to_string(),
            Self::CpuMilli => match (amount / 1_000, amount % 1_000) {
                (1, 0) => "1 core".to_owned(),
                (cores, 0) => format!("{cores} cores"),
                (cores, milli) => {
                    let part = format!("{milli:03}");
                    format!("{cores}.{} cores", part.trim_end_matches('0'))
                }
            },
            // To the unit, so that what is too much never reads like what is allowed.
            Self::MemoryMib | Self::DiskMib | Self::HomeMib => match amount % 1_024 {
                0 if amount > 0 => format!("{} GiB", amount >> 10),
                _ => format!("{amount} MiB"),
            },
            Self::ImageBytes => crate::refusal::size(amount),
            Self::BandwidthKbitPerS => format!("{amount} kbit/s"),
            Self::IdleMinutes => format!("{amount} min"),
        }
    }

    /// Bounds that mean something.
    #[must_use]
    pub fn range(self) -> RangeInclusive<u64> {
        match self {
            Self::HomeMib => HomeUsual::DISK_MIB_RANGE,
            Self::BandwidthKbitPerS => {
                let (least, most) = Bandwidth::KBIT_PER_S_RANGE.into_inner();
                least.into()..=most.into()
            }
            Self::IdleMinutes => 1..=Quota::IDLE_MINUTES_MAX,
            Self::Vnodes
            | Self::CpuMilli
            | Self::MemoryMib
            | Self::DiskMib
            | Self::Gpus
            | Self::Ports
            | Self::Snapshots
            | Self::ImageBytes => 0..=ImageQuota::BYTES_MAX,
        }
    }
}

/// How much. What is more generous is greater.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// No more than this.
    AtMost(u64),
    /// As much as they like.
    Unlimited,
}

impl Bound {
    /// Whether so much is within it.
    #[must_use]
    pub fn allows(self, amount: u64) -> bool {
        Self::AtMost(amount) <= self
    }

    /// The number; none if there is no limit.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        match self {
            Self::AtMost(most) => Some(most),
            Self::Unlimited => None,
        }
    }
}

/// Bounds of some items. What is not in it is bounded elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Quota(pub BTreeMap<QuotaItem, Bound>);

/// What is to become another; none takes a bound back.
pub type QuotaChange = BTreeMap<QuotaItem, Option<Bound>>;

impl Quota {
    /// Since when there are quotas of more than images and homes.
    pub const SINCE: ClusterVersion = ClusterVersion(3);
    /// A year.
    pub const IDLE_MINUTES_MAX: u64 = 366 * 24 * 60;

    /// What holds of everybody until an admin says something else: upstream's eight vnodes and eight ports, and what eight
    /// vnodes of the usual size take. A GPU is one vnode's alone, so that there are few of them.
    #[must_use]
    pub fn usual(item: QuotaItem) -> Bound {
        match item {
            QuotaItem::Vnodes | QuotaItem::Ports => Bound::AtMost(8),
            // Of each of eight vnodes a day's worth of each hour, and some more.
            QuotaItem::Snapshots => Bound::AtMost(256),
            QuotaItem::CpuMilli => Bound::AtMost(8_000),
            QuotaItem::MemoryMib => Bound::AtMost(8 * 512),
            QuotaItem::DiskMib => Bound::AtMost(8 * (10 << 10)),
            QuotaItem::Gpus => Bound::AtMost(1),
            QuotaItem::ImageBytes => {
                let usual = ImageQuota::USUAL.bytes;
                usual.map_or(Bound::Unlimited, Bound::AtMost)
            }
            QuotaItem::HomeMib => Bound::AtMost(HomeUsual::DEFAULT.disk_mib.0),
            // The site's own setting and ceiling hold.
            QuotaItem::BandwidthKbitPerS | QuotaItem::IdleMinutes => Bound::Unlimited,
        }
    }

    /// Its bound of one item.
    #[must_use]
    pub fn of(&self, item: QuotaItem) -> Option<Bound> {
        self.0.get(&item).copied()
    }

    /// With what changes.
    #[must_use]
    pub fn with(&self, change: &QuotaChange) -> Self {
        let mut items = self.0.clone();
        for (item, bound) in change {
            match bound {
                Some(bound) => items.insert(*item, *bound),
                None => items.remove(item),
            };
        }
        Self(items)
    }
}

/// What an admin set for one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserQuota {
    pub user: UserId,
    pub quota: Quota,
}

/// What a group lets each of its members have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupQuota {
    pub group: GroupId,
    pub quota: Quota,
}

/// How much of that one member has, where it is less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupShare {
    pub group: GroupId,
    pub user: UserId,
    pub quota: Quota,
}

impl GroupShare {
    /// Under which it is in the state.
    #[must_use]
    pub fn key(&self) -> (GroupId, UserId) {
        (self.group, self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_say_them() {
        for (item, amount, text) in [
            (QuotaItem::Vnodes, 8, "8"),
            (QuotaItem::CpuMilli, 1_000, "1 core"),
            (QuotaItem::CpuMilli, 1_500, "1.5 cores"),
            (QuotaItem::CpuMilli, 50, "0.05 cores"),
            (QuotaItem::MemoryMib, 512, "512 MiB"),
            (QuotaItem::DiskMib, 10_240, "10 GiB"),
            (QuotaItem::DiskMib, 10_241, "10241 MiB"),
            (QuotaItem::ImageBytes, 1, "1 byte"),
            (QuotaItem::IdleMinutes, 90, "90 min"),
        ] {
            assert_eq!(item.words(amount), text);
        }
    }

    #[test]
    fn no_limit_is_more_generous_than_any() {
        assert!(Bound::Unlimited > Bound::AtMost(u64::MAX));
        assert!(Bound::AtMost(2).allows(2) && !Bound::AtMost(2).allows(3));
        assert!(Bound::Unlimited.allows(u64::MAX));
    }
}
