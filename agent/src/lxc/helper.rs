//! The helper: one request, one process, one thread.
//!
//! liblxc moves whoever calls `start` into a cgroup of its own making, and forks and changes namespaces in other
//! calls. So the agent has that done by a copy of a process that stands ready ([`copies`]), or runs `docklet __lxc-helper`, which
//! reads one request as JSON from standard input (from a file for attach, whose standard input is the user's) and leaves the
//! answer in a file: daemonised monitors keep the standard streams, and a pipe would never end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::FileAsk;
use docklet_control::id::VnodeId;
use docklet_control::model::vnode::MacAddress;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{
    SigEvent, SigHandler, SigSet, SigevNotify, SigmaskHow, Signal, signal, sigprocmask,
};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::container::Container;
use super::{
    CheckpointRequest, InPlace, RestoreRequest, copies, kernel_objects, mount, quota, session,
};
use crate::arp::{self, Asked};
use crate::cgroup::Cgroups;
use crate::fault::AgentFault;
use crate::files;
use crate::limits::{DEVICES, Word};
use crate::network::pair;
use crate::open_files;
use crate::vnode_dir::container_name;

/// First argument by which the program knows that it is to be the helper.
pub const ARGUMENT: &str = "__lxc-helper";

/// Stands for standard input where a request's file is named.
pub(super) const STDIN: &str = "-";

/// Where liblxc finds programs. Not the system's: it would find newuidmap there and ask it for ranges of ids that
/// `/etc/subuid` would have to grant, where root may simply write them.
pub(crate) const PROGRAMS: &str = "/usr/libexec/docklet";

/// What the helper can be asked for.
#[derive(Debug, Serialize, Deserialize)]
pub enum HelperRequest {
    Start(StartRequest),
    Stop(StopRequest),
    Attach(AttachRequest),
    Mount(MountRequest),
    Checkpoint(CheckpointRequest),
    Restore(RestoreRequest),
    Files(Box<FilesRequest>),
}

