//! Real masters under faults. [`Cluster`] runs `docklet master` processes in network namespaces of their own, kills,
//! freezes and cuts them off; [`Load`] works on them meanwhile and keeps a [`History`], which an existing checker
//! judges; [`Watch`] compares the masters' states.

pub mod clients;
mod cluster;
mod disk;
mod etcd;
mod etcd_client;
pub mod fixture;
pub mod follow;
mod history;
mod load;
mod members;
mod network;
mod process;
mod public;
pub mod report;
mod slot;
pub mod usage;
mod watch;

pub use cluster::{
    ADMIN, ADMIN_NAME, ADMIN_PASSWORD, Cluster, ClusterOptions, PATIENCE, program, program_before,
};
pub use disk::{Disk, DiskKind};
pub use etcd::Etcd;
pub use etcd_client::EtcdClient;
pub use history::{Did, History, Verdict};
pub use load::{Load, LoadOptions, Loaded, Reads};
pub use members::Members;
pub use network::Network;
pub use public::{Events, Public, Told};
pub use watch::Watch;

/// A count from the environment, for runs that are longer than CI's.
#[must_use]
pub fn count(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}
