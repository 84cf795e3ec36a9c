//! Where a cluster comes from that did not begin with its first entry: from a backup, or from the one master that was
//! left.

use serde::{Deserialize, Serialize};

use super::ClusterId;
use crate::id::{LogIndex, UnixMs};

/// The last time that a single master went on from a state alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lineage {
    /// The entry with which it went on.
    pub begun: LogIndex,
    /// When that was.
    pub at: UnixMs,
    /// The last entry before that it knows of. What came after it, if anything did, is lost or in another cluster.
    pub last: LogIndex,
    /// The cluster whose backup was restored; none if this one was recovered.
    pub from: Option<ClusterId>,
}
