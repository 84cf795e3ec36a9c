//! Which cluster the commands mean, and the session for it: one file that only its owner can read.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::exit::{Class, Failure};

/// A remembered login.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Public addresses of masters, as `https://host:port`; tried in turn.
    pub servers: Vec<String>,
    /// The authority that signed their certificates, as PEM; the system's if absent.
    pub ca_pem: Option<String>,
    pub user: String,
    pub token: String,
}

/// Where the context is: `DOCKLET_CONTEXT`, or below the configuration directory.
pub fn path() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("DOCKLET_CONTEXT") {
        return Ok(path.into());
    }
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let base = base
        .or_else(home)
        .context("neither DOCKLET_CONTEXT nor HOME is set")?;
    Ok(base.join("docklet").join("context.toml"))
}

impl Context {
    /// Reads the context.
    ///
    /// # Errors
    /// There is none: `docklet login` makes one.
    pub fn load() -> anyhow::Result<Self> {
        let path = path()?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let message = "you are not logged in: run `docklet login --server https://ADDRESS --user NAME` first";
                return Err(Failure::new(Class::Denied, message).into());
            }
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let unfit = |cause: &str| {
            let text = format!(
                "{}: {}: log in again to write it anew",
                path.display(),
                cause.trim_end()
            );
            Failure::new(Class::Invalid, text)
        };
        let context: Self = toml::from_str(&text).map_err(|error| unfit(&error.to_string()))?;
        if context.servers.is_empty() {
            return Err(unfit("it names no server").into());
        }
        Ok(context)
    }

    /// Writes the context.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn store(&self) -> anyhow::Result<PathBuf> {
        let path = path()?;
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        }
        docklet_link::credentials::write_private(&path, toml::to_string(self)?.as_bytes())?;
        Ok(path)
    }
}
