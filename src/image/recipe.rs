//! Recipes: what an image is made of, as a file. Values are checked here, before minutes of building; steps are argument
//! vectors, and no value ever becomes a part of another one.

use std::path::Path;

use anyhow::Context as _;
use docklet_control::model::ImageSpec;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::exit::{Class, Failure};

/// The recipes that come with the program.
const KNOWN: [(&str, &str); 5] = [
    ("busybox", include_str!("../../conf/images/busybox.toml")),
    ("debian", include_str!("../../conf/images/debian.toml")),
    ("python3", include_str!("../../conf/images/python3.toml")),
    ("ssh", include_str!("../../conf/images/ssh.toml")),
    ("jupyter", include_str!("../../conf/images/jupyter.toml")),
];

/// Changes whenever the same recipe comes to other files by a newer program.
const BUILDER: &str = "1";

/// One recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// One line for people.
    pub description: String,
    pub base: Base,
    /// Code name of the release; this machine's own if absent.
    pub suite: Option<String>,
    /// Packages beside the base's own.
    #[serde(default)]
    pub packages: Vec<String>,
    pub pip: Option<Pip>,
    #[serde(default)]
    pub files: Vec<NewFile>,
    /// Run within the new root, without a network.
    #[serde(default)]
    pub commands: Vec<Vec<String>>,
    /// Run at each start, before the services.
    #[serde(default)]
    pub prepare: Vec<Vec<String>>,
    /// Kept running.
    #[serde(default)]
    pub services: Vec<Vec<String>>,
    /// The first process; one that runs `services` if absent.
    pub init: Option<Vec<String>>,
    /// `NAME=VALUE` of the first process; `DOCKLET_SERVICES` tells what browsers can open, as `lab:8888/lab`.
    #[serde(default)]
    pub environment: Vec<String>,
    pub stop_signal: Option<String>,
    pub stop_timeout_ms: Option<u32>,
}

/// What the root file system begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Debian's static busybox and nothing else.
    Busybox,
    /// Debian's essential packages.
    Debian,
}

/// Python packages, in an environment of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pip {
    /// Where the environment is.
    pub venv: String,
    pub packages: Vec<String>,
}

/// A file that is written into the root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    pub path: String,
    pub content: String,
    /// In octal, as `0755`; `0644` if absent.
    pub mode: Option<String>,
}

/// A recipe, the name that its image gets, and what tells it from others.
pub struct Found {
    pub recipe: Recipe,
    pub name: String,
    /// SHA-256 of its text and of how this program builds.
    pub fingerprint: [u8; 32],
}

impl Found {
    /// The recipe of this name, or in this file.
    pub fn open(what: &str) -> anyhow::Result<Self> {
        if let Some((name, text)) = KNOWN.iter().find(|(name, _)| *name == what) {
            return Self::parse(name, text);
        }
        let path = Path::new(what);
        if !what.contains(['/', '.']) && !path.exists() {
            let known = KNOWN.map(|(name, _)| name).join(", ");
            let text =
                format!("there is no recipe \"{what}\": use one of {known}, or a file of yours");
            return Err(Failure::new(Class::NotFound, text).into());
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("read recipe {what}"))?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        Self::parse(&stem.unwrap_or_default(), &text)
    }

    fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let refused =
            |cause: String| Failure::new(Class::Invalid, format!("recipe {name}: {cause}"));
        let recipe: Recipe = toml::from_str(text).map_err(|error| refused(error.to_string()))?;
        recipe.check().map_err(refused)?;
        let mut hasher = Sha256::new();
        for part in [BUILDER, text] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Ok(Self {
            recipe,
            name: name.to_owned(),
            fingerprint: hasher.finalize().into(),
        })
    }
}

