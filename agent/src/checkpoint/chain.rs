//! The images of memory on which a checkpoint builds: beside it, numbered, and linked each to the one before by CRIU's name.
//!
//! ```text
//! STATE/vnodes/v7/ahead/1/             all memory, as it was once
//!                 ahead/2/parent -> ../1
//!                 checkpoint/parent -> ../ahead/2
//! ```

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::fault::AgentFault;
use crate::transfer::names::{AHEAD, CHECKPOINT};

/// What CRIU calls what was written before.
pub(crate) const PARENT: &str = "parent";

/// The last of so many rounds, seen from a checkpoint; none if there are none.
pub(super) fn before_checkpoint(rounds: u32) -> Option<PathBuf> {
    (rounds > 0).then(|| Path::new("..").join(AHEAD).join(rounds.to_string()))
}

/// The one before a round, seen from it.
pub(super) fn before_round(number: u32) -> Option<PathBuf> {
    (number > 1).then(|| Path::new("..").join((number - 1).to_string()))
}

/// On how many rounds the checkpoint in a vnode's directory builds.
pub(crate) fn length(dir: &Path) -> Result<u32, AgentFault> {
    let path = dir.join(CHECKPOINT).join(PARENT);
    let target = match fs::read_link(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        target => target.map_err(AgentFault::file("read", &path))?,
    };
    let name = target.file_name().and_then(|name| name.to_str());
    let rounds = name.and_then(|name| name.parse().ok()).unwrap_or(0);
    if before_checkpoint(rounds) == Some(target) {
        return Ok(rounds);
    }
    Err(AgentFault::Checkpoint(format!(
        "{} leads to no round of memory",
        path.display()
    )))
}

/// Links a checkpoint that came, and so many rounds that came before it, as CRIU does where it writes them.
pub(crate) fn link(dir: &Path, rounds: u32) -> Result<(), AgentFault> {
    for number in 1..=rounds {
        let round = dir.join(AHEAD).join(number.to_string());
        if let Some(before) = before_round(number) {
            link_one(&round, &before)?;
        }
    }
    before_checkpoint(rounds).map_or(Ok(()), |before| link_one(&dir.join(CHECKPOINT), &before))
}

fn link_one(dir: &Path, before: &Path) -> Result<(), AgentFault> {
    let path = dir.join(PARENT);
    crate::vnode_dir::remove_file(&path)?;
    symlink(before, &path).map_err(AgentFault::file("link", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_counted_and_leads_to_what_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        fs::create_dir(dir.join(CHECKPOINT)).expect("made");
        assert_eq!(length(dir).expect("none"), 0);
        for number in ["1", "2", "3"] {
            fs::create_dir_all(dir.join(AHEAD).join(number)).expect("made");
            fs::write(dir.join(AHEAD).join(number).join("name"), number).expect("written");
        }
        link(dir, 3).expect("linked");
        link(dir, 3).expect("and once more");
        assert_eq!(length(dir).expect("three"), 3);
        let mut at = dir.join(CHECKPOINT);
        for number in ["3", "2", "1"] {
            at = at.join(PARENT);
            assert_eq!(fs::read_to_string(at.join("name")).expect("there"), number);
        }
        assert!(!at.join(PARENT).exists());
        // Whoever wrote this is not asked what it means.
        fs::remove_file(dir.join(CHECKPOINT).join(PARENT)).expect("removed");
        symlink("/etc/3", dir.join(CHECKPOINT).join(PARENT)).expect("linked");
        assert!(length(dir).is_err());
    }
}
