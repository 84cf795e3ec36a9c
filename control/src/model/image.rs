//! Images: read-only root file systems, named by what is in them.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, UnixMs, UserId, WorkerId};
use crate::name::Name;

/// How containers of an image are started and stopped. Kept in the log, not in the blob, so that there is one description only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// Arguments of the first process, an absolute path first.
    pub init: Vec<String>,
    /// Signal that asks the first process to shut down, as `SIGTERM`.
    pub stop_signal: String,
    /// How long a vnode may take to shut down before it is killed.
    pub stop_timeout_ms: u32,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            init: vec!["/sbin/init".to_owned()],
            stop_signal: "SIGPWR".to_owned(),
            stop_timeout_ms: 5_000,
        }
    }
}

/// One image; a name may later point to another digest, while vnodes keep the one they were made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// SHA-256 of the blob (a zstd-compressed tar).
    pub digest: Digest,
    /// The name under which it was registered.
    pub name: Name,
    /// Size of the blob.
    pub blob_bytes: u64,
    /// How to run it.
    pub spec: ImageSpec,
    /// Who registered it.
    pub owner: UserId,
    /// One line for people.
    pub description: String,
    /// When it was registered.
    pub registered_at: UnixMs,
    /// Workers that hold the blob and verified it.
    pub holders: OrdSet<WorkerId>,
}