impl Recipe {
    fn check(&self) -> Result<(), String> {
        let plain = |text: &str, more: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits)
        };
        let unfit = |names: &[String], more: &str| names.iter().find(|n| !plain(n, more)).cloned();
        let suite: Vec<String> = self.suite.iter().cloned().collect();
        if let Some(suite) = unfit(&suite, "-") {
            return Err(format!("{suite:?} is no release"));
        }
        if let Some(package) = unfit(&self.packages, "+.-:=~") {
            return Err(format!("{package:?} is no package"));
        }
        if let Some(pip) = &self.pip {
            check_path(&pip.venv)?;
            if let Some(package) = unfit(&pip.packages, "_.-=<>!~,[]+") {
                return Err(format!("{package:?} is no Python package"));
            }
        }
        for file in &self.files {
            check_path(&file.path)?;
            file.mode()
                .ok_or_else(|| format!("{} has a bad mode", file.path))?;
        }
        let programs = [&self.commands, &self.prepare, &self.services];
        for argv in programs.into_iter().flatten() {
            if argv.is_empty() || argv.iter().any(|argument| argument.contains(['\n', '\0'])) {
                return Err(format!("{argv:?} is no command"));
            }
        }
        let named = |variable: &String| variable.find('=').is_some_and(|at| at > 0);
        if let Some(variable) = self.environment.iter().find(|variable| !named(variable)) {
            return Err(format!("{variable:?} is no NAME=VALUE"));
        }
        if self.base == Base::Busybox {
            let needs_debian = !self.packages.is_empty() || self.pip.is_some();
            if needs_debian || self.init.is_none() {
                return Err("with busybox there are no packages, and init must be given".to_owned());
            }
        }
        Ok(())
    }

    /// How containers of it are started and stopped.
    pub fn spec(&self) -> ImageSpec {
        let init = || ["/usr/bin/tini", "-g", "--", super::start::PATH].map(str::to_owned);
        ImageSpec {
            init: self.init.clone().unwrap_or_else(|| init().to_vec()),
            stop_signal: self
                .stop_signal
                .clone()
                .unwrap_or_else(|| "SIGTERM".to_owned()),
            stop_timeout_ms: self.stop_timeout_ms.unwrap_or(10_000),
        }
    }
}

impl NewFile {
    pub fn mode(&self) -> Option<u32> {
        let text = self.mode.as_deref().unwrap_or("0644");
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
    }
}

fn check_path(path: &str) -> Result<(), String> {
    let inside = path.strip_prefix('/').unwrap_or_default();
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    if inside.split('/').all(plain) {
        return Ok(());
    }
    Err(format!("{path:?} is no absolute path without . and .."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_recipes_that_come_with_the_program_are_sound() {
        for (name, _) in KNOWN {
            let found = Found::open(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!found.recipe.description.is_empty(), "{name}");
            assert!(found.recipe.spec().init[0].starts_with('/'), "{name}");
        }
    }

    #[test]
    fn what_would_be_an_option_or_leave_the_root_is_refused() {
        let base = "description = 'x'\nbase = 'debian'\n";
        for (line, cause) in [
            ("packages = ['-o=APT::Update::Pre-Invoke=x']", "no package"),
            ("packages = ['a b']", "no package"),
            ("suite = '../x'", "no release"),
            (
                "files = [{ path = '/etc/../../x', content = '' }]",
                "no absolute path",
            ),
            (
                "files = [{ path = 'etc/x', content = '' }]",
                "no absolute path",
            ),
            (
                "files = [{ path = '/etc/x', content = '', mode = '9' }]",
                "bad mode",
            ),
            (
                "pip = { venv = '/opt/x', packages = ['--index-url=http://x'] }",
                "no Python package",
            ),
            ("environment = ['=x']", "no NAME=VALUE"),
            ("commands = [[]]", "no command"),
            ("hooks = ['x']", "unknown field"),
        ] {
            let error = Found::parse("x", &format!("{base}{line}\n"))
                .err()
                .expect(line);
            assert!(error.to_string().contains(cause), "{line}: {error}");
        }
    }

    #[test]
    fn another_text_is_another_recipe() {
        let of = |text: &str| Found::parse("x", text).expect("sound").fingerprint;
        let base = "description = 'x'\nbase = 'debian'\n";
        assert_eq!(of(base), of(base));
        assert_ne!(of(base), of(&format!("{base}packages = ['less']\n")));
    }
}
