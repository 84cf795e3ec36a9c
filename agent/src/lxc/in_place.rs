//! A start whose network is made in its place ([`Pair`]), and not moved there.
//!
//! liblxc makes an empty network, and reads a file of mounts in the container's first process, as one of the last things before
//! that becomes the image's own. The file is a pipe here: the process waits for whoever writes to it, which is a copy of
//! the helper. It makes the devices, puts an empty file in the pipe's place, since liblxc reads it a second time, and ends the
//! pipe without having said anything. So the network is there before the image's first process, as it is when liblxc moves
//! a device. While the first process goes on, the copy limits what the container may hold of the kernel's objects.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, mkfifo, pipe2};
use serde::{Deserialize, Serialize};

use super::alive;
use super::container::Container;
use super::{StartRequest, kernel_objects};
use crate::fault::AgentFault;
use crate::network::pair::Pair;
use crate::vnode_dir::remove_file;

/// Items of liblxc that the container's file does not have: they are for one start.
const NETWORK: &str = "lxc.net";
const EMPTY: [(&str, &str); 2] = [("lxc.net.0.type", "empty"), ("lxc.net.0.flags", "up")];
const MOUNTS: &str = "lxc.mount.fstab";

/// What is made in its place, and where the first process waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPlace {
    pub pair: Pair,
    /// The pipe: it is made for one start.
    pub pipe: PathBuf,
    /// Whose group may read it: the vnode's root.
    pub reader: u32,
}

impl InPlace {
    /// Starts the container with this as its network.
    pub(super) fn start(
        &self,
        container: &Container,
        request: &StartRequest,
    ) -> Result<(), AgentFault> {
        self.make_pipe()?;
        container.unset(NETWORK)?;
        for (key, value) in EMPTY {
            container.set(key, value)?;
        }
        container.set(MOUNTS, &self.pipe.to_string_lossy())?;
        let maker = Maker::begin(|| self.make(request))?;
        let started = container.start(&request.init);
        let made = maker.end(started.is_ok());
        remove_file(&self.pipe)?;
        // Why there is no network is worth more than that it did not start.
        made.and(started)
    }

    fn make_pipe(&self) -> Result<(), AgentFault> {
        remove_file(&self.pipe)?;
        let named = || AgentFault::file("make the pipe", &self.pipe);
        mkfifo(&self.pipe, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| named()(errno.into()))?;
        self.give(&self.pipe).map_err(named())
    }

    /// Whoever opens it from now on waits for nobody.
    fn replace_pipe(&self) -> Result<(), AgentFault> {
        let empty = self.pipe.with_extension("made");
        let named = || AgentFault::file("put in the place of the pipe", &empty);
        fs::write(&empty, "").map_err(named())?;
        self.give(&empty).map_err(named())?;
        fs::rename(&empty, &self.pipe).map_err(named())
    }

    /// Lets the vnode's root read it.
    fn give(&self, path: &Path) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(0o640))?;
        chown(path, None, Some(self.reader))
    }

    /// In the copy. A container whose network cannot be made does not go on.
    fn make(&self, request: &StartRequest) -> Result<(), Unmade> {
        // Waits until the first process reads.
        let opened = File::options().write(true).open(&self.pipe);
        let held = opened.map_err(AgentFault::file("open", &self.pipe))?;
        let init = request.cgroups.first_process(request.vnode)?;
        let made = namespace_of(init)
            .and_then(|within| self.pair.make(within))
            .and_then(|()| self.replace_pipe());
        let Err(fault) = made else {
            drop(held);
            return limit(init, request).map_err(|fault| Unmade {
                fault,
                init: Some(init),
                _held: None,
            });
        };
        Err(Unmade {
            fault,
            init: Some(init),
            _held: Some(held),
        })
    }
}

/// The last thing that this process does: it does not come back from the vnode's user namespace.
fn limit(init: Pid, request: &StartRequest) -> Result<(), AgentFault> {
    request.cgroups.keep_few(request.vnode)?;
    kernel_objects::limit_from_within(init.as_raw(), &request.kernel_objects)
}

/// Why the container is not to go on.
struct Unmade {
    fault: AgentFault,
    /// The first process, if there is one.
    init: Option<Pid>,
    /// What it waits at, if it does.
    _held: Option<File>,
}

impl Unmade {
    /// Says it before the first process ends: then nobody waits for a word any more.
    fn tell(self, says: OwnedFd) -> i32 {
        // Without a word the code tells that it failed.
        let _ = File::from(says).write_all(self.fault.full_text().as_bytes());
        if let Some(init) = self.init {
            // A monitor whose first process dies at this moment waits for it for ever.
            let monitor = alive::monitor_of(init.as_raw()).filter(|pid| *pid > 1);
            for process in monitor.map(Pid::from_raw).into_iter().chain([init]) {
                // One that ended meanwhile is what was wanted.
                let _ = kill(process, Signal::SIGKILL);
            }
        }
        1
    }
}

impl From<AgentFault> for Unmade {
    fn from(fault: AgentFault) -> Self {
        Self {
            fault,
            init: None,
            _held: None,
        }
    }
}

fn namespace_of(process: Pid) -> Result<File, AgentFault> {
    let path = format!("/proc/{process}/ns/net");
    File::open(&path).map_err(AgentFault::file("open", path))
}

/// A copy of the helper at work.
struct Maker {
    copy: Pid,
    /// Where it says what went wrong.
    said: OwnedFd,
}

impl Maker {
    /// Lets a copy of this process do it. It ends with this process.
    fn begin(work: impl FnOnce() -> Result<(), Unmade>) -> Result<Self, AgentFault> {
        let (said, says) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from)?;
        let helper = getpid();
        // SAFETY: the helper has one thread, so the child may call anything.
        match unsafe { fork() }.map_err(io::Error::from)? {
            ForkResult::Child => {
                drop(said);
                let worked = ends_with(helper)
                    .map_err(Unmade::from)
                    .and_then(|()| work());
                let code = worked.map_or_else(|unmade| unmade.tell(says), |()| 0);
                // SAFETY: ends the child without running the parent's destructors.
                unsafe { libc::_exit(code) }
            }
            ForkResult::Parent { child } => Ok(Self { copy: child, said }),
        }
    }

    /// Waits for its end; one whose container did not start may wait for a reader for ever.
    fn end(self, started: bool) -> Result<(), AgentFault> {
        if !started {
            // One that ended meanwhile is what was wanted.
            let _ = kill(self.copy, Signal::SIGKILL);
        }
        let status = waitpid(self.copy, None).map_err(io::Error::from)?;
        let mut text = String::new();
        File::from(self.said).read_to_string(&mut text)?;
        match (status, text.is_empty()) {
            (WaitStatus::Exited(_, 0), _) => Ok(()),
            // It was waiting for a reader.
            (WaitStatus::Signaled(..), true) if !started => Ok(()),
            (_, true) => Err(AgentFault::NotReady("its network was not made".to_owned())),
            (_, false) => Err(AgentFault::NotReady(text)),
        }
    }
}

fn ends_with(helper: Pid) -> Result<(), AgentFault> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)?;
    if getppid() == helper {
        return Ok(());
    }
    Err(AgentFault::NotReady("its helper has ended".to_owned()))
}
