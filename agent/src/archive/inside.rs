//! Paths below a root: no `.`, no `..`, nothing absolute, nothing empty, nothing that a file system could not hold.

use super::{Unfit, shown};

/// Longest path and longest name that Linux takes.
const PATH_BYTES_MAX: usize = 4_095;
const NAME_BYTES_MAX: usize = 255;
/// Deeper trees are nobody's system; walking them takes a descriptor a level.
const DEPTH_MAX: usize = 200;

/// A path below the root, never the root itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inside(Vec<u8>);

impl Inside {
    /// Reads an archive's path; none for the root itself, as `./`.
    ///
    /// # Errors
    /// It points out of the root, or is no path.
    pub fn parse(given: &[u8]) -> Result<Option<Self>, Unfit> {
        let refused = |cause: &str| Err(Unfit::content(format!("{} {cause}", shown(given))));
        if given.starts_with(b"/") {
            return refused("points outside of the image: it is absolute");
        }
        if given.contains(&0) {
            return refused("contains a NUL byte");
        }
        if given.len() > PATH_BYTES_MAX {
            return refused("is longer than a path may be");
        }
        let mut path = Vec::with_capacity(given.len());
        let mut depth = 0;
        for part in given.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return refused("points outside of the image: it has .. in it"),
                _ if part.len() > NAME_BYTES_MAX => return refused("has a name that is too long"),
                _ => {
                    if depth > 0 {
                        path.push(b'/');
                    }
                    path.extend_from_slice(part);
                    depth += 1;
                }
            }
        }
        if depth > DEPTH_MAX {
            return refused("is nested too deeply");
        }
        Ok((depth > 0).then_some(Self(path)))
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Names from the root down, its own last.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// The directory that it is in; none if that is the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(self.0[..slash].to_vec()))
    }

    /// Its last name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let slash = self.0.iter().rposition(|byte| *byte == b'/');
        &self.0[slash.map_or(0, |slash| slash + 1)..]
    }

    /// What is called `name` in the directory `parent`, or in the root.
    #[must_use]
    pub(super) fn join(parent: Option<&Self>, name: &[u8]) -> Self {
        match parent {
            None => Self(name.to_vec()),
            Some(parent) => Self([parent.as_bytes(), b"/", name].concat()),
        }
    }

    /// As it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.0)
    }
}
