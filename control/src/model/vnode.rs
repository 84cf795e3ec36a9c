//! Virtual nodes: one Linux container each, placed on a worker.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::amount::VnodeSize;
use crate::id::{Digest, Epoch, UnixMs, UserId, VclusterId, VnodeId, WorkerId};
use crate::place::Obstacle;

/// What the log wants of a vnode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VnodeWanted {
    /// Its container runs.
    Running,
    /// Its container is stopped, its files stay.
    Stopped,
    /// Container, files and network device go away.
    Removed,
}

/// Where a vnode lives, and the number that fences every earlier placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The worker.
    pub worker: WorkerId,
    /// Higher than that of every earlier placement of this vnode.
    pub epoch: Epoch,
}

/// What the worker reported last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VnodeSeen {
    /// Nothing reported yet at this epoch.
    Pending,
    /// Being made ready; the step is for people.
    Preparing {
        /// What the agent is doing, as `fetching image`.
        step: String,
    },
    /// Init is up and its network answers.
    Running,
    /// No process of it is left.
    Stopped,
    /// An act failed; the agent tries again.
    Failed {
        /// The act that failed, as `start container`.
        step: String,
        /// Why.
        cause: String,
    },
}

/// One vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vnode {
    /// Identity, never used again.
    pub id: VnodeId,
    /// The vcluster it belongs to.
    pub vcluster: VclusterId,
    /// Whose it is.
    pub owner: UserId,
    /// Its number in the vcluster: `host-0`, `host-1`, …
    pub ordinal: u32,
    /// What the log wants.
    pub wanted: VnodeWanted,
    /// Root file system.
    pub image: Digest,
    /// Limits.
    pub size: VnodeSize,
    /// Address in the owner's segment.
    pub address: Ipv4Addr,
    /// Where it lives; none until the placement duty has found a worker.
    pub placement: Option<Placement>,
    /// Why no worker could take it, for each worker; empty once placed.
    pub obstacles: Vec<Obstacle>,
    /// What the worker reported last.
    pub seen: VnodeSeen,
    /// When `seen` last changed.
    pub seen_at: UnixMs,
    /// When it was created.
    pub created_at: UnixMs,
}

impl Vnode {
    /// The name by which people and its siblings know it.
    #[must_use]
    pub fn hostname(&self) -> String {
        format!("host-{}", self.ordinal)
    }

    /// Whether it is to run and does.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.wanted == VnodeWanted::Running && self.seen == VnodeSeen::Running
    }

    /// Whether `worker` is the one that runs or holds it.
    #[must_use]
    pub fn is_on(&self, worker: WorkerId) -> bool {
        self.placement.is_some_and(|placed| placed.worker == worker)
    }

    /// A hardware address of its own: locally administered, from its identity.
    #[must_use]
    pub fn mac(&self) -> MacAddress {
        let [.., a, b, c, d, e] = self.id.0.to_be_bytes();
        MacAddress([0x0a, a, b, c, d, e])
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}
