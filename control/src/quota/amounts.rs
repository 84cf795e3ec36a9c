//! Sums of what people have, kept beside the tables and never stored.

use crate::amount::VnodeSize;
use crate::model::{QuotaItem, Wishes};

/// So much of each item that is a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    pub vnodes: u64,
    pub cpu_milli: u64,
    pub memory_mib: u64,
    pub disk_mib: u64,
    pub gpus: u64,
    pub ports: u64,
    pub snapshots: u64,
}

impl Amounts {
    /// Items of which there is a sum.
    pub const ITEMS: [QuotaItem; 7] = [
        QuotaItem::Vnodes,
        QuotaItem::CpuMilli,
        QuotaItem::MemoryMib,
        QuotaItem::DiskMib,
        QuotaItem::Gpus,
        QuotaItem::Ports,
        QuotaItem::Snapshots,
    ];

    /// One port.
    pub const PORT: Self = Self {
        vnodes: 0,
        cpu_milli: 0,
        memory_mib: 0,
        disk_mib: 0,
        gpus: 0,
        ports: 1,
        snapshots: 0,
    };

    /// So many snapshots.
    #[must_use]
    pub fn of_snapshots(count: usize) -> Self {
        Self {
            snapshots: u64::try_from(count).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }

    /// What one vnode takes that may have so much, its ports and snapshots aside.
    #[must_use]
    pub fn of_vnode(size: VnodeSize, wishes: &Wishes) -> Self {
        Self {
            vnodes: 1,
            cpu_milli: size.cpu_milli.0.into(),
            memory_mib: size.memory_mib.0.into(),
            disk_mib: wishes.disk_mib.0,
            gpus: wishes.gpus.count.into(),
            ports: 0,
            snapshots: 0,
        }
    }

    /// That of one item; none of what is no sum.
    #[must_use]
    pub fn of(&self, item: QuotaItem) -> Option<u64> {
        match item {
            QuotaItem::Vnodes => Some(self.vnodes),
            QuotaItem::CpuMilli => Some(self.cpu_milli),
            QuotaItem::MemoryMib => Some(self.memory_mib),
            QuotaItem::DiskMib => Some(self.disk_mib),
            QuotaItem::Gpus => Some(self.gpus),
            QuotaItem::Ports => Some(self.ports),
            QuotaItem::Snapshots => Some(self.snapshots),
            QuotaItem::ImageBytes
            | QuotaItem::HomeMib
            | QuotaItem::BandwidthKbitPerS
            | QuotaItem::IdleMinutes => None,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// What is left of it; nothing where the other is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    fn each(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            vnodes: with(self.vnodes, other.vnodes),
            cpu_milli: with(self.cpu_milli, other.cpu_milli),
            memory_mib: with(self.memory_mib, other.memory_mib),
            disk_mib: with(self.disk_mib, other.disk_mib),
            gpus: with(self.gpus, other.gpus),
            ports: with(self.ports, other.ports),
            snapshots: with(self.snapshots, other.snapshots),
        }
    }
}

impl std::iter::Sum for Amounts {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Self::plus)
    }
}
