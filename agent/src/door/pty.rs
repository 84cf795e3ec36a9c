//! A pseudo-terminal of the container's own devpts: inside, `tty` knows its name.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::fcntl::{OFlag, openat};
use nix::libc;
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
