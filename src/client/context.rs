//! Which cluster the commands mean, and the session for it: one file that only its owner can read.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::seen::Seen;
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

/// What the context is called that is there without a name.
pub const DEFAULT: &str = "default";
/// Which one `--context` names.
static CHOSEN: OnceLock<String> = OnceLock::new();

/// All commands of this process mean the context of this name.
///
/// # Errors
/// It is no name.
pub fn choose(name: Option<String>) -> Result<(), Failure> {
    if let Some(name) = name {
        super::name("context", &name)?;
        CHOSEN.get_or_init(|| name);
    }
    Ok(())
}

/// The name of the context that is meant; none if `DOCKLET_CONTEXT` is a file's path.
pub fn chosen() -> anyhow::Result<Option<String>> {
    if let Some(name) = CHOSEN.get() {
        return Ok(Some(name.clone()));
    }
    if let Some(given) = given() {
        return Ok((!given.contains('/')).then_some(given));
    }
    let used = std::fs::read_to_string(directory()?.join("current"));
    let used = used.unwrap_or_else(|_| DEFAULT.to_owned());
    Ok(Some(used.trim().to_owned()))
}

fn given() -> Option<String> {
    let given = std::env::var("DOCKLET_CONTEXT").ok();
    given.filter(|given| !given.is_empty())
}

/// Where contexts are, and what belongs to them.
pub fn directory() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let base = base
        .or_else(home)
        .context("neither XDG_CONFIG_HOME nor HOME is set")?;
    Ok(base.join("docklet"))
}

/// The file of the context of this name.
pub fn file_of(name: &str) -> anyhow::Result<PathBuf> {
    super::name("context", name)?;
    let directory = directory()?;
    Ok(match name {
        DEFAULT => directory.join("context.toml"),
        name => directory.join("contexts").join(format!("{name}.toml")),
    })
}

/// Where the context is: as `--context` says, then `DOCKLET_CONTEXT`, a name or a file's path, then what is used.
pub fn path() -> anyhow::Result<PathBuf> {
    match (chosen()?, given()) {
        (Some(name), _) => file_of(&name),
        (None, Some(path)) => Ok(path.into()),
        (None, None) => file_of(DEFAULT),
    }
}

impl Context {
    /// Reads the context.
    ///
    /// # Errors
    /// There is none: `docklet login` makes one.
    pub fn load() -> anyhow::Result<Self> {
        Self::load_from(&path()?)
    }

    /// Reads the context in this file.
    ///
    /// # Errors
    /// The same.
    pub fn load_from(path: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
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
        Seen::beside(&path).forget();
        Ok(path)
    }
}
