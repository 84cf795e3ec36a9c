//! Paths of files in vnodes: one form for each, and what is not of that form is refused rather than mended (THREATS rule 34).
//! Where a path leads says the vnode that it is of; no path is ever joined to one of a worker.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// An absolute path without empty parts, `.`, `..` and NUL: `/`, or parts that each stand after a slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct FilePath(String);

impl FilePath {
    /// Longest path and name that Linux takes, in bytes.
    pub const BYTES_MAX: usize = 4_095;
    pub const NAME_BYTES_MAX: usize = 255;
    /// Who goes deeper needs a terminal: each level costs whoever walks it a descriptor.
    pub const DEPTH_MAX: usize = 200;

    /// The root of a vnode.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Reads a path.
    ///
    /// # Errors
    /// It is not of the one form that a path has.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let refused = |cause: &str| {
            Err(Refusal::Malformed {
                what: "path".to_owned(),
                cause: cause.to_owned(),
            })
        };
        if text == "/" {
            return Ok(Self::root());
        }
        let Some(below) = text.strip_prefix('/') else {
            return refused("it must begin with /");
        };
        if text.len() > Self::BYTES_MAX {
            return refused("it is longer than 4095 bytes");
        }
        let mut depth = 0;
        for part in below.split('/') {
            depth += 1;
            if let Some(cause) = unfit(part) {
                return refused(cause);
            }
        }
        if depth > Self::DEPTH_MAX {
            return refused("it is nested too deeply");
        }
        Ok(Self(text.to_owned()))
    }

    /// What is called `name` in this directory.
    ///
    /// # Errors
    /// It is no name, or the path gets too long.
    pub fn join(&self, name: &str) -> Result<Self, Refusal> {
        let slash = if self.is_root() { "" } else { "/" };
        match unfit(name) {
            None if !name.contains('/') => Self::parse(&format!("{}{slash}{name}", self.0)),
            Some(_) | None => Err(Refusal::Malformed {
                what: "name".to_owned(),
                cause: "it is empty, too long, . or .., or has / or a NUL byte in it".to_owned(),
            }),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// As it is seen from the root: `.` for the root itself.
    #[must_use]
    pub fn below_root(&self) -> &str {
        if self.is_root() { "." } else { &self.0[1..] }
    }

    /// The directory that it is in, and what it is called there; none of the root.
    #[must_use]
    pub fn split(&self) -> Option<(Self, &str)> {
        if self.is_root() {
            return None;
        }
        let (dir, name) = self.0.rsplit_once('/')?;
        let dir = if dir.is_empty() { "/" } else { dir };
        Some((Self(dir.to_owned()), name))
    }

    /// Its last name; `/` of the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.split().map_or("/", |_| {
            self.0.rsplit_once('/').map_or("/", |(_, name)| name)
        })
    }

    /// Whether it is this directory or anything in it.
    #[must_use]
    pub fn is_within(&self, dir: &Self) -> bool {
        let rest = self.0.strip_prefix(&dir.0);
        dir.is_root() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// From the root to this one, each a directory of the next.
    #[must_use]
    pub fn way(&self) -> Vec<Self> {
        let mut way = vec![self.clone()];
        while let Some((dir, _)) = way.last().and_then(Self::split) {
            way.push(dir);
        }
        way.reverse();
        way
    }
}

/// Why a part of a path is none.
fn unfit(part: &str) -> Option<&'static str> {
    match part {
        "" => Some("it has an empty part: write one / between two names, and none at the end"),
        "." | ".." => Some("it has . or .. in it: write it out from the root"),
        _ if part.contains('\0') => Some("it has a NUL byte in it"),
        // What is no text is decoded to this letter, and would then mean another file.
        _ if part.contains('\u{fffd}') => Some("it has something in it that is no text"),
        _ if part.len() > FilePath::NAME_BYTES_MAX => {
            Some("it has a name of more than 255 bytes in it")
        }
        _ => None,
    }
}

impl fmt::Display for FilePath {
    /// What might move a terminal's cursor or turn text around is escaped.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(&self.0, formatter)
    }
}

fn shown(text: &str, formatter: &mut impl fmt::Write) -> fmt::Result {
    text.chars().try_for_each(|letter| {
        if is_plain(letter) {
            formatter.write_char(letter)
        } else {
            write!(formatter, "{}", letter.escape_unicode())
        }
    })
}

/// A name of whoever knows what origin, for people: nothing in it acts.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    // Writing to a string does not fail.
    let _ = shown(text, &mut plain);
    plain
}

/// Neither a control character nor one that turns text around or cannot be seen.
#[must_use]
pub fn is_plain(letter: char) -> bool {
    let turns = matches!(
        letter,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}'
    );
    !letter.is_control() && !turns
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_form_is_a_path() {
        for good in [
            "/", "/a", "/a/b", "/…/ä", "/a b", "/..a/b..", "/...", "/%2e%2e", "/a\n",
        ] {
            assert_eq!(FilePath::parse(good).expect("a path").as_str(), good);
        }
        let long = format!("/{}", "a".repeat(256));
        let deep = "/a".repeat(201);
        let longest = format!("/{}", "abcdefg/".repeat(600));
        for bad in [
            "",
            "a",
            "a/b",
            "//",
            "//a",
            "/a/",
            "/a//b",
            "/.",
            "/..",
            "/a/..",
            "/a/../b",
            "/./a",
            "../a",
            "/a\0b",
            "/\u{fffd}",
            "~",
            "~/a",
            "\\a",
            &long,
            &deep,
            &longest,
        ] {
            assert!(FilePath::parse(bad).is_err(), "{bad:?}");
            assert!(
                serde_json::from_value::<FilePath>(bad.into()).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn paths_are_taken_apart_and_joined() {
        let path = FilePath::parse("/a/b").expect("a path");
        let (dir, name) = path.split().expect("not the root");
        assert_eq!((dir.as_str(), name, path.name()), ("/a", "b", "b"));
        assert_eq!(dir.split().expect("not the root").0, FilePath::root());
        assert_eq!(FilePath::root().split(), None);
        assert_eq!(dir.join("b").expect("joined"), path);
        assert_eq!(FilePath::root().join("a").expect("joined"), dir);
        for bad in ["", ".", "..", "a/b", "/", "a\0"] {
            assert!(dir.join(bad).is_err(), "{bad:?}");
        }
        assert!(path.is_within(&dir) && path.is_within(&path) && path.is_within(&FilePath::root()));
        assert!(!FilePath::parse("/ab").expect("a path").is_within(&dir));
        let way: Vec<String> = path.way().iter().map(ToString::to_string).collect();
        assert_eq!(way, ["/", "/a", "/a/b"]);
    }

    #[test]
    fn nothing_in_a_shown_path_acts() {
        let path = FilePath::parse("/a\u{1b}[2J\u{202e}b\n").expect("a path");
        assert_eq!(path.to_string(), "/a\\u{1b}[2J\\u{202e}b\\u{a}");
        assert_eq!(plain("ä b"), "ä b");
    }
}
