//! What is decided once for the cluster, and the counters that identities come from.

use std::fmt;

use ipnetwork::Ipv4Network;
use serde::{Deserialize, Serialize};

use crate::name::Name;

/// Tells clusters apart, so that no message or backup of another one is ever taken for ours.
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
pub struct ClusterId(pub [u8; 16]);

impl fmt::Display for ClusterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

/// Cluster-wide settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Identity of the cluster.
    pub cluster: ClusterId,
    /// Its name for people.
    pub name: Name,
    /// Users' subnets are cut from this.
    pub cluster_net: Ipv4Network,
    /// Prefix length of a user's subnet.
    pub user_prefix: u8,
    /// CPU that may be promised, in percent of what there is; CPU time is shared fairly when it is short.
    pub cpu_overcommit_percent: u32,
    /// Memory that may be promised, in percent of what there is.
    pub memory_overcommit_percent: u32,
    /// Silence after which a worker counts as down.
    pub worker_timeout_ms: u64,
}

/// The last identity given out of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Accounts.
    pub user: u64,
    /// Segments.
    pub network: u64,
    /// Vclusters.
    pub vcluster: u64,
    /// Vnodes.
    pub vnode: u64,
}
