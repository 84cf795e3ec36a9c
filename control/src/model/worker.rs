//! Physical machines that run vnodes.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::amount::{CpuMilli, DiskMib, MemoryMib};
use crate::id::{UnixMs, WorkerId};
use crate::name::Name;

/// One accelerator as the driver names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Gpu {
    /// The driver's unique name of the device.
    pub uuid: String,
    /// The product's name.
    pub model: String,
    /// Memory on the device.
    pub memory_mib: MemoryMib,
}

/// What a worker offers in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WorkerCapacity {
    /// All cores together.
    pub cpu_milli: CpuMilli,
    /// Memory for vnodes.
    pub memory_mib: MemoryMib,
    /// Size of the file system that holds vnodes and images.
    pub disk_mib: DiskMib,
    /// Accelerators.
    pub gpus: Vec<Gpu>,
}

/// What a worker says of itself when it connects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WorkerFacts {
    /// What it offers.
    pub capacity: WorkerCapacity,
    /// Kernel release.
    pub kernel: String,
    /// liblxc version.
    pub liblxc: String,
    /// Version of the agent.
    pub agent: String,
}

/// Whether the worker's agent is in touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkerStatus {
    /// Admitted, never seen yet.
    Joined,
    /// Its agent renews its lease.
    Up,
    /// Its lease ended. Its vnodes may well go on running.
    Down,
    /// Known from a backup: its certificate is of the cluster that was backed up. It must join again under its name.
    Unadmitted,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Worker {
    /// Identity.
    pub id: WorkerId,
    /// The name that an admin gave it.
    pub name: Name,
    /// `address:port` of its data port: terminals, exec and images.
    pub data_addr: String,
    /// Source and target of its VXLAN packets.
    pub underlay: IpAddr,
    /// What it said of itself last.
    pub facts: WorkerFacts,
    /// Whether it is in touch.
    pub status: WorkerStatus,
    /// Since when `status` holds.
    pub status_since: UnixMs,
}
