//! The processes of one cluster, ours or a peer's: a slot, a network, a directory, and one program in each namespace.
//! Everything is gone when it is dropped; its directory stays, for the logs, after a failed test or with `CHAOS_KEEP`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;

use crate::cluster::PATIENCE;
use crate::network::Network;
use crate::slot::Slot;
use crate::{disk, process};

/// Some processes, numbered from 0.
pub struct Members {
    slot: Slot,
    network: Network,
    dir: PathBuf,
    children: Vec<Option<Child>>,
}

impl Members {
    /// Room for `count` processes, none of which runs.
    pub fn prepare(count: usize) -> anyhow::Result<Self> {
        let slot = Slot::take()?;
        let chaos = target_dir()?.join("chaos");
        let dir = chaos.join(slot.number.to_string());
        disk::unmount_below(&dir)?;
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
        }
        fs::create_dir_all(&dir)?;
        Ok(Self {
            network: Network::create(slot.number, count)?,
            slot,
            dir,
            children: (0..count).map(|_| None).collect(),
        })
    }

    /// How many there may be.
    #[must_use]
    pub fn count(&self) -> usize {
        self.children.len()
    }

    /// Where all their files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the output of one goes.
    #[must_use]
    pub fn log_of(&self, member: usize) -> PathBuf {
        self.dir.join(format!("m{member}.log"))
    }

    /// The network between them.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A command in the namespace of one.
    #[must_use]
    pub fn command(&self, member: usize, program: &Path) -> Command {
        process::inside(&self.network.namespace(member), program)
    }

    /// Starts one that does not run.
    pub fn start(&mut self, member: usize, mut command: Command) -> anyhow::Result<()> {
        let child = process::start(&mut command, &self.log_of(member))?;
        self.slot.note(child.id())?;
        self.children[member] = Some(child);
        Ok(())
    }

    fn child(&mut self, member: usize) -> anyhow::Result<&mut Child> {
        let child = self.children[member].as_mut();
        child.with_context(|| format!("member {member} does not run"))
    }

    /// Those that run.
    pub fn running(&self) -> impl Iterator<Item = usize> {
        let runs = |(member, child): (usize, &Option<Child>)| child.as_ref().map(|_| member);
        self.children.iter().enumerate().filter_map(runs)
    }

    /// The pids of those that run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().flatten().map(Child::id).collect()
    }

    /// The pid of one that runs.
    #[must_use]
    pub fn pid(&self, member: usize) -> Option<u32> {
        self.children[member].as_ref().map(Child::id)
    }

    /// Kills one, without warning.
    pub fn kill(&mut self, member: usize) -> anyhow::Result<()> {
        let child = self.child(member)?;
        process::signal(child, Signal::SIGKILL)?;
        process::wait(child, PATIENCE)?;
        self.children[member] = None;
        Ok(())
    }

    /// Kills all at the same instant.
    pub fn kill_all(&mut self) -> anyhow::Result<()> {
        for child in self.children.iter().flatten() {
            process::signal(child, Signal::SIGKILL)?;
        }
        for child in self.children.iter_mut().flatten() {
            process::wait(child, PATIENCE)?;
        }
        self.children.iter_mut().for_each(|child| *child = None);
        Ok(())
    }

    /// Stops one in order; answers how long that took it.
    pub fn stop(&mut self, member: usize) -> anyhow::Result<Duration> {
        let child = self.child(member)?;
        process::signal(child, Signal::SIGTERM)?;
        let took = process::wait(child, PATIENCE)?;
        self.children[member] = None;
        Ok(took)
    }

    /// Waits until one has ended by itself; answers its exit code.
    pub fn ended(&mut self, member: usize) -> anyhow::Result<Option<i32>> {
        let child = self.child(member)?;
        process::wait(child, PATIENCE)?;
        let code = child.wait()?.code();
        self.children[member] = None;
        Ok(code)
    }

    /// Freezes one: it keeps its connections and answers nothing.
    pub fn freeze(&mut self, member: usize) -> anyhow::Result<()> {
        process::signal(self.child(member)?, Signal::SIGSTOP)
    }

    /// Lets a frozen one go on.
    pub fn thaw(&mut self, member: usize) -> anyhow::Result<()> {
        process::signal(self.child(member)?, Signal::SIGCONT)
    }

    /// The ends of their logs, for a failure's message.
    #[must_use]
    pub fn logs(&self) -> String {
        let tail = |member| {
            let text = fs::read_to_string(self.log_of(member)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(12)..].join("\n");
            format!("\n== {}\n{last}", self.log_of(member).display())
        };
        (0..self.count()).map(tail).collect()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        // A frozen process dies of this signal too. What has ended already needs none.
        for child in self.children.iter_mut().flatten() {
            drop(child.kill());
            drop(child.wait());
        }
        let keep = std::thread::panicking() || std::env::var_os("CHAOS_KEEP").is_some();
        if !keep {
            drop(disk::unmount_below(&self.dir));
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

/// The directory that Cargo builds into: the one around a profile's, which has `deps`. Its tag is there only if Cargo made it.
pub fn target_dir() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let profile = own.ancestors().find(|dir| dir.join("deps").is_dir());
    let target = profile.and_then(Path::parent);
    Ok(target
        .context("this program is not in Cargo's target")?
        .to_owned())
}
