//! Where a vnode's checkpoint is, and how far it has come: its name says so.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use docklet_control::id::VnodeId;

use crate::boot;
use crate::fault::AgentFault;
use crate::transfer::names::AHEAD;
use crate::vnode_dir::{StateDir, make_dir, remove_dir, remove_file, sync_dir};

/// CRIU's own names.
pub(super) const DUMP_LOG: &str = "dump.log";
pub(super) const RESTORE_LOG: &str = "restore.log";
pub(super) const AHEAD_LOG: &str = "pre-dump.log";
pub(super) const STATISTICS: &str = "stats-dump";

/// Paths of one vnode.
pub(super) struct Places {
    dir: PathBuf,
    /// Being written.
    pub(super) begun: PathBuf,
    /// Whole, and not used.
    pub(super) whole: PathBuf,
    /// Being used.
    pub(super) used: PathBuf,
    /// Of no use any more, and being deleted.
    done: PathBuf,
    /// Rounds of memory on which the one that is written next builds, or the one that is there.
    pub(super) ahead: PathBuf,
    /// What CRIU said when it was made.
    pub(super) log: PathBuf,
    /// Where it was written and not yet brought to the disk: a machine that starts anew has lost some of it.
    boot: PathBuf,
}

impl Places {
    pub(super) fn of(state: &StateDir, id: VnodeId) -> Self {
        let dir = state.vnode(id);
        let whole = state.checkpoint(id);
        Self {
            begun: dir.join("checkpoint.new"),
            used: dir.join("checkpoint.used"),
            done: dir.join("checkpoint.done"),
            ahead: dir.join(AHEAD),
            log: dir.join("checkpoint.log"),
            boot: dir.join("checkpoint-boot"),
            whole,
            dir,
        }
    }

    /// Makes room for one, and deletes what there is of others. What fails for want of room fails here, or while it is written.
    pub(super) fn begin(&self) -> Result<(), AgentFault> {
        self.remove_all_but_rounds()?;
        docklet_link::credentials::write_private(&self.boot, boot::id()?.as_bytes())?;
        make_dir(&self.begun, 0o700)
    }

    /// Makes one that was just written the vnode's checkpoint. Its pages are not brought to the disk: that would take longer
    /// than everything else, and the vnode stands still meanwhile.
    pub(super) fn finish(&self) -> Result<(), AgentFault> {
        self.keep_log(&self.begun.join(DUMP_LOG))?;
        remove_file(&self.begun.join(STATISTICS))?;
        rename(&self.begun, &self.whole)
    }

    /// Keeps what CRIU said, for people; what it said before goes. Answers it.
    pub(super) fn keep_log(&self, log: &Path) -> Result<String, AgentFault> {
        match fs::rename(log, &self.log) {
            // It came to nothing before it began to write.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            renamed => {
                renamed.map_err(AgentFault::file("rename", log))?;
                fs::read_to_string(&self.log).map_err(AgentFault::file("read", &self.log))
            }
        }
    }

    /// Takes the vnode's checkpoint for use, for good.
    pub(super) fn use_up(&self, id: VnodeId) -> Result<(), AgentFault> {
        if !self.is_whole()? {
            return Err(AgentFault::NoCheckpoint(id.0));
        }
        remove_dir(&self.used)?;
        rename(&self.whole, &self.used)?;
        sync_dir(&self.dir)
    }

    /// Whether there is one that was not used, and that no restart of the machine has torn. One that came from another worker
    /// was brought to the disk there and says of no boot.
    pub(super) fn is_whole(&self) -> Result<bool, AgentFault> {
        if !self.whole.is_dir() {
            return Ok(false);
        }
        match fs::read_to_string(&self.boot) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            said => {
                let said = said.map_err(AgentFault::file("read", &self.boot))?;
                Ok(said == boot::id()?)
            }
        }
    }

    /// Deletes all but what is whole.
    pub(super) fn keep_whole(&self) -> Result<(), AgentFault> {
        if !self.is_whole()? {
            return self.remove();
        }
        [&self.begun, &self.used]
            .into_iter()
            .try_for_each(|dir| self.discard(dir))
    }

    /// How many rounds of memory there are.
    pub(super) fn rounds(&self) -> Result<u32, AgentFault> {
        let mut rounds = 0;
        while self.round(rounds + 1).is_dir() {
            rounds += 1;
        }
        if self.round_begun().exists() {
            // What the kernel was asked for it is missing in those before.
            self.remove_rounds()?;
            rounds = 0;
        }
        Ok(rounds)
    }

    pub(super) fn round(&self, number: u32) -> PathBuf {
        self.ahead.join(number.to_string())
    }

    /// One that is being written.
    pub(super) fn round_begun(&self) -> PathBuf {
        self.ahead.join("new")
    }

    /// Deletes all rounds.
    pub(super) fn remove_rounds(&self) -> Result<(), AgentFault> {
        self.discard(&self.ahead)
    }

    /// Deletes whatever there is.
    pub(super) fn remove(&self) -> Result<(), AgentFault> {
        self.remove_all_but_rounds()?;
        self.remove_rounds()
    }

    /// The note of its boot goes last: without it what is torn would be taken for whole.
    fn remove_all_but_rounds(&self) -> Result<(), AgentFault> {
        for dir in [&self.begun, &self.used, &self.whole] {
            self.discard(dir)?;
        }
        // It may have been cut short in noting that.
        remove_file(&self.boot.with_extension("new"))?;
        remove_file(&self.boot)
    }

    /// What is half deleted must not be taken for anything that it was.
    fn discard(&self, dir: &Path) -> Result<(), AgentFault> {
        remove_dir(&self.done)?;
        match fs::rename(dir, &self.done) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => {
                renamed.map_err(AgentFault::file("rename", dir))?;
                remove_dir(&self.done)
            }
        }
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), AgentFault> {
    fs::rename(from, to).map_err(AgentFault::file("rename", from))
}
