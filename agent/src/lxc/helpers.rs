//! The agent's side of its helpers: has them made, by a process of which they are copies or by executing the program anew,
//! gives them their request, and waits for their end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, setpgid};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::copies::{self, Kind, Streams};
use super::helper::{ARGUMENT, HelperRequest, PROGRAMS, STDIN};
use crate::fault::AgentFault;

/// How an agent comes by helpers.
#[derive(Clone, Debug)]
pub struct Helpers {
    program: PathBuf,
    copies: Option<Arc<Copies>>,
}

impl Helpers {
    /// Executes this program for each.
    #[must_use]
    pub fn executed(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            copies: None,
        }
    }

    /// Executes this program once, and has copies of that process made.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn copied(program: impl Into<PathBuf>) -> Result<Self, AgentFault> {
        let program = program.into();
        let copies = Copies::begin(program.clone())?;
        Ok(Self {
            program,
            copies: Some(Arc::new(copies)),
        })
    }

    /// The program that can be a helper.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A helper for one request, which leaves its answer in this file if it is executed.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn helper(&self, answer: PathBuf) -> Result<Helper, AgentFault> {
        match &self.copies {
            Some(copies) => Ok(Helper(Waiting::Copy(copies.clone()))),
            None => self.helper_with(answer, &[("PATH", Path::new(PROGRAMS))]),
        }
    }

    /// One that is executed with these variables and no others.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn helper_with(
        &self,
        answer: PathBuf,
        environment: &[(&str, &Path)],
    ) -> Result<Helper, AgentFault> {
        Executed::spawn(&self.program, answer, environment)
            .map(|executed| Helper(Waiting::Executed(executed)))
    }

    /// Lets a helper serve a request that has no use for standard streams.
    ///
    /// # Errors
    /// What the helper found wrong.
    pub fn ask(&self, request: &HelperRequest, answer: PathBuf) -> Result<(), AgentFault> {
        self.helper(answer)?.ask(request)
    }

    /// Lets a helper serve a request on these standard streams. It leads a group of processes.
    /// An executed one finds its request in `file`.
    ///
    /// # Errors
    /// The program cannot be run.
    pub(crate) fn run(
        &self,
        request: &HelperRequest,
        standard: [OwnedFd; 3],
        file: &Path,
    ) -> Result<Working, AgentFault> {
        let text = serde_json::to_vec(request)?;
        if let Some(copies) = &self.copies {
            let [_, _, stderr] = &standard;
            let streams = Streams {
                request: in_memory(&text)?,
                answer: stderr.try_clone()?,
                standard,
            };
            return copies.make(Kind::Streams, streams);
        }
        docklet_link::credentials::write_private(file, &text)?;
        let [stdin, stdout, stderr] = standard;
        let mut command = Command::new(&self.program);
        command
            .arg(ARGUMENT)
            .args([file, Path::new("/dev/null")])
            .env_clear()
            .env("PATH", PROGRAMS)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        let child = command.spawn().map_err(spawn_fault(&self.program))?;
        Working::of(i32::try_from(child.id()).map_err(io::Error::other)?)
    }
}

/// A helper that waits for its one request.
#[derive(Debug)]
pub struct Helper(Waiting);

#[derive(Debug)]
enum Waiting {
    Executed(Executed),
    Copy(Arc<Copies>),
}

impl Helper {
    /// Lets it serve a request that has no use for standard streams.
    ///
    /// # Errors
    /// What the helper found wrong.
    pub fn ask(self, request: &HelperRequest) -> Result<(), AgentFault> {
        // As one piece: serde_json would write each brace by itself, and the helper read it so.
        let text = serde_json::to_vec(request)?;
        match self.0 {
            Waiting::Executed(executed) => executed.ask(&text),
            Waiting::Copy(copies) => copies.ask(&text),
        }
    }
}

/// One that was executed: to start it takes longer than many an act, so it is there before its request is.
#[derive(Debug)]
struct Executed {
    program: PathBuf,
    answer: PathBuf,
    child: Child,
}

