//! Invitations for machines.

use serde::{Deserialize, Serialize};

use crate::id::{SecretHash, UnixMs};

/// What whoever redeems a token becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JoinRole {
    /// A member of the Raft group.
    Master,
    /// A worker's agent.
    Agent,
}

/// One invitation; only a hash of its secret is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// SHA-256 of the secret.
    pub id: SecretHash,
    /// What it admits.
    pub role: JoinRole,
    /// From when on it is worth nothing.
    pub expires_at: UnixMs,
    /// How many more machines it admits.
    pub uses_left: u32,
}
