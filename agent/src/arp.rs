//! Asking a vnode for its address on its own device: it answers as soon as its network is up.
//!
//! The question (an ARP probe, RFC 5227) goes out of the worker's end of the vnode's pair of devices and reaches nobody
//! else. It bears that end's hardware address, for which the bridge hands the answer up to the worker.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::model::vnode::MacAddress;
use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};

/// A question is repeated after so long.
const AGAIN: Duration = Duration::from_millis(50);
/// Another thread may have taken the answer off the socket: so long until one looks whether it did.
const LOOK_MS: u8 = 2;
/// A device whose other end is up is seen to be so within this time.
const CARRIES_WITHIN: Duration = Duration::from_secs(2);
/// Ethernet and ARP for IPv4 without padding.
const FRAME_BYTES: usize = 42;
const ETHERTYPE: [u8; 2] = [0x08, 0x06];
const BROADCAST: [u8; 6] = [0xff; 6];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// One socket for all questions of a worker: closing one costs the kernel milliseconds.
pub(crate) struct Asker {
    socket: OwnedFd,
    /// Questions that are open, and whether each was answered.
    asked: Mutex<BTreeMap<Asked, bool>>,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) mac: MacAddress,
    pub(crate) address: Ipv4Addr,
}

impl Asker {
    /// Opens the socket, in the network namespace of the caller.
    pub(crate) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let protocol = i32::from(u16::from_ne_bytes(ETHERTYPE));
        // SAFETY: the call touches no memory of ours.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            // SAFETY: nobody else owns the new descriptor.
            socket: unsafe { OwnedFd::from_raw_fd(fd) },
            asked: Mutex::default(),
        })
    }

    /// Asks on `device` until it is answered, `go_on` says no, or the time is over; answers whether it was answered.
    pub(crate) fn ask(
        &self,
        device: &str,
        who: Asked,
        limit: Duration,
        go_on: impl Fn() -> bool,
    ) -> io::Result<bool> {
        let end = self.device(device)?;
        self.lock().insert(who, false);
        let answered = self.ask_until(&end, who, limit, go_on);
        self.lock().remove(&who);
        answered
    }

    fn ask_until(
        &self,
        end: &Device,
        who: Asked,
        limit: Duration,
        go_on: impl Fn() -> bool,
    ) -> io::Result<bool> {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < limit && go_on() {
            if last.is_none_or(|last: Instant| last.elapsed() >= AGAIN) {
                self.send(end, who)?;
                last = Some(Instant::now());
            }
            if self.listen(who)? {
                return Ok(true);
            }
            let mut waiting = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            poll(&mut waiting, LOOK_MS)?;
        }
        self.listen(who)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Asked, bool>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has arrived, for all who wait; answers whether this one was answered.
    fn listen(&self, who: Asked) -> io::Result<bool> {
        let mut asked = self.lock();
        let mut frame = [0; FRAME_BYTES];
        while let Some(length) = self.receive(&mut frame)? {
            let answer = (length == FRAME_BYTES)
                .then(|| answered_by(&frame))
                .flatten();
            if let Some(answered) = answer.and_then(|who| asked.get_mut(&who)) {
                *answered = true;
            }
        }
        Ok(asked.get(&who).copied().unwrap_or(false))
    }

    fn receive(&self, frame: &mut [u8; FRAME_BYTES]) -> io::Result<Option<usize>> {
        // SAFETY: the buffer is as long as is said, and outlives the call. What is longer is cut off.
        let length = unsafe {
            libc::recv(
                self.socket.as_raw_fd(),
                frame.as_mut_ptr().cast(),
                frame.len(),
                0,
            )
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                // A device that goes away is told here once.
                error if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Number and hardware address of a device.
    fn device(&self, name: &str) -> io::Result<Device> {
        let index = nix::net::if_::if_nametoindex(name)?;
        let answer = self.ask_kernel(name, libc::SIOCGIFHWADDR)?;
        // SAFETY: the call filled this field of the union.
        let hardware = unsafe { answer.ifr_ifru.ifru_hwaddr.sa_data };
        let mac = std::array::from_fn(|at| hardware[at].cast_unsigned());
        Ok(Device { index, mac })
    }

    /// Whether what is sent there leaves it. The kernel sees a device's other end a moment after both are up.
    fn carries(&self, name: &str) -> io::Result<bool> {
        let answer = self.ask_kernel(name, libc::SIOCGIFFLAGS)?;
        // SAFETY: the call filled this field of the union.
        let flags = unsafe { answer.ifr_ifru.ifru_flags };
        Ok(i32::from(flags) & libc::IFF_RUNNING != 0)
    }

    /// What the kernel says of a device.
    fn ask_kernel(&self, name: &str, what: libc::Ioctl) -> io::Result<libc::ifreq> {
        // SAFETY: all zeroes is a valid value of this plain C structure.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let room = request.ifr_name.iter_mut().zip(name.bytes());
        room.for_each(|(slot, byte)| *slot = byte.cast_signed());
        // SAFETY: the structure outlives the call; a device's name is shorter than its field, so it ends with a zero.
        let asked = unsafe { libc::ioctl(self.socket.as_raw_fd(), what, &raw mut request) };
        if asked < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(request)
    }

    fn send(&self, end: &Device, who: Asked) -> io::Result<()> {
        self.send_frame(end, who.mac.0, &question(end.mac, who))
    }

    fn send_frame(&self, end: &Device, receiver: [u8; 6], frame: &[u8]) -> io::Result<()> {
        // SAFETY: all zeroes is a valid value of this plain C structure.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        to.sll_protocol = u16::from_ne_bytes(ETHERTYPE);
        to.sll_ifindex = i32::try_from(end.index).map_err(io::Error::other)?;
        to.sll_halen = 6;
        to.sll_addr[..6].copy_from_slice(&receiver);
        let length = libc::socklen_t::try_from(size_of_val(&to)).map_err(io::Error::other)?;
        // SAFETY: frame and address are as long as is said, and outlive the call.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                length,
            )
        };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // A device that goes down at this moment takes nothing: who waits asks again.
            Some(libc::ENOBUFS | libc::ENETDOWN) => Ok(()),
            _ => Err(error),
        }
    }
}

