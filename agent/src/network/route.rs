//! A few words of rtnetlink(7), for what has no time for `ip`.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;

use nix::libc;
use nix::sys::socket::SockProtocol;

use super::netlink::{Message, Socket};

/// From linux/veth.h and linux/if_link.h.
const VETH_INFO_PEER: u16 = 1;
const IFLA_NET_NS_FD: u16 = 28;
const UP: u32 = libc::IFF_UP.cast_unsigned();

/// A socket to the kernel, of the network namespace in which it was opened.
pub(super) struct Route(Socket);

impl Route {
    pub(super) fn open() -> io::Result<Self> {
        Socket::open(SockProtocol::NetlinkRoute).map(Self)
    }

    /// Hands over a message and waits for what comes of it.
    pub(super) fn ask(&self, message: Message) -> io::Result<()> {
        self.0.ask(&[message])
    }
}

fn begun(kind: u16, flags: i32, about: &[u8]) -> Message {
    Message::begun(kind, libc::NLM_F_ACK | flags, about)
}

impl Message {
    /// A device that is not there yet.
    pub(super) fn new_link() -> Self {
        let only_new = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        begun(libc::RTM_NEWLINK, only_new, &device(0, 0))
    }

    /// Lets a device work.
    pub(super) fn up(index: u32) -> Self {
        begun(libc::RTM_NEWLINK, 0, &device(index, UP))
    }

    /// Gives a device an address.
    pub(super) fn address(index: u32, address: Ipv4Addr, prefix: u8) -> Self {
        let mut about = vec![family(), prefix, 0, 0];
        about.extend(index.to_ne_bytes());
        let only_new = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut message = begun(libc::RTM_NEWADDR, only_new, &about);
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
        let mut message = begun(libc::RTM_NEWROUTE, only_new, &about);
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
        let mut peer = Self::part(device(0, 0));
        other(&mut peer);
        let mut data = Self::part(Vec::new());
        data.nest(VETH_INFO_PEER, &peer);
        let mut kind = Self::part(Vec::new());
        kind.put(libc::IFLA_INFO_KIND, b"veth")
            .nest(libc::IFLA_INFO_DATA, &data);
        self.nest(libc::IFLA_LINKINFO, &kind);
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
    fn a_message_says_how_long_it_is() {
        let message = Message::address(7, Ipv4Addr::new(10, 64, 0, 2), 22);
        let bytes = message.bytes();
        let length = u32::from_ne_bytes(*bytes.first_chunk().expect("four bytes"));
        assert_eq!(usize::try_from(length).ok(), Some(bytes.len()));
        let all = Ipv4Addr::new(10, 64, 3, 255).octets();
        assert!(bytes.ends_with(&all), "{bytes:?}");
    }
}
