//! What the programs of a cluster know, and what all of them have agreed to write.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, MasterId, UnixMs, UserId};

/// A version of everything that a cluster writes: entries, events, rows. It only rises, and only when every master
/// runs a program that knows it; so programs of two versions may run side by side for as long as it takes.
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
#[serde(transparent)]
pub struct ClusterVersion(pub u16);

impl ClusterVersion {
    /// What every cluster begins with.
    pub const FIRST: Self = Self(1);
    /// The newest that this code knows. 2: backups leave a record. 3: what workers offer beyond plain containers.
    pub const CURRENT: Self = Self(3);
}

impl fmt::Display for ClusterVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What the cluster has agreed on; no row of it until it has risen for the first time. Its form never changes: a
/// program that is too old for everything else must be able to read that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    pub version: ClusterVersion,
    /// When it rose to that.
    pub at: UnixMs,
}

/// The program that a master runs, as it said when it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub master: MasterId,
    /// Its version for people.
    pub name: String,
    /// The newest version of the cluster that it knows.
    pub knows: ClusterVersion,
}

/// The last backup that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LastBackup {
    /// The entry that recorded it; the backup is of this one or a later one.
    pub index: LogIndex,
    pub at: UnixMs,
    pub by: UserId,
}
