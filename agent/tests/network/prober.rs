//! Raw frames: what a vnode's root may send, and what arrives.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use docklet_control::model::vnode::MacAddress;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::site::Space;

pub const BROADCAST: MacAddress = MacAddress([0xff; 6]);

/// `ETH_P_ALL` of `linux/if_ether.h`.
const EVERY_KIND: u16 = 3;

/// A raw socket on one device.
pub struct Prober(OwnedFd);

impl Prober {
    pub fn on(space: &Space, device: &'static str) -> Self {
        space.within(|| Self::open(device)).expect("a raw socket")
    }

    fn open(device: &str) -> io::Result<Self> {
        let all = EVERY_KIND.to_be();
        // SAFETY: makes a socket; its number is checked before it is used.
        let socket = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                i32::from(all),
            )
        };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: nobody else has this number.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let index = nix::net::if_::if_nametoindex(device)?;
        // SAFETY: all zeros is an address without a device.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family =
            libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        address.sll_protocol = all;
        address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
        let length = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
        // SAFETY: the address is of the length that is told, and outlives the call.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
        if bound < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(socket))
    }

    pub fn send(&self, frame: &[u8]) {
        let sent = nix::unistd::write(&self.0, frame).expect("sent");
        assert_eq!(sent, frame.len());
    }

    /// Frames that arrive until one has `last` in it, that one included. Fails if it does not come.
    pub fn hear_until(&self, last: &[u8]) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut heard = Vec::new();
        loop {
            assert!(Instant::now() < deadline, "the last frame does not arrive");
            let mut waiting = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            if poll(&mut waiting, PollTimeout::from(100_u16)).expect("polled") == 0 {
                continue;
            }
            let mut frame = vec![0; 2_048];
            let length = nix::unistd::read(&self.0, &mut frame).expect("read");
            frame.truncate(length);
            let is_last = has(&frame, last);
            heard.push(frame);
            if is_last {
                return heard;
            }
        }
    }
}

/// Whether a frame has these bytes in it.
pub fn has(frame: &[u8], bytes: &[u8]) -> bool {
    frame.windows(bytes.len()).any(|window| window == bytes)
}

pub fn frame(to: MacAddress, from: MacAddress, kind: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = [to.0, from.0].concat();
    frame.extend(kind.to_be_bytes());
    frame.extend(body);
    frame.resize(frame.len().max(60), 0);
    frame
}

pub fn arp(
    operation: u8,
    sender: (MacAddress, Ipv4Addr),
    target: (MacAddress, Ipv4Addr),
) -> Vec<u8> {
    let mut body = vec![0, 1, 8, 0, 6, 4, 0, operation];
    for (mac, address) in [sender, target] {
        body.extend(mac.0);
        body.extend(address.octets());
    }
    body
}

pub fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), text: &[u8]) -> Vec<u8> {
    let length = |extra: usize| {
        u16::try_from(text.len() + extra)
            .expect("short")
            .to_be_bytes()
    };
    let mut packet = vec![0x45, 0];
    packet.extend(length(28));
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(from.0.octets());
    packet.extend(to.0.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(from.1.to_be_bytes());
    packet.extend(to.1.to_be_bytes());
    packet.extend(length(8));
    // No checksum.
    packet.extend([0, 0]);
    packet.extend(text);
    packet
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded")
}

/// An IPv6 packet with an ICMPv6 message of this type: 134 is a router's advertisement, 135 and 136 are neighbours'.
pub fn icmpv6(kind: u8, text: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    let length = u16::try_from(text.len() + 4).expect("short");
    packet.extend(length.to_be_bytes());
    packet.extend([58, 255]);
    packet.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([kind, 0, 0, 0]);
    packet.extend(text);
    packet
}