impl Executed {
    fn spawn(
        program: &Path,
        answer: PathBuf,
        environment: &[(&str, &Path)],
    ) -> Result<Self, AgentFault> {
        let child = Command::new(program)
            .args([ARGUMENT, STDIN])
            .arg(&answer)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(spawn_fault(program))?;
        Ok(Self {
            program: program.to_owned(),
            answer,
            child,
        })
    }

    fn ask(mut self, text: &[u8]) -> Result<(), AgentFault> {
        if let Some(mut stdin) = self.child.stdin.take() {
            stdin.write_all(text)?;
        }
        let status = self.child.wait().map_err(spawn_fault(&self.program))?;
        if status.success() {
            return Ok(());
        }
        let cause = fs::read_to_string(&self.answer);
        // Left behind it would be taken for the answer to a later request.
        drop(fs::remove_file(&self.answer));
        Err(failed(cause.ok(), status))
    }
}

impl Drop for Executed {
    /// One that was not asked anything ends without having done anything.
    fn drop(&mut self) {
        let unasked = self.child.stdin.is_some();
        if unasked && self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn failed(cause: Option<String>, status: ExitStatus) -> AgentFault {
    AgentFault::Lxc(cause.unwrap_or_else(|| format!("helper ended: {status}")))
}

fn spawn_fault(program: &Path) -> impl FnOnce(io::Error) -> AgentFault {
    let program = program.display().to_string();
    |source| AgentFault::Spawn { program, source }
}

/// A file that no directory has.
fn in_memory(text: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("docklet-helper", MemfdFlags::CLOEXEC)?);
    file.write_all(text)?;
    Ok(file.into())
}

/// What has copies made, by a thread of its own: helpers that work for the agent end with the thread that started the process
/// they are copies of, so that it must be one that stays.
#[derive(Debug)]
struct Copies {
    program: PathBuf,
    asks: mpsc::Sender<Ask>,
}

struct Ask {
    kind: Kind,
    streams: Streams,
    told: mpsc::SyncSender<io::Result<Pid>>,
}

impl Copies {
    fn begin(program: PathBuf) -> Result<Self, AgentFault> {
        let (asks, asked) = mpsc::channel();
        let original = program.clone();
        std::thread::Builder::new()
            .name("helpers".to_owned())
            .spawn(move || make_all(&original, &asked))?;
        Ok(Self { program, asks })
    }

    fn make(&self, kind: Kind, streams: Streams) -> Result<Working, AgentFault> {
        let (told, telling) = mpsc::sync_channel(1);
        let ask = Ask {
            kind,
            streams,
            told,
        };
        let gone = || io::Error::other("nothing makes helpers any more");
        let made = match self.asks.send(ask) {
            Ok(()) => telling.recv().unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(gone()),
        };
        let pid = made.map_err(spawn_fault(&self.program))?;
        if kind == Kind::Streams {
            // It does so too: whoever is first. It may have ended already.
            let _ = setpgid(pid, pid);
        }
        Working::of(pid.as_raw())
    }

