//! Logins: what a cookie or a bearer token stands for.

use serde::{Deserialize, Serialize};

use crate::id::{SecretHash, UnixMs, UserId};

/// How a session is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// A cookie of a browser.
    Browser,
    /// A bearer token of the command line or a program.
    Token,
    /// A token of a program that may do what its scopes say. Since version 3.
    Api,
    /// A cookie of a browser whose person has shown their password, and no code yet. It is good for nothing else. Since
    /// version 3.
    Unproven,
}

/// One login. Any master honours it, and closing it ends it on all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the secret that the browser or program holds; the secret itself is never stored.
    pub id: SecretHash,
    /// Whose it is.
    pub user: UserId,
    /// How it is carried.
    pub kind: SessionKind,
    /// When it was opened.
    pub opened_at: UnixMs,
    /// From when on it is worth nothing.
    pub expires_at: UnixMs,
}
