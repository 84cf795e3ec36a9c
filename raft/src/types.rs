//! The types that openraft is instantiated with. They do not leave this room.

use std::fmt;
use std::sync::Arc;

use docklet_control::Entry;
use docklet_control::model::Receipt;
use serde::{Deserialize, Serialize};

/// What stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal(pub Arc<Entry>);

impl fmt::Display for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.command.name())
    }
}

/// Where a master's cluster listener is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterAddress(pub String);

impl fmt::Display for MasterAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

openraft::declare_raft_types!(
    /// Docklet's instance of Raft.
    pub Types:
        D = Proposal,
        R = Option<Receipt>,
        NodeId = u64,
        Node = MasterAddress,
);

pub type LogId = openraft::alias::LogIdOf<Types>;
pub type LogEntry = openraft::alias::EntryOf<Types>;
pub type Vote = openraft::alias::VoteOf<Types>;
pub type Membership = openraft::alias::StoredMembershipOf<Types>;
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub type Snapshot = openraft::alias::SnapshotOf<Types, crate::store::Frozen>;
