//! The process of which helpers are copies (ADR 0049). To load this program and set it up takes longer than many an act: one
//! process of one thread does it once, and for each request makes a copy of itself, which is the helper.
//!
//! It reads no request, so that nothing of one is left for the next: a message is one letter ([`Kind`]) and the descriptors that
//! the copy gets ([`Streams`]). Each copy is a child of the agent, not of this process, as if the agent had started it.
//! It ends with the agent: its socket does then.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::ExitCode;

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::{Pid, getppid, setpgid};

use super::descriptors;
use super::helper::{HelperRequest, hear_all_signals, perform};
use super::library::liblxc;
use crate::fault::AgentFault;
use crate::open_files;

/// Second argument by which the program knows that it is to be this process.
pub(super) const ARGUMENT: &str = "copies";

/// Where its socket is.
const SOCKET: RawFd = 0;

/// What a helper is for, and with whom it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It works for the agent, and ends with it. Its answer is a file.
    Asked,
    /// Somebody's streams are its own, and it leads a group of processes. It has its answer told there.
    Streams,
}

impl Kind {
    fn letter(self) -> u8 {
        match self {
            Self::Asked => b'a',
            Self::Streams => b's',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        let all = [Self::Asked, Self::Streams];
        all.into_iter().find(|kind| kind.letter() == letter)
    }
}

/// What a helper gets.
pub(super) struct Streams {
    /// Its request as JSON, from the beginning of the file.
    pub(super) request: OwnedFd,
    /// Where it leaves why it did not do it.
    pub(super) answer: OwnedFd,
    pub(super) standard: [OwnedFd; 3],
}

/// The agent's side: has a copy made, and answers its process id.
pub(super) fn ask(socket: &OwnedFd, kind: Kind, streams: &Streams) -> io::Result<Pid> {
    let [stdin, stdout, stderr] = &streams.standard;
    let files = [&streams.request, &streams.answer, stdin, stdout, stderr];
    let files = files.map(AsRawFd::as_raw_fd);
    descriptors::send(socket.as_raw_fd(), kind.letter(), files)?;
    let mut told = [0; 4];
    let length = nix::unistd::read(socket, &mut told)?;
    if length != told.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match i32::from_ne_bytes(told) {
        pid @ 1.. => Ok(Pid::from_raw(pid)),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

/// What one message asks for.
struct Copy {
    kind: Kind,
    streams: Streams,
}

/// Is that process until the agent goes; in each copy it answers how that one's request ended.
pub(super) fn serve() -> ExitCode {
    let agent = getppid();
    // Loaded once for all copies. What is wrong with it, each of them says of itself.
    drop(liblxc());
    let ready = hear_all_signals().and_then(|()| open_files::lower());
    while ready.is_ok() {
        let Ok(Some(copy)) = next() else { break };
        match fork_beside() {
            Ok(None) => return copy.perform(agent),
            Ok(Some(pid)) => drop(tell(pid)),
            Err(error) => drop(tell(-error.raw_os_error().unwrap_or(libc::EAGAIN))),
        }
    }
    ExitCode::SUCCESS
}

/// None if the agent has gone.
fn next() -> io::Result<Option<Copy>> {
    let Some((letter, files)) = descriptors::receive(SOCKET)? else {
        return Ok(None);
    };
    let [request, answer, stdin, stdout, stderr] = files;
    let kind = Kind::of_letter(letter).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(Copy {
        kind,
        streams: Streams {
            request,
            answer,
            standard: [stdin, stdout, stderr],
        },
    }))
}

/// A copy of this process, beside it: its parent is this one's. Answers the copy's id, and in the copy none.
fn fork_beside() -> io::Result<Option<i32>> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: this process has one thread, so the copy may call anything; it goes on with a copy of this stack. What the C
    // library keeps of a thread's number is asked for by nothing that one thread does.
    let made = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(made) {
        Ok(0) => Ok(None),
        Ok(pid @ 1..) => Ok(Some(pid)),
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}

fn tell(word: i32) -> io::Result<()> {
    send(SOCKET, &word.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

impl Copy {
    /// In the copy: is the helper.
    fn perform(self, agent: Pid) -> ExitCode {
        let Self { kind, streams } = self;
        let mut answer = File::from(streams.answer);
        let done = stand_alone(kind, agent, &streams.standard)
            .and_then(|lives| {
                if lives {
                    read(streams.request).map(Some)
                } else {
                    Ok(None)
                }
            })
            .and_then(|asked| asked.map_or(Ok(0), perform));
        match done {
            Ok(code) => ExitCode::from(code),
            Err(fault) => {
                let text = fault.full_text();
                // Best effort: the agent still sees the exit code.
                let told = match kind {
                    Kind::Asked => answer.write_all(text.as_bytes()),
                    Kind::Streams => writeln!(io::stderr(), "docklet: {text}"),
                };
                ExitCode::from(if told.is_ok() { 125 } else { 126 })
            }
        }
    }
}

/// Takes the streams, and the place among processes that the kind has. Answers whether the agent that asked still lives.
fn stand_alone(kind: Kind, agent: Pid, standard: &[OwnedFd; 3]) -> Result<bool, AgentFault> {
    let [stdin, stdout, stderr] = standard;
    // With this its end of the socket is closed.
    nix::unistd::dup2_stdin(stdin).map_err(io::Error::from)?;
    nix::unistd::dup2_stdout(stdout).map_err(io::Error::from)?;
    nix::unistd::dup2_stderr(stderr).map_err(io::Error::from)?;
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(io::Error::from)?;
    if kind == Kind::Asked {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)?;
        return Ok(getppid() == agent);
    }
    Ok(true)
}

fn read(request: OwnedFd) -> Result<HelperRequest, AgentFault> {
    let mut file = File::from(request);
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}
