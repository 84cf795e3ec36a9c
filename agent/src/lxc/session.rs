//! The session that a program leads which somebody runs in a vnode. It is the vnode's own: what belongs to a session of the
//! worker could not go on at another one.
//!
//! The helper is outside, and what tells it that nobody is there any more it passes on: to all that its program has in front.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::libc::{self, c_int};
use nix::sys::signal::{
    SigHandler, SigSet, SigmaskHow, Signal, killpg, raise, signal, sigprocmask,
};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, setsid};

/// Who leads it; nobody is 0.
static LEADER: AtomicI32 = AtomicI32::new(0);

/// In the helper, before it has a program begun: a hang-up waits until it is known for whom it is.
pub(super) fn prepare() -> io::Result<()> {
    // SAFETY: it does nothing but what may be done in a handler.
    unsafe { signal(Signal::SIGHUP, SigHandler::Handler(pass_on)) }?;
    Ok(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&hang_up()), None)?)
}

/// In the helper: waits until the program has ended, which is not reaped yet.
pub(super) fn follow(leader: Pid) -> io::Result<()> {
    LEADER.store(leader.as_raw(), Ordering::SeqCst);
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&hang_up()), None)?;
    waitid(Id::Pid(leader), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    // From when it is reaped its number may be another's.
    LEADER.store(0, Ordering::SeqCst);
    Ok(())
}

/// In the program's process, within the vnode: makes the session, and standard input its terminal if it shall be one. A hang-up
/// that came before is heard now.
pub(super) fn lead(terminal: bool) -> io::Result<()> {
    setsid()?;
    if terminal {
        // SAFETY: TIOCSCTTY takes an integer, and descriptor 0 is open.
        let taken = unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
        if taken < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: the default handler is no code of this program.
    unsafe { signal(Signal::SIGHUP, SigHandler::SigDfl) }?;
    Ok(sigprocmask(
        SigmaskHow::SIG_UNBLOCK,
        Some(&hang_up()),
        None,
    )?)
}

fn hang_up() -> SigSet {
    SigSet::from(Signal::SIGHUP)
}

/// Tells the leader and who is in its group, and ends as whoever hears this signal does.
extern "C" fn pass_on(_: c_int) {
    let leader = LEADER.load(Ordering::SeqCst);
    if leader > 0 {
        // Who has ended need not hear it.
        let _ = killpg(Pid::from_raw(leader), Signal::SIGHUP);
    }
    // SAFETY: the default handler is no code of this program.
    let default = unsafe { signal(Signal::SIGHUP, SigHandler::SigDfl) };
    // It is heard once this handler is left.
    let _ = default.and_then(|_| raise(Signal::SIGHUP));
}
