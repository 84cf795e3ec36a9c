//! A helper that leaves a defence out when it starts a container: what the probe then finds open is what the defence
//! was for. Which one stands in a file beside the path by which the helper was called.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Items of a container's configuration that are left out, or read otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Weakness {
    /// What their keys begin with; `kernel_objects` means the limits that are no items, and `limits`
    /// that nothing is read back after the start.
    pub key: String,
    /// Only items with this in their value.
    pub about: String,
    /// What they say then; they are left out if it is none.
    pub instead: Option<String>,
}

/// Where the weaknesses of a helper that is called by this path stand.
pub fn file_of(helper: &Path) -> PathBuf {
    helper.with_extension("without")
}