    fn ask(&self, text: &[u8]) -> Result<(), AgentFault> {
        let null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        let mut answer = File::from(in_memory(&[])?);
        let working = self.make(
            Kind::Asked,
            Streams {
                request: in_memory(text)?,
                answer: answer.as_fd().try_clone_to_owned()?,
                standard: [
                    null.try_clone()?.into(),
                    null.try_clone()?.into(),
                    null.into(),
                ],
            },
        )?;
        let status = working.wait()?;
        if status.success() {
            return Ok(());
        }
        let mut cause = String::new();
        answer.seek(SeekFrom::Start(0))?;
        answer.read_to_string(&mut cause)?;
        Err(failed(
            Some(cause).filter(|cause| !cause.is_empty()),
            status,
        ))
    }
}

/// Until nobody asks any more. A process that ended is replaced.
fn make_all(program: &Path, asked: &mpsc::Receiver<Ask>) {
    let mut original = Original::spawn(program);
    for ask in asked {
        let make = |original: &io::Result<Original>| match original {
            Ok(original) => copies::ask(&original.socket, ask.kind, &ask.streams),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        let mut made = make(&original);
        if made.is_err() {
            original = Original::spawn(program);
            made = make(&original);
        }
        // Whoever asked may have given up.
        drop(ask.told.send(made));
    }
}

/// The process of which helpers are copies.
#[derive(Debug)]
struct Original {
    process: Child,
    socket: OwnedFd,
}

impl Original {
    fn spawn(program: &Path) -> io::Result<Self> {
        let (socket, its) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let process = Command::new(program)
            .args([ARGUMENT, copies::ARGUMENT])
            .env_clear()
            .env("PATH", PROGRAMS)
            .stdin(its)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { process, socket })
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        // Its copies go on.
        if self.process.kill().is_ok() {
            drop(self.process.wait());
        }
    }
}

/// A helper at work on a request, and a child of this process.
#[derive(Debug)]
pub(crate) struct Working {
    pid: Pid,
    descriptor: Arc<OwnedFd>,
    /// How it ended, once that was asked for: from then on its number may be another process's.
    ended: Mutex<Option<ExitStatus>>,
}

impl Working {
    fn of(pid: i32) -> Result<Self, AgentFault> {
        let odd = || io::Error::from(io::ErrorKind::InvalidData);
        let number = rustix::process::Pid::from_raw(pid).ok_or_else(odd)?;
        let descriptor = pidfd_open(number, PidfdFlags::empty()).map_err(io::Error::from)?;
        Ok(Self {
            pid: Pid::from_raw(pid),
            descriptor: Arc::new(descriptor),
            ended: Mutex::default(),
        })
    }

    /// Tells it and all of its group something, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_none() {
            // It may end at this very moment.
            let _ = killpg(self.pid, signal);
        }
    }

    /// Can be read from once it has ended.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> io::Result<ExitStatus> {
        look(&self.descriptor, WaitIdOptions::NOWAIT)?;
        self.reap()
    }

    /// The same without a thread for it.
    pub(crate) async fn ended(&self) -> io::Result<ExitStatus> {
        ending(self.descriptor.clone()).await?;
        self.reap()
    }

    fn reap(&self) -> io::Result<ExitStatus> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = *ended {
            return Ok(status);
        }
        let status = look(&self.descriptor, WaitIdOptions::empty())?;
        *ended = Some(status);
        Ok(status)
    }
}

impl Drop for Working {
    /// Whoever lost interest need not wait, and what has ended is no zombie.
    fn drop(&mut self) {
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.is_some() {
            return;
        }
        let descriptor = self.descriptor.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            std::thread::spawn(move || look(&descriptor, WaitIdOptions::empty()));
            return;
        };
        runtime.spawn(async move {
            ending(descriptor.clone()).await?;
            look(&descriptor, WaitIdOptions::empty())
        });
    }
}

/// Until the process of this descriptor has ended.
async fn ending(descriptor: Arc<OwnedFd>) -> io::Result<()> {
    // SAFETY: what is registered owns a share of the descriptor, which so stays open and the same until it is let go of.
    let told = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
    told.readable().await?.retain_ready();
    Ok(())
}

/// How a child ended, as soon as it has.
fn look(descriptor: &OwnedFd, options: WaitIdOptions) -> io::Result<ExitStatus> {
    let options = options | WaitIdOptions::EXITED;
    loop {
        match waitid(WaitId::PidFd(descriptor.as_fd()), options) {
            Ok(Some(status)) => return Ok(as_wait_tells(&status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn as_wait_tells(status: &WaitIdStatus) -> ExitStatus {
    let code = status.exit_status().map(|code| code << 8);
    ExitStatus::from_raw(code.or(status.terminating_signal()).unwrap_or_default())
}
