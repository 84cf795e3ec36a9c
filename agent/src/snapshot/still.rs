//! A vnode that stands still: its processes are frozen, and so is the file system on its disk, with everything written
//! and its journal empty.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use docklet_control::id::VnodeId;
use nix::libc;

use crate::fault::AgentFault;
use crate::lxc::Container;
use crate::rootfs::is_mounted;
use crate::vnode_dir::{StateDir, container_name};

/// From linux/fs.h: `_IOWR('X', 119, int)` and the next.
const FIFREEZE: libc::Ioctl = 0xc004_5877;
const FITHAW: libc::Ioctl = 0xc004_5878;

/// For as long as this lives.
pub(super) struct Still {
    /// In the order in which they go on.
    disk: Option<FrozenDisk>,
    container: Option<Frozen>,
    since: Instant,
}

impl Still {
    /// The processes first: none of them is then in the middle of writing. What they wrote before is on the disk by then,
    /// so that little is left to wait for.
    pub(super) fn begin(state: &StateDir, id: VnodeId) -> Result<Self, AgentFault> {
        let dir = state.disk(id);
        let mounted = is_mounted(&dir)?;
        if mounted {
            sync(&dir)?;
        }
        let since = Instant::now();
        let container = Frozen::freeze(state, id)?;
        let disk = mounted.then(|| FrozenDisk::freeze(&dir)).transpose()?;
        Ok(Self {
            disk,
            container,
            since,
        })
    }

    /// Lets it go on; answers for how many microseconds it stood still, none if it did not run.
    pub(super) fn end(self) -> Result<u64, AgentFault> {
        let ran = self.container.is_some();
        let disk = self.disk.map_or(Ok(()), FrozenDisk::thaw);
        let container = self.container.map_or(Ok(()), Frozen::thaw);
        let still = if ran {
            self.since.elapsed()
        } else {
            Duration::ZERO
        };
        disk.and(container)?;
        Ok(u64::try_from(still.as_micros()).unwrap_or(u64::MAX))
    }
}

fn sync(dir: &Path) -> Result<(), AgentFault> {
    let open = File::open(dir).map_err(AgentFault::file("open", dir))?;
    nix::unistd::syncfs(open).map_err(|errno| AgentFault::file("sync", dir)(errno.into()))
}

/// Processes that stand still.
pub(crate) struct Frozen(Option<Container>);

impl Frozen {
    /// None if it does not run.
    pub(crate) fn freeze(state: &StateDir, id: VnodeId) -> Result<Option<Self>, AgentFault> {
        let container = Container::open(&state.lxc_path(), &container_name(id))?;
        if !container.is_running() {
            return Ok(None);
        }
        container.freeze()?;
        Ok(Some(Self(Some(container))))
    }

    fn thaw(mut self) -> Result<(), AgentFault> {
        self.0.take().map_or(Ok(()), |container| container.thaw())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(Err(fault)) = self.0.take().map(|container| container.thaw()) {
            tracing::error!(fault = fault.full_text(), "a vnode stays frozen");
        }
    }
}

/// A file system to which nothing is written.
struct FrozenDisk {
    /// None once it is thawed.
    open: Option<File>,
    dir: PathBuf,
}

impl FrozenDisk {
    fn freeze(dir: &Path) -> Result<Self, AgentFault> {
        let open = File::open(dir).map_err(AgentFault::file("open", dir))?;
        match ask(&open, FIFREEZE) {
            // Somebody else's, or that of a process that did not live to end it.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                ask(&open, FITHAW).and_then(|()| ask(&open, FIFREEZE))
            }
            asked => asked,
        }
        .map_err(AgentFault::file("freeze the disk", dir))?;
        Ok(Self {
            open: Some(open),
            dir: dir.to_owned(),
        })
    }

    fn thaw(mut self) -> Result<(), AgentFault> {
        let asked = self.open.take().map_or(Ok(()), |open| ask(&open, FITHAW));
        asked.map_err(AgentFault::file("thaw the disk", &self.dir))
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.open.take().map(|open| ask(&open, FITHAW)) {
            tracing::error!(%error, "a vnode's disk stays frozen");
        }
    }
}

fn ask(open: &File, request: libc::Ioctl) -> io::Result<()> {
    // SAFETY: the descriptor is open, and neither call looks at its argument.
    let done = unsafe { libc::ioctl(open.as_raw_fd(), request, 0) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets a disk be written to again, if it is mounted and is not.
pub(super) fn thaw_if_mounted(dir: &Path) -> Result<(), AgentFault> {
    if !is_mounted(dir)? {
        return Ok(());
    }
    let open = File::open(dir).map_err(AgentFault::file("open", dir))?;
    match ask(&open, FITHAW) {
        // It is not frozen.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        asked => asked.map_err(AgentFault::file("thaw the disk", dir)),
    }
}