/// Says for a vnode, in whose network the caller is, where it is now: to switches that saw it last on another port.
///
/// # Errors
/// The device is not there.
pub(crate) fn announce(device: &str, who: Asked) -> io::Result<()> {
    let asker = Asker::open()?;
    let end = asker.device(device)?;
    let begun = Instant::now();
    while !asker.carries(device)? && begun.elapsed() < CARRIES_WITHIN {
        std::thread::sleep(Duration::from_millis(1));
    }
    asker.send_frame(&end, BROADCAST, &announcement(who))
}

/// One end of a pair of devices.
struct Device {
    index: u32,
    mac: [u8; 6],
}

/// Who has this address? Asked by nobody, so that nothing is learnt from the question.
fn question(from: [u8; 6], who: Asked) -> Vec<u8> {
    let header = [0, 1, 8, 0, 6, 4, 0, REQUEST];
    [
        &who.mac.0[..],
        &from,
        &ETHERTYPE,
        &header,
        &from,
        &[0; 4],
        &[0; 6],
        &who.address.octets(),
    ]
    .concat()
}

/// An announcement (RFC 5227): a question for one's own address.
fn announcement(who: Asked) -> Vec<u8> {
    let header = [0, 1, 8, 0, 6, 4, 0, REQUEST];
    let address = who.address.octets();
    [
        &BROADCAST[..],
        &who.mac.0,
        &ETHERTYPE,
        &header,
        &who.mac.0,
        &address,
        &[0; 6],
        &address,
    ]
    .concat()
}

/// Who speaks in an answer; none if it is none.
fn answered_by(frame: &[u8; FRAME_BYTES]) -> Option<Asked> {
    if frame[12..14] != ETHERTYPE || frame[20..22] != [0, REPLY] {
        return None;
    }
    let mac: [u8; 6] = *frame[22..].first_chunk()?;
    let address: [u8; 4] = *frame[28..].first_chunk()?;
    Some(Asked {
        mac: MacAddress(mac),
        address: address.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Asked = Asked {
        mac: MacAddress([10, 0, 0, 0, 0, 7]),
        address: Ipv4Addr::new(10, 64, 0, 7),
    };

    fn answer() -> [u8; FRAME_BYTES] {
        let mut frame: [u8; FRAME_BYTES] = question([2; 6], WHO).try_into().expect("42 bytes");
        frame[21] = REPLY;
        frame[22..28].copy_from_slice(&WHO.mac.0);
        frame[28..32].copy_from_slice(&WHO.address.octets());
        frame
    }

    #[test]
    fn an_answer_names_who_gave_it_and_a_question_is_none() {
        assert_eq!(answered_by(&answer()), Some(WHO));
        let question: [u8; FRAME_BYTES] = question([2; 6], WHO).try_into().expect("42 bytes");
        assert_eq!(answered_by(&question), None);
        let mut other = answer();
        other[12] = 0x86;
        assert_eq!(answered_by(&other), None);
    }
}
