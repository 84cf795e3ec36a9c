//! What was built last on this machine, so that the same is not built again: which digest a recipe came to, with the
//! package lists as they were then.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use docklet_control::id::Digest;
use sha2::{Digest as _, Sha256};

/// Where this is kept.
const DIR: &str = "/var/cache/docklet/images";
/// Where apt keeps what its mirrors said last: signed, with the digests of all lists.
const LISTS: &str = "/var/lib/apt/lists";

/// What an image comes to depends on no more than this.
pub struct Inputs(String);

impl Inputs {
    /// The recipe, and the mirrors' state as this machine knows it.
    pub fn of(recipe: [u8; 32]) -> anyhow::Result<Self> {
        let mut hasher = Sha256::new();
        hasher.update(recipe);
        for path in releases(Path::new(LISTS))? {
            let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            hasher.update(Sha256::digest(text));
        }
        Ok(Self(hex::encode(hasher.finalize())))
    }

    /// What they came to, if they were built before.
    pub fn built(&self) -> Option<Digest> {
        let text = fs::read_to_string(Path::new(DIR).join(&self.0)).ok()?;
        text.trim().parse().ok()
    }

    /// Remembers what they came to.
    pub fn remember(&self, digest: Digest) -> anyhow::Result<()> {
        fs::create_dir_all(DIR).with_context(|| format!("make {DIR}"))?;
        let path = Path::new(DIR).join(&self.0);
        fs::write(&path, format!("{digest}\n")).with_context(|| format!("write {}", path.display()))
    }
}

fn releases(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(Vec::new());
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("Release") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
