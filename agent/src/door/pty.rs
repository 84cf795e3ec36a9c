//! A pseudo-terminal of the container's own devpts: inside, `tty` knows its name.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::Winsize;
use nix::sys::stat::Mode;

use crate::fault::AgentFault;

nix::ioctl_write_ptr_bad!(set_window_size, libc::TIOCSWINSZ, Winsize);

/// Both ends of a pseudo-terminal.
pub(super) struct Pty {
    pub(super) master: File,
    pub(super) slave: OwnedFd,
}

/// Opens a terminal in the container whose devpts this is.
pub(super) fn open(devpts: &impl AsFd) -> Result<Pty, AgentFault> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = openat(devpts, "ptmx", flags, Mode::empty()).map_err(std::io::Error::from)?;
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one integer, which outlives the call.
    let unlock = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) };
    if unlock < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: TIOCGPTPEER takes open flags and answers a new descriptor or -1.
    let peer = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags.bits()) };
    if peer < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(Pty {
        master: File::from(master),
        // SAFETY: nobody else owns the new descriptor.
        slave: unsafe { OwnedFd::from_raw_fd(peer) },
    })
}

/// Waits until there is something to read, or the end to hear of; answers whether there is. What stays in the background keeps
/// the terminal open, but not for longer than its `leader` lives, a process.
pub(super) fn has_more(master: &File, leader: BorrowedFd<'_>) -> bool {
    let [_, ended] = readable([master.as_fd(), leader], PollTimeout::NONE);
    // What it printed before it ended is there now.
    let [printed] = readable([master.as_fd()], PollTimeout::ZERO);
    printed || !ended
}

/// Which of them can be read from, or have ended.
fn readable<const N: usize>(files: [BorrowedFd<'_>; N], wait: PollTimeout) -> [bool; N] {
    let mut files = files.map(|file| PollFd::new(file, PollFlags::POLLIN));
    while poll(&mut files, wait) == Err(Errno::EINTR) {}
    files.map(|file| file.any().unwrap_or(true))
}

/// Tells the terminal its size; programs in it get SIGWINCH.
pub(super) fn resize(master: &File, cols: u16, rows: u16) -> Result<(), AgentFault> {
    let size = Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads one winsize, which outlives the call.
    unsafe { set_window_size(master.as_raw_fd(), &raw const size) }
        .map(|_| ())
        .map_err(|errno| std::io::Error::from(errno).into())
}
