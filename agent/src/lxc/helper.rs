//! The re-executed helper: one request, one process, one thread.
//!
//! liblxc moves whoever calls `start` into a cgroup of its own making, and forks and changes namespaces in other
//! calls. So the agent runs `docklet __lxc-helper`, which reads one request as JSON from standard input (from a
//! file for attach, whose standard input is the user's) and leaves the answer in a file: daemonised monitors keep
//! the standard streams, and a pipe would never end.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::container::Container;
use super::{kernel_objects, mount, quota};
use crate::fault::AgentFault;
use crate::open_files;

/// First argument by which the program knows that it is to be the helper.
pub const ARGUMENT: &str = "__lxc-helper";

/// Stands for standard input where a request's file is named.
const STDIN: &str = "-";

/// Where liblxc finds programs. Not the system's: it would find newuidmap there and ask it for ranges of ids that
/// `/etc/subuid` would have to grant, where root may simply write them.
const PROGRAMS: &str = "/usr/libexec/docklet";

/// What the helper can be asked for.
#[derive(Debug, Serialize, Deserialize)]
pub enum HelperRequest {
    Start(StartRequest),
    Stop(StopRequest),
    Attach(AttachRequest),
    Mount(MountRequest),
}

/// Starts a container in the background.
#[derive(Debug, Serialize, Deserialize)]
pub struct StartRequest {
    pub lxc_path: PathBuf,
    pub name: String,
    /// Configuration items in order.
    pub config: Vec<(String, String)>,
    /// The first process: a program in full, and its arguments.
    pub init: Vec<String>,
    /// Cgroup files and the value that must be read back from each.
    pub limits: Vec<(String, String)>,
    /// Files below `/proc/sys/user` and what is written to them for its user namespace.
    pub kernel_objects: Vec<(String, u32)>,
}

/// Shuts a container down, and kills it if it takes too long.
#[derive(Debug, Serialize, Deserialize)]
pub struct StopRequest {
    pub lxc_path: PathBuf,
    pub name: String,
    pub timeout_ms: u32,
}

/// Runs a program in a container, on the helper's own standard streams, and exits as it does.
#[derive(Debug, Serialize, Deserialize)]
pub struct AttachRequest {
    pub lxc_path: PathBuf,
    pub name: String,
    pub argv: Vec<String>,
    pub environment: Vec<String>,
    pub directory: String,
    /// Whether standard input is a terminal that shall control the program.
    pub terminal: bool,
}

/// Mounts an image with shifted ids.
#[derive(Debug, Serialize, Deserialize)]
pub struct MountRequest {
    pub source: PathBuf,
    pub target: PathBuf,
    pub uid_base: u32,
}

/// Becomes the helper if the arguments say so. Must be the first thing that `main` does: no thread may exist.
#[must_use]
pub fn dispatch(arguments: &[String]) -> Option<ExitCode> {
    match arguments {
        [_, first, request, answer] if first == ARGUMENT => {
            Some(serve(Path::new(request), Path::new(answer)))
        }
        _ => None,
    }
}

fn serve(request: &Path, answer: &Path) -> ExitCode {
    let done = hear_all_signals()
        .and_then(|()| open_files::lower())
        .and_then(|()| die_with_agent(request))
        .and_then(|()| perform(read_request(request)?));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            // The answer is best effort: without it the agent still sees the exit code.
            let told = if request == Path::new(STDIN) {
                fs::write(answer, fault.full_text())
            } else {
                writeln!(std::io::stderr(), "docklet: {}", fault.full_text())
            };
            ExitCode::from(if told.is_ok() { 125 } else { 126 })
        }
    }
}

/// What a process ignores, everything that it starts ignores too: Rust's own runtime ignores SIGPIPE, and `nohup`
/// SIGHUP. In containers each signal means what it always means.
fn hear_all_signals() -> Result<(), AgentFault> {
    let fixed = [Signal::SIGKILL, Signal::SIGSTOP];
    for heard in Signal::iterator().filter(|signal| !fixed.contains(signal)) {
        // SAFETY: the default handler is no code of this program.
        unsafe { signal(heard, SigHandler::SigDfl) }.map_err(std::io::Error::from)?;
    }
    let all = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    Ok(all.map_err(std::io::Error::from)?)
}

/// An agent that comes after one which died must not meet a helper of that one still at work. What runs on a person's
/// streams ends with these; monitors of containers are children of the helper, and not told.
fn die_with_agent(request: &Path) -> Result<(), AgentFault> {
    if request != Path::new(STDIN) {
        return Ok(());
    }
    let told = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    Ok(told.map_err(std::io::Error::from)?)
}

fn read_request(path: &Path) -> Result<HelperRequest, AgentFault> {
    let mut text = String::new();
    if path == Path::new(STDIN) {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = fs::read_to_string(path).map_err(AgentFault::file("read", path))?;
        fs::remove_file(path).map_err(AgentFault::file("delete", path))?;
    }
    Ok(serde_json::from_str(&text)?)
}

