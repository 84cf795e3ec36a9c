//! Where a vnode's files are while they come, and what is known of them.
//!
//! ```text
//! STATE/arriving/v7-41/   the files as they will be in STATE/vnodes/v7, as far as they came
//!                lock     held by whoever writes here
//!                whole.json   that all of them are here, written last
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docklet_control::id::{LogIndex, VnodeId};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::adopt::WHOLE;
use super::incoming::{self, Known, lock};
use super::names::{self, FileName};
use super::scan;
use crate::fault::AgentFault;
use crate::vnode_dir::{self, StateDir, make_dir, remove_dir, sync_dir};

const LOCK: &str = "lock";
/// Threads of an attempt that was given up write to the end of what they have in their hands.
const LOCK_DEADLINE: Duration = Duration::from_secs(10);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(5);

/// The directory, held against all others.
pub(super) struct Staging {
    pub(super) dir: PathBuf,
    known: Mutex<BTreeMap<FileName, Arc<Mutex<Known>>>>,
    _held: Flock<File>,
}

impl Staging {
    /// Takes the directory, with what an earlier attempt left in it.
    pub(super) fn open(
        state: &StateDir,
        vnode: VnodeId,
        number: LogIndex,
    ) -> Result<Self, AgentFault> {
        make_dir(&state.arriving(), 0o700)?;
        let dir = state.arrival(vnode, number);
        for dir in [&dir, &dir.join("snapshots"), &dir.join(names::CHECKPOINT)] {
            make_dir(dir, 0o700)?;
        }
        let held = hold(&dir)?;
        Ok(Self {
            dir,
            known: Mutex::default(),
            _held: held,
        })
    }

    /// What is known of a file, for whoever writes it.
    pub(super) fn known(&self, name: &FileName) -> Arc<Mutex<Known>> {
        lock(&self.known).entry(name.clone()).or_default().clone()
    }

    /// Forgets what is known: it is looked at when it is needed.
    pub(super) fn forget(&self) {
        lock(&self.known).clear();
    }

    /// Knows a file as it is on the disk, unless it is known already. Ends early when `gone` is true.
    pub(super) fn look_at(&self, name: &FileName, gone: &AtomicBool) -> Result<(), AgentFault> {
        let path = name.within(&self.dir);
        if lock(&self.known).contains_key(name) || !path.exists() {
            return Ok(());
        }
        let chunks = scan::hash_file(&path, || !gone.load(Ordering::Relaxed))?;
        lock(&self.known(name)).chunks = chunks;
        Ok(())
    }

    /// Knows no more of a file than its name.
    pub(super) fn forget_one(&self, name: &FileName) {
        lock(&self.known).remove(name);
    }

    /// From now on nobody takes it for whole, whatever an earlier attempt noted.
    pub(super) fn is_not_whole(&self) -> Result<(), AgentFault> {
        let note = self.dir.join(WHOLE);
        if note.exists() {
            vnode_dir::remove_file(&note)?;
            sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Deletes what is there of the image of the processes: another one may come.
    pub(super) fn forget_checkpoint(&self) -> Result<(), AgentFault> {
        let dir = self.dir.join(names::CHECKPOINT);
        fs::remove_dir_all(&dir).map_err(AgentFault::file("delete", &dir))?;
        make_dir(&dir, 0o700)?;
        lock(&self.known).retain(|name, _| name.is_disk());
        Ok(())
    }

    /// Deletes what is there of rounds of memory: they belong to a conversation that is over.
    pub(super) fn forget_rounds(&self) -> Result<(), AgentFault> {
        remove_dir(&self.dir.join(names::AHEAD))?;
        lock(&self.known).retain(|name, _| !matches!(name, FileName::Ahead(..)));
        Ok(())
    }

    /// Brings to the disk which files there are.
    pub(super) fn sync(&self) -> Result<(), AgentFault> {
        for dir in [&self.dir.join("snapshots"), &self.dir] {
            sync_dir(dir)?;
        }
        Ok(())
    }
}

fn hold(dir: &Path) -> Result<Flock<File>, AgentFault> {
    let path = dir.join(LOCK);
    let begun = Instant::now();
    let mut file = incoming::open(&path)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => return Ok(held),
            Err((back, Errno::EWOULDBLOCK)) if begun.elapsed() < LOCK_DEADLINE => file = back,
            Err((_, errno)) => return Err(AgentFault::file("take", path)(errno.into())),
        }
        std::thread::sleep(LOCK_LOOK_EVERY);
    }
}

/// What came of vnodes, whole or not.
///
/// # Errors
/// The directory cannot be read.
pub fn arrivals(state: &StateDir) -> Result<BTreeSet<(VnodeId, LogIndex)>, AgentFault> {
    let dir = state.arriving();
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.map_err(AgentFault::file("list", &dir))?,
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(AgentFault::file("list", &dir))?.file_name();
        found.extend(vnode_dir::arrival_of(&name.to_string_lossy()));
    }
    Ok(found)
}

/// Deletes what came of a vnode by this move. Nobody may be writing it.
///
/// # Errors
/// Something stays.
pub fn forget(state: &StateDir, vnode: VnodeId, number: LogIndex) -> Result<(), AgentFault> {
    let dir = state.arrival(vnode, number);
    // What is only half there is not whole, whatever a crash leaves.
    vnode_dir::remove_file(&dir.join(WHOLE))?;
    remove_dir(&dir)
}
