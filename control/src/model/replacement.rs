//! A master that another one shall replace: the old one goes in the same step in which the new one comes to vote.

use serde::{Deserialize, Serialize};

use crate::id::{MasterId, SecretHash, UnixMs};

/// One replacement under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// Who shall go.
    pub old: MasterId,
    /// The invitation with which the new one joins.
    pub token: SecretHash,
    /// Who comes; none until it has joined.
    pub new: Option<MasterId>,
    /// When an admin asked for it.
    pub since: UnixMs,
}
