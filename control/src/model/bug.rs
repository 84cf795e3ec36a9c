//! What people found wrong and told whoever looks after the cluster. Since version 3.

use serde::{Deserialize, Serialize};

use crate::id::{BugId, UnixMs, UserId};

/// One report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bug {
    pub id: BugId,
    /// None once their account is gone.
    pub by: Option<UserId>,
    pub text: String,
    pub at: UnixMs,
    /// The last one.
    pub answer: Option<BugAnswer>,
    /// Whether nothing more is to be done about it.
    pub closed: bool,
}

/// What somebody in charge says to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BugAnswer {
    pub by: UserId,
    /// What they were called.
    pub name: String,
    pub text: String,
    pub at: UnixMs,
}

impl Bug {
    /// Reports that are kept; the oldest closed one makes room.
    pub const KEPT_MAX: usize = 1_000;
    /// Open ones of one person.
    pub const OPEN_PER_USER_MAX: usize = 20;
    /// Longest report and answer, in bytes.
    pub const TEXT_LEN_MAX: usize = 4_000;
}
