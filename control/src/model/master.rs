//! Masters as the log knows them. Who votes is Raft's own knowledge, not this.

use serde::{Deserialize, Serialize};

use crate::id::{MasterId, UnixMs};
use crate::name::Name;

/// One master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Master {
    /// Identity, never used again after removal.
    pub id: MasterId,
    /// The name that an admin gave it.
    pub name: Name,
    /// `address:port` of its cluster listener.
    pub cluster_addr: String,
    /// `address:port` of its public listener.
    pub public_addr: String,
    /// When it joined.
    pub joined_at: UnixMs,
}
