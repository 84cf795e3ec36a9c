//! Names that people choose: one allow list for the whole system (THREATS rule 3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// A name of a user, worker, master, vcluster or image: 1 to 40 of `a-z 0-9 -`, starting with a letter,
/// not ending with a dash. It is a DNS label, a path component and an argument that needs no quoting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Longest accepted name, in bytes; with `host-9999.` before it, it stays under a DNS label's 63.
    pub const LEN_MAX: usize = 40;
    /// Stands before all names, and is none.
    pub(crate) const LEAST: Self = Self(String::new());

    /// Checks `text` against the allow list; `kind` says in the refusal what was to be named.
    pub fn parse(kind: &'static str, text: &str) -> Result<Self, Refusal> {
        if Self::is_allowed(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Refusal::NameInvalid {
                kind: kind.to_owned(),
                given: printable(text),
            })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_allowed(text: &str) -> bool {
        let bytes = text.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        bytes.len() <= Self::LEN_MAX
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last().is_some_and(|b| *b != b'-')
            && bytes.iter().all(inner)
    }
}

/// What may be repeated back to the asker: at most 60 characters, control and bidi marks escaped.
fn printable(text: &str) -> String {
    let shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 {
        format!("{shown}…")
    } else {
        shown
    }
}

crate::schema::text!(Name, "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$");

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse("name", &text).map_err(serde::de::Error::custom)
    }
}
