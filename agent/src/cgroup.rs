//! Cgroups of vnodes: what runs in them, and their end. Both versions, and machines that have some of each.

pub mod favour;
mod live;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use docklet_control::id::VnodeId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::fault::AgentFault;
use crate::vnode_dir::{container_name, vnode_of};

/// Killed processes leave their cgroup a moment later.
const DEADLINE: Duration = Duration::from_secs(5);

/// Cgroups that a vnode may make within its own, on version 2.
const DESCENDANTS_MAX: &str = "512";

/// The tree of cgroups of this machine, or one that a test made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroups {
    root: PathBuf,
    prefix: String,
}

impl Cgroups {
    /// Those of an agent, whose vnodes' cgroups are below `prefix`.
    #[must_use]
    pub fn of_machine(prefix: &str) -> Self {
        Self::at(Path::new("/sys/fs/cgroup"), prefix)
    }

    /// A tree somewhere else.
    #[must_use]
    pub fn at(root: &Path, prefix: &str) -> Self {
        Self {
            root: root.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// Whether limits are set by version 2.
    #[must_use]
    pub fn unified(&self) -> bool {
        self.root.join("cgroup.controllers").exists()
    }

    /// Whether the kernel counts swap beside memory. Version 1 does so only if it was built for it.
    #[must_use]
    pub fn counts_swap(&self) -> bool {
        self.unified()
            || self
                .root
                .join("memory/memory.memsw.limit_in_bytes")
                .exists()
    }

    /// A vnode's cgroup, below the root of each hierarchy.
    #[must_use]
    pub fn of_vnode(&self, id: VnodeId) -> String {
        format!("{}/{}", self.prefix, container_name(id))
    }

    /// Where liblxc keeps what runs in a vnode, below the root of each hierarchy.
    #[must_use]
    pub(crate) fn of_payload(&self, id: VnodeId) -> String {
        format!("/{}/lxc.payload.{}", self.of_vnode(id), container_name(id))
    }

    /// Roots of all hierarchies: one on version 2, several on version 1.
    fn hierarchies(&self) -> Result<Vec<PathBuf>, AgentFault> {
        if self.unified() {
            return Ok(vec![self.root.clone()]);
        }
        directories(&self.root)
    }

    /// Vnodes that have a cgroup.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn vnodes(&self) -> Result<Vec<VnodeId>, AgentFault> {
        let mut ids = Vec::new();
        for hierarchy in self.hierarchies()? {
            let dir = hierarchy.join(&self.prefix);
            if !dir.exists() {
                continue;
            }
            let names = directories(&dir)?.into_iter();
            ids.extend(names.filter_map(|path| vnode_of(&path.file_name()?.to_string_lossy())));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Whether any process is in a vnode's cgroups: also one of a container whose monitor died, which looks stopped to
    /// liblxc.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn has_processes(&self, id: VnodeId) -> Result<bool, AgentFault> {
        for dir in self.dirs(id)? {
            if !processes(&dir)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The one process of a container that is about to begin.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn first_process(&self, id: VnodeId) -> Result<Pid, AgentFault> {
        let below = self.of_payload(id);
        let below = below.trim_start_matches('/');
        let roots = self.hierarchies()?.into_iter();
        let found = roots.flat_map(|root| own_processes(&root.join(below)));
        // One of another namespace of processes has no number here.
        let mut found = found.filter(|pid| pid.as_raw() > 0);
        let none = || AgentFault::NotReady("its first process ended at once".to_owned());
        found.next().ok_or_else(none)
    }

    /// Whether a vnode has a cgroup.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn has(&self, id: VnodeId) -> Result<bool, AgentFault> {
        Ok(!self.dirs(id)?.is_empty())
    }

    fn dirs(&self, id: VnodeId) -> Result<Vec<PathBuf>, AgentFault> {
        let below = self.of_vnode(id);
        let dirs = self
            .hierarchies()?
            .into_iter()
            .map(|root| root.join(&below));
        Ok(dirs.filter(|dir| dir.exists()).collect())
    }

    /// Takes from a vnode's root what would let it make cgroups without end: the kernel has room for 65,535 with memory
    /// on the whole machine. On version 1 liblxc has given it a directory of each controller; it keeps those without
    /// one, which systemd needs. On version 2 their number is limited.
    ///
    /// # Errors
    /// A file cannot be changed.
    pub fn keep_few(&self, id: VnodeId) -> Result<(), AgentFault> {
        for dir in self.dirs(id)? {
            let most = dir.join("cgroup.max.descendants");
            if most.exists() {
                fs::write(&most, DESCENDANTS_MAX).map_err(AgentFault::file("write", most))?;
            } else if !dir.starts_with(self.root.join("systemd")) {
                take_back(&dir)?;
            }
        }
        Ok(())
    }

    /// Kills all that is in a vnode's cgroups, without waiting for its end; answers whether there was anything.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub fn kill(&self, id: VnodeId) -> Result<bool, AgentFault> {
        let mut any = false;
        for dir in self.dirs(id)? {
            let pids = processes(&dir)?;
            if !pids.is_empty() {
                any = true;
                forbid_forks(&dir);
            }
            for pid in pids {
                // One that ended meanwhile is what was wanted.
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        Ok(any)
    }

    /// Kills all that is in a vnode's cgroups, and removes them.
    ///
    /// # Errors
    /// Something does not die.
    pub fn clear(&self, id: VnodeId) -> Result<(), AgentFault> {
        let dirs = self.dirs(id)?;
        // Whatever forks faster than it is killed must not.
        dirs.iter().for_each(|dir| forbid_forks(dir));
        for dir in &dirs {
            remove(dir)?;
        }
        Ok(())
    }
}

/// Lets root of the machine own a cgroup and those below it.
fn take_back(dir: &Path) -> Result<(), AgentFault> {
    for below in directories(dir)? {
        take_back(&below)?;
    }
    for file in ["", "cgroup.procs", "tasks"] {
        let path = dir.join(file);
        match std::os::unix::fs::chown(&path, Some(0), Some(0)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(AgentFault::file("take back", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Directories in one, not what only links to one: on version 1 two controllers may have one hierarchy under several
/// names. None if it is gone: a container that ends takes its cgroups with it.
fn directories(dir: &Path) -> Result<Vec<PathBuf>, AgentFault> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(AgentFault::file("list", dir))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(AgentFault::file("list", dir))?;
        // Told with the name: no file is looked at for it.
        let kind = entry.file_type().map_err(AgentFault::file("list", dir))?;
        if kind.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Processes in a cgroup and below.
fn processes(dir: &Path) -> Result<Vec<Pid>, AgentFault> {
    let mut found = own_processes(dir);
    for below in directories(dir)? {
        found.extend(processes(&below)?);
    }
    Ok(found)
}

fn own_processes(dir: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let pids = text.lines().filter_map(|line| line.parse().ok());
    pids.map(Pid::from_raw).collect()
}

/// As far as this kernel can. Version 2 kills all at once, and version 1 forbids what would be new.
fn forbid_forks(dir: &Path) {
    for (file, value) in [("cgroup.kill", "1"), ("pids.max", "0")] {
        let path = dir.join(file);
        if path.exists() {
            // What this does not reach is killed one by one.
            let _ = fs::write(path, value);
        }
    }
}

/// Kills all in a cgroup and below, and removes it, the deepest first.
fn remove(dir: &Path) -> Result<(), AgentFault> {
    if !dir.exists() {
        return Ok(());
    }
    for below in directories(dir)? {
        remove(&below)?;
    }
    let begun = Instant::now();
    loop {
        let frozen = dir.join("freezer.state");
        if frozen.exists() {
            // Version 1 ends nothing that stands still.
            let _ = fs::write(frozen, "THAWED");
        }
        for pid in own_processes(dir) {
            // A process that ended meanwhile is what was wanted.
            let _ = kill(pid, Signal::SIGKILL);
        }
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if begun.elapsed() > DEADLINE => {
                return Err(AgentFault::file("end what runs in and remove", dir)(error));
            }
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(AgentFault::file("remove", dir)(error)),
        }
    }
}