fn perform(request: HelperRequest) -> Result<u8, AgentFault> {
    match request {
        HelperRequest::Start(start) => start.perform().map(|()| 0),
        HelperRequest::Stop(stop) => stop.perform().map(|()| 0),
        HelperRequest::Attach(attach) => attach.perform(),
        HelperRequest::Mount(mount) => {
            mount::mount_idmapped(&mount.source, &mount.target, mount.uid_base).map(|()| 0)
        }
    }
}

impl StartRequest {
    fn perform(&self) -> Result<(), AgentFault> {
        silence()?;
        let container = Container::open(&self.lxc_path, &self.name)?;
        container.clear();
        for (key, value) in &self.config {
            container.set(key, value)?;
        }
        container.save()?;
        quota::put_off(&container, &self.config)?;
        container.start(&self.init)?;
        let checked = self.check(&container);
        if checked.is_err() {
            container.stop();
        }
        checked
    }

    /// What liblxc accepts it may still ignore: a limit of the other cgroup version, say.
    fn check(&self, container: &Container) -> Result<(), AgentFault> {
        let ended = || AgentFault::NotReady("its first process ended at once".to_owned());
        let held = quota::set(container, &self.config);
        if held.is_err() && container.init_pid().is_none() {
            return Err(ended());
        }
        held?;
        for (file, wanted) in &self.limits {
            let found = container.cgroup_item(file);
            if found.is_none() && container.init_pid().is_none() {
                return Err(ended());
            }
            let found = found.unwrap_or_else(|| "not there".to_owned());
            if found != *wanted {
                return Err(AgentFault::Limit {
                    key: file.clone(),
                    wanted: wanted.clone(),
                    found,
                });
            }
        }
        let init = container.init_pid().ok_or_else(ended)?;
        kernel_objects::limit(init, &self.kernel_objects).map_err(AgentFault::file(
            "limit kernel objects of",
            format!("/proc/{init}"),
        ))
    }
}

/// The monitor inherits the standard streams: none of them may be somebody's pipe.
fn silence() -> Result<(), AgentFault> {
    let null = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    nix::unistd::dup2_stdin(&null).map_err(std::io::Error::from)?;
    nix::unistd::dup2_stdout(&null).map_err(std::io::Error::from)?;
    nix::unistd::dup2_stderr(&null).map_err(std::io::Error::from)?;
    Ok(())
}

impl StopRequest {
    fn perform(&self) -> Result<(), AgentFault> {
        let container = Container::open(&self.lxc_path, &self.name)?;
        if !container.is_running() {
            return Ok(());
        }
        let timeout_s = i32::try_from(self.timeout_ms.div_ceil(1_000)).unwrap_or(i32::MAX);
        if timeout_s > 0 && container.shutdown(timeout_s) {
            return Ok(());
        }
        if container.stop() || !container.is_running() {
            return Ok(());
        }
        Err(AgentFault::Lxc("it does not stop".to_owned()))
    }
}

impl AttachRequest {
    fn perform(&self) -> Result<u8, AgentFault> {
        if self.terminal {
            take_terminal()?;
        }
        let container = Container::open(&self.lxc_path, &self.name)?;
        let pid = container.attach(&self.argv, &self.environment, &self.directory)?;
        let status = waitpid(Pid::from_raw(pid), None).map_err(std::io::Error::from)?;
        Ok(match status {
            WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(255),
            WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).unwrap_or(255),
            WaitStatus::Stopped(..)
            | WaitStatus::PtraceEvent(..)
            | WaitStatus::PtraceSyscall(_)
            | WaitStatus::Continued(_)
            | WaitStatus::StillAlive => 255,
        })
    }
}

/// Makes standard input the controlling terminal of a new session, which the attached program inherits.
fn take_terminal() -> Result<(), AgentFault> {
    nix::unistd::setsid().map_err(std::io::Error::from)?;
    // SAFETY: TIOCSCTTY takes an integer, and descriptor 0 is open.
    let taken = unsafe { nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) };
    if taken < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(())
}

/// The agent's side: runs the helper for a request that has no use for standard streams.
///
/// # Errors
/// What the helper found wrong.
pub fn ask(helper: &Path, request: &HelperRequest, answer: &Path) -> Result<(), AgentFault> {
    let spawn = |source| AgentFault::Spawn {
        program: helper.display().to_string(),
        source,
    };
    let mut child = Command::new(helper)
        .args([ARGUMENT, STDIN])
        .arg(answer)
        .env_clear()
        .env("PATH", PROGRAMS)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(spawn)?;
    if let Some(stdin) = child.stdin.take() {
        serde_json::to_writer(stdin, request)?;
    }
    let status = child.wait().map_err(spawn)?;
    if status.success() {
        return Ok(());
    }
    let cause = fs::read_to_string(answer).unwrap_or_else(|_| format!("helper ended: {status}"));
    // Left behind it would be taken for the answer to a later request.
    drop(fs::remove_file(answer));
    Err(AgentFault::Lxc(cause))
}
