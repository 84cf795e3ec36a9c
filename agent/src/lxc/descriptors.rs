//! One letter and some descriptors, from one process to another over a socket that keeps messages apart.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::{mem, ptr};

use nix::libc;

/// Descriptors of a message.
pub(super) const FILES: usize = 5;

/// Room for them and their head, aligned as the kernel has it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// A message of one letter, with its control part, for the kernel to read or to fill.
fn with_message<T>(
    letter: &mut u8,
    control: &mut Control,
    call: impl FnOnce(&mut libc::msghdr) -> T,
) -> T {
    let mut part = libc::iovec {
        iov_base: ptr::from_mut(letter).cast::<c_void>(),
        iov_len: 1,
    };
    // SAFETY: all zeroes is a valid value of this plain C structure.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast::<c_void>();
    message.msg_controllen = control.0.len();
    call(&mut message)
}

/// Sends them.
pub(super) fn send(socket: RawFd, letter: u8, files: [RawFd; FILES]) -> io::Result<()> {
    let (mut letter, mut control) = (letter, Control([0; 64]));
    let bytes = libc::c_uint::try_from(size_of_val(&files)).unwrap_or_default();
    let sent = with_message(&mut letter, &mut control, |message| {
        // SAFETY: these only compute lengths and places within the control part, which has room for five descriptors
        // and a head; what is written there is plain data.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(bytes) as usize;
            let head = libc::CMSG_FIRSTHDR(message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(bytes) as usize;
            let place = libc::CMSG_DATA(head).cast::<[RawFd; FILES]>();
            place.write_unaligned(files);
        }
        // SAFETY: the message and all that it points to outlive the call.
        unsafe { libc::sendmsg(socket, message, libc::MSG_NOSIGNAL) }
    });
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What came next; none if the other end is closed. Descriptors are closed when a program is executed.
pub(super) fn receive(socket: RawFd) -> io::Result<Option<(u8, [OwnedFd; FILES])>> {
    let (mut letter, mut control) = (0, Control([0; 64]));
    let (length, files) = loop {
        let got = with_message(&mut letter, &mut control, |message| {
            // SAFETY: the message and all that it points to outlive the call.
            let length = unsafe { libc::recvmsg(socket, message, libc::MSG_CMSG_CLOEXEC) };
            (
                length,
                if length > 0 {
                    taken(message)
                } else {
                    Vec::new()
                },
            )
        });
        let interrupted = io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        if got.0 >= 0 || !interrupted {
            break got;
        }
    };
    match length {
        0 => Ok(None),
        1.. => {
            let odd = |_| io::Error::from(io::ErrorKind::InvalidData);
            Ok(Some((letter, files.try_into().map_err(odd)?)))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// The descriptors that came with a message.
fn taken(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut files = Vec::new();
    // SAFETY: the kernel has filled the control part and set its length: the head that is found lies within.
    let head = unsafe { libc::CMSG_FIRSTHDR(message) };
    if head.is_null() {
        return files;
    }
    // SAFETY: as above; the head is plain data.
    let (head, data) = unsafe { (head.read_unaligned(), libc::CMSG_DATA(head)) };
    if head.cmsg_level != libc::SOL_SOCKET || head.cmsg_type != libc::SCM_RIGHTS {
        return files;
    }
    // SAFETY: only computes a length.
    let before = unsafe { libc::CMSG_LEN(0) } as usize;
    let count = head.cmsg_len.saturating_sub(before) / size_of::<c_int>();
    for place in 0..count.min(FILES) {
        // SAFETY: so many descriptors lie there, which the kernel has made for this process and nobody else knows.
        files.push(unsafe {
            OwnedFd::from_raw_fd(data.cast::<RawFd>().add(place).read_unaligned())
        });
    }
    files
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    use super::*;

    #[test]
    fn a_letter_and_its_descriptors_arrive_and_the_end_is_told() {
        let kind = SockType::SeqPacket;
        let (here, there) =
            socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).expect("a pair");
        let given = File::open("/proc/self/comm").expect("a file");
        let none = File::open("/dev/null").expect("a file");
        let [first, other] = [&given, &none].map(AsRawFd::as_raw_fd);
        send(here.as_raw_fd(), b'x', [other, other, first, other, other]).expect("sent");
        let (letter, files) = receive(there.as_raw_fd()).expect("received").expect("some");
        assert_eq!(letter, b'x');
        let [_, _, file, _, _] = files.map(File::from);
        let mut text = String::new();
        (&file).read_to_string(&mut text).expect("read");
        assert!(!text.is_empty());
        drop(here);
        assert!(receive(there.as_raw_fd()).expect("an end").is_none());
    }
}
