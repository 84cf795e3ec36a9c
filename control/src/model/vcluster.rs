//! Virtual clusters: what a user creates, starts, scales and deletes.

use serde::{Deserialize, Serialize};

use crate::amount::VnodeSize;
use crate::id::{Digest, LogIndex, NetworkId, UnixMs, UserId, VclusterId};
use crate::name::Name;

/// What its owner wants of a vcluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VclusterWanted {
    /// All its vnodes run.
    Running,
    /// All its vnodes stand still and keep their files.
    Stopped,
    /// It goes away as soon as the last vnode is gone from its worker.
    Deleted,
}

/// One vcluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vcluster {
    /// Identity.
    pub id: VclusterId,
    /// Whose it is.
    pub owner: UserId,
    /// Unique among the owner's vclusters.
    pub name: Name,
    /// The owner's segment.
    pub network: NetworkId,
    /// Image of vnodes that are added, by name as it was given.
    pub image_name: Name,
    /// What that name meant when the vcluster was made.
    pub image: Digest,
    /// Size of vnodes that are added.
    pub size: VnodeSize,
    /// What the owner wants.
    pub wanted: VclusterWanted,
    /// When it was created.
    pub created_at: UnixMs,
    /// The log entry that created it.
    pub created_index: LogIndex,
}

impl Vcluster {
    /// Most vnodes of one vcluster; a user's default subnet holds 1,021.
    pub const VNODES_MAX: u32 = 1_000;
}
