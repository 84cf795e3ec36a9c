//! A few words of rtnetlink(7), for what has no time for `ip`.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Bytes of a message's head, and of what it says of a device.
const HEAD: usize = 16;
/// From linux/veth.h and linux/if_link.h.
const VETH_INFO_PEER: u16 = 1;
const IFLA_NET_NS_FD: u16 = 28;
/// An attribute that consists of others.
const NESTED: u16 = 0x8000;
const UP: u32 = libc::IFF_UP.cast_unsigned();

/// A socket to the kernel, of the network namespace in which it was opened.
pub(super) struct Route(OwnedFd);

impl Route {
    pub(super) fn open() -> io::Result<Self> {
        let kind = SockProtocol::NetlinkRoute;
        let opened = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            kind,
        );
        Ok(Self(opened?))
    }

    /// Hands over a message and waits for what comes of it.
    pub(super) fn ask(&self, message: &Message) -> io::Result<()> {
        send(self.0.as_raw_fd(), &message.finished()?, MsgFlags::empty())?;
        let mut answer = [0_u8; 4_096];
        let length = recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        outcome(&answer[..length])
    }
}

/// What an answer says: 0, or an error's number below it.
fn outcome(answer: &[u8]) -> io::Result<()> {
    let odd = || io::Error::other("the kernel's answer is none");
    let kind = answer.get(4..6).ok_or_else(odd)?;
    let number = answer.get(HEAD..).and_then(<[u8]>::first_chunk::<4>);
    let number = i32::from_ne_bytes(*number.ok_or_else(odd)?);
    if i32::from(u16::from_ne_bytes([kind[0], kind[1]])) != libc::NLMSG_ERROR {
        return Err(odd());
    }
    match number {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
    }
}

/// One message, of which the length is not written yet; or the part of one that is of a device.
pub(super) struct Message(Vec<u8>);

impl Message {
    fn begun(kind: u16, flags: i32, about: &[u8]) -> Self {
        let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags);
        let flags = flags.expect("flags of a message have 16 bits");
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(about);
        Self(bytes)
    }

    /// A device that is not there yet.
    pub(super) fn new_link() -> Self {
        let only_new = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        Self::begun(libc::RTM_NEWLINK, only_new, &device(0, 0))
    }

    /// Lets a device work.
    pub(super) fn up(index: u32) -> Self {
        Self::begun(libc::RTM_NEWLINK, 0, &device(index, UP))
    }

    /// Gives a device an address.
    pub(super) fn address(index: u32, address: Ipv4Addr, prefix: u8) -> Self {
        let mut about = vec![family(), prefix, 0, 0];
        about.extend(index.to_ne_bytes());
        let only_new = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut message = Self::begun(libc::RTM_NEWADDR, only_new, &about);
        let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let all = Ipv4Addr::from(u32::from(address) | hosts);
        message
            .put(libc::IFA_LOCAL, &address.octets())
            .put(libc::IFA_ADDRESS, &address.octets())
            .put(libc::IFA_BROADCAST, &all.octets());
        message
    }

    /// Sends by a device, to this address, what has no other way.
    pub(super) fn way_out(index: u32, gateway: Ipv4Addr) -> Self {
        let table = libc::RT_TABLE_MAIN;
        let about = [
            family(),
            0,
            0,
            0,
            table,
            libc::RTPROT_BOOT,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        let only_new = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut message = Self::begun(libc::RTM_NEWROUTE, only_new, &about);
        message
            .put(libc::RTA_GATEWAY, &gateway.octets())
            .put(libc::RTA_OIF, &index.to_ne_bytes());
        message
    }

    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.put(libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat())
    }

    pub(super) fn mtu(&mut self, mtu: u32) -> &mut Self {
        self.put(libc::IFLA_MTU, &mtu.to_ne_bytes())
    }

    pub(super) fn hardware(&mut self, mac: [u8; 6]) -> &mut Self {
        self.put(libc::IFLA_ADDRESS, &mac)
    }

    pub(super) fn master(&mut self, index: u32) -> &mut Self {
        self.put(libc::IFLA_MASTER, &index.to_ne_bytes())
    }

    /// In which network namespace it is made.
    pub(super) fn within(&mut self, namespace: RawFd) -> &mut Self {
        self.put(IFLA_NET_NS_FD, &namespace.to_ne_bytes())
    }

    /// Makes it one end of a pair, of which this is the other.
    pub(super) fn pair(&mut self, other: impl FnOnce(&mut Self)) {
        let mut peer = Self(device(0, 0));
        other(&mut peer);
        let mut data = Self(Vec::new());
        data.put(VETH_INFO_PEER | NESTED, &peer.0);
        let mut kind = Self(Vec::new());
        kind.put(libc::IFLA_INFO_KIND, b"veth")
            .put(libc::IFLA_INFO_DATA | NESTED, &data.0);
        self.put(libc::IFLA_LINKINFO | NESTED, &kind.0);
    }

    /// An attribute: its length, what it is, the value, and nothing up to the next multiple of four.
    fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).expect("attributes are short");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finished(&self) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.0.len()).map_err(io::Error::other)?;
        Ok([&length.to_ne_bytes()[..], &self.0[4..]].concat())
    }
}

fn family() -> u8 {
    u8::try_from(libc::AF_INET).expect("families of addresses are small numbers")
}

/// `struct ifinfomsg`: of this number, with these flags set.
fn device(index: u32, flags: u32) -> Vec<u8> {
    let mut about = vec![0; 4];
    about.extend(index.to_ne_bytes());
    about.extend(flags.to_ne_bytes());
    about.extend(flags.to_ne_bytes());
    about
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_its_length_and_ends_at_a_multiple_of_four() {
        let mut message = Message(Vec::new());
        message.name("dkh17");
        let mut expected = 10_u16.to_ne_bytes().to_vec();
        expected.extend(3_u16.to_ne_bytes());
        expected.extend(b"dkh17\0\0\0");
        assert_eq!(message.0, expected);
    }

    #[test]
    fn a_message_says_how_long_it_is() {
        let message = Message::address(7, Ipv4Addr::new(10, 64, 0, 2), 22);
        let bytes = message.finished().expect("short");
        let length = u32::from_ne_bytes(*bytes.first_chunk().expect("four bytes"));
        assert_eq!(usize::try_from(length).ok(), Some(bytes.len()));
        let all = Ipv4Addr::new(10, 64, 3, 255).octets();
        assert!(bytes.ends_with(&all), "{bytes:?}");
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error() {
        let mut answer = [0_u8; 20];
        answer[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        assert!(outcome(&answer).is_ok());
        answer[16..20].copy_from_slice(&(-libc::EEXIST).to_ne_bytes());
        let refused = outcome(&answer).expect_err("refused");
        assert_eq!(refused.raw_os_error(), Some(libc::EEXIST));
        outcome(&answer[..12]).expect_err("too short");
    }
}