/// Starts a container in the background.
#[derive(Debug, Serialize, Deserialize)]
pub struct StartRequest {
    pub lxc_path: PathBuf,
    pub vnode: VnodeId,
    /// Configuration items in order.
    pub config: Vec<(String, String)>,
    /// The first process: a program in full, and its arguments.
    pub init: Vec<String>,
    pub cgroups: Cgroups,
    /// What its cgroup's files must say afterwards.
    pub limits: Vec<Word>,
    /// Files below `/proc/sys/user` and what is written to them for its user namespace.
    pub kernel_objects: Vec<(String, u32)>,
    /// When the lease ends that it needs, by [`crate::lease::boot_ms`]; the helper does not live longer.
    #[serde(default)]
    pub ends_ms: Option<u64>,
    /// Of its network device, if others are to learn at once that it is here.
    pub announces: Option<(MacAddress, Ipv4Addr)>,
    /// Its network, if it is made in its place; otherwise liblxc moves a device there, as the configuration says.
    pub in_place: Option<InPlace>,
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

/// Does an act on files in a container: what is brought is the helper's standard input, what came of it its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub struct FilesRequest {
    pub lxc_path: PathBuf,
    pub name: String,
    /// Where whoever names no path looks.
    pub home: FilePath,
    pub ask: FileAsk,
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
        [_, first, second] if first == ARGUMENT && second == copies::ARGUMENT => {
            Some(copies::serve())
        }
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
        .and_then(|()| read_request(request))
        // An agent that died while its helper waited wants nothing more.
        .and_then(|asked| asked.map_or(Ok(0), perform));
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
pub(super) fn hear_all_signals() -> Result<(), AgentFault> {
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

/// None if standard input ends before one begins.
fn read_request(path: &Path) -> Result<Option<HelperRequest>, AgentFault> {
    let mut text = String::new();
    if path == Path::new(STDIN) {
        if std::io::stdin().read_to_string(&mut text)? == 0 {
            return Ok(None);
        }
    } else {
        text = fs::read_to_string(path).map_err(AgentFault::file("read", path))?;
        fs::remove_file(path).map_err(AgentFault::file("delete", path))?;
    }
    Ok(Some(serde_json::from_str(&text)?))
}

pub(super) fn perform(request: HelperRequest) -> Result<u8, AgentFault> {
    match request {
        HelperRequest::Start(start) => start.perform().map(|()| 0),
        HelperRequest::Stop(stop) => stop.perform().map(|()| 0),
        HelperRequest::Attach(attach) => attach.perform(),
        HelperRequest::Mount(mount) => {
            mount::mount_idmapped(&mount.source, &mount.target, mount.uid_base).map(|()| 0)
        }
        HelperRequest::Checkpoint(checkpoint) => checkpoint.perform().map(|()| 0),
        HelperRequest::Restore(restore) => restore.perform().map(|()| 0),
        HelperRequest::Files(files) => files.perform(),
    }
}

impl StartRequest {
    fn perform(&self) -> Result<(), AgentFault> {
        self.bring_up(|container| match &self.in_place {
            Some(network) => network.start(container, self),
            None => container.start(&self.init),
        })
    }

    /// Brings the container up as it is to be, by whatever makes its processes.
    pub(super) fn bring_up(
        &self,
        begin: impl FnOnce(&Container) -> Result<(), AgentFault>,
    ) -> Result<(), AgentFault> {
        silence()?;
        let _timer = self.ends_ms.map(die_at).transpose()?;
        let container = Container::open(&self.lxc_path, &container_name(self.vnode))?;
        container.clear();
        for (key, value) in &self.config {
            container.set(key, value)?;
        }
        container.save()?;
        quota::put_off(&container, &self.config)?;
        begin(&container)?;
        let settled = self.settle(&container);
        if settled.is_err() {
            container.stop();
        }
        settled?;
        self.announces
            .map_or(Ok(()), |who| announce(&container, who))
    }

    /// Sets the limits of a container that liblxc brought up without. The list of devices is told one by one.
    pub(super) fn limit(&self, container: &Container) -> Result<(), AgentFault> {
        for (key, value) in &self.config {
            if let Some((_, file)) = key.split_once(".devices.") {
                container.set_cgroup_item(&format!("devices.{file}"), value)?;
            }
        }
        let mut words = self.limits.iter().filter(|word| word.file != DEVICES);
        words.try_for_each(|word| container.set_cgroup_item(&word.file, &word.value))
    }

    /// What can be set only once the first process is there.
    fn settle(&self, container: &Container) -> Result<(), AgentFault> {
        let ended = || AgentFault::NotReady("its first process ended at once".to_owned());
        let late = quota::late(&self.config);
        let held = self.cgroups.complete(self.vnode, &late, &self.limits);
        if held.is_ok() && self.in_place.is_some() {
            // Whoever made its network has done the rest.
            return Ok(());
        }
        let init = container.init_pid().ok_or_else(ended)?;
        held?;
        self.cgroups.keep_few(self.vnode)?;
        kernel_objects::limit(init, &self.kernel_objects)
    }
}

/// The last thing that this process does: it does not come back from the vnode's network.
fn announce(
    container: &Container,
    (mac, address): (MacAddress, Ipv4Addr),
) -> Result<(), AgentFault> {
    let ended = || AgentFault::NotReady("its first process ended at once".to_owned());
    let init = container.init_pid().ok_or_else(ended)?;
    let namespace = format!("/proc/{init}/ns/net");
    let open = File::open(&namespace).map_err(AgentFault::file("open", &namespace))?;
    setns(open, CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)?;
    arp::announce(pair::INSIDE, Asked { mac, address }).map_err(AgentFault::file(
        "announce the vnode's address in",
        namespace,
    ))
}

/// Lets the kernel end this process at that time, also one that was stopped before and goes on only then. What it forks
/// has no such timer.
fn die_at(ends_ms: u64) -> Result<Timer, AgentFault> {
    let alarm = SigEvent::new(SigevNotify::SigevSignal {
        signal: Signal::SIGALRM,
        si_value: 0,
    });
    let mut timer = Timer::new(ClockId::CLOCK_BOOTTIME, alarm).map_err(std::io::Error::from)?;
    let at = Expiration::OneShot(TimeSpec::from_duration(Duration::from_millis(
        ends_ms.max(1),
    )));
    timer
        .set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)
        .map_err(std::io::Error::from)?;
    Ok(timer)
}

/// The monitor inherits the standard streams: none of them may be somebody's pipe.
pub(super) fn silence() -> Result<(), AgentFault> {
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
        let container = Container::open(&self.lxc_path, &self.name)?;
        session::prepare()?;
        let leader = container.attach(
            &self.argv,
            &self.environment,
            &self.directory,
            self.terminal,
        )?;
        session::follow(Pid::from_raw(leader))?;
        code_of(leader)
    }
}

impl FilesRequest {
    fn perform(&self) -> Result<u8, AgentFault> {
        let container = Container::open(&self.lxc_path, &self.name)?;
        // Whoever listens sees that it broke off.
        let work = || files::serve_within(&self.home, self.ask.clone()).map_or(1, |()| 0);
        code_of(container.attach_work(work)?)
    }
}

/// How an attached process ended, as a shell says it.
fn code_of(pid: i32) -> Result<u8, AgentFault> {
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
