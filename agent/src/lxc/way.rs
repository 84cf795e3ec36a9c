//! A start goes on while the network's rules learn of the vnode: its device is made only when they know it.
//!
//! The helper's copy that makes the device waits for a word from the agent, through a pipe with a name in the vnode's directory.
//! The agent holds the pipe open, so that one that fails, or dies, is heard as well.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::fault::AgentFault;
use crate::vnode_dir::remove_file;

/// Who says that the way is made. Without a word, its end says that it is not.
#[derive(Debug)]
pub(crate) struct Way {
    path: PathBuf,
    pipe: File,
}

impl Way {
    /// A way that is not made yet, for one start.
    pub(crate) fn open(path: &Path) -> Result<Self, AgentFault> {
        remove_file(path)?;
        let named = || AgentFault::file("make the pipe", path);
        mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| named()(errno.into()))?;
        // Open for both, so that nobody need read it now, and what is said stays until somebody does.
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            pipe: opened.map_err(named())?,
        })
    }

    /// Says that it is made. It is heard while this is there.
    pub(crate) fn made(&mut self) -> Result<(), AgentFault> {
        let said = self.pipe.write_all(b".");
        said.map_err(AgentFault::file("write to", &self.path))
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        // What is left goes with the next start, or with the vnode.
        let _ = remove_file(&self.path);
    }
}

/// Waits until a way is made.
///
/// # Errors
/// It will not be, or has been given up already.
pub(super) fn wait_for(path: &Path) -> Result<(), AgentFault> {
    let named = || AgentFault::file("wait at", path);
    let mut options = OpenOptions::new();
    // Whoever waits for somebody to open it would wait for ever after an agent that died before.
    let opened = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut pipe = opened.map_err(named())?;
    loop {
        match pipe.read(&mut [0; 1]) {
            Ok(0) => return Err(AgentFault::NotReady("its device is not let through".into())),
            Ok(_) => return Ok(()),
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                let mut waits = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
                poll(&mut waits, PollTimeout::NONE).map_err(|errno| named()(errno.into()))?;
            }
            Err(fault) => return Err(named()(fault)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("way");
        (dir, path)
    }

    #[test]
    fn a_word_is_heard_before_and_after_somebody_waits() {
        let (_dir, path) = path();
        let mut way = Way::open(&path).expect("a way");
        way.made().expect("said");
        wait_for(&path).expect("made before");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| wait_for(&path));
            way.made().expect("said");
            waits.join().expect("no panic").expect("made meanwhile");
        });
        drop(way);
        assert!(!path.exists());
    }

    #[test]
    fn whoever_gives_up_is_heard_too() {
        let (_dir, path) = path();
        let way = Way::open(&path).expect("a way");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| wait_for(&path));
            drop(way);
            waits.join().expect("no panic").expect_err("never made");
        });
        // An agent that died leaves its pipe.
        mkfifo(&path, Mode::S_IRUSR).expect("a pipe");
        let cause = wait_for(&path).expect_err("nobody is there");
        assert!(cause.full_text().contains("not let through"), "{cause:?}");
    }
}
