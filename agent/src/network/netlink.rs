//! Messages of netlink(7), for what has no time for a program.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Bytes of a message's head.
pub(super) const HEAD: usize = 16;
/// `NFNL_SUBSYS_NFTABLES`.
pub(super) const NFTABLES: u16 = 10;
/// An attribute that consists of others.
const NESTED: u16 = 0x8000;

/// A socket to a part of the kernel, of the network namespace in which it was opened.
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn open(part: SockProtocol) -> io::Result<Self> {
        let (family, flags) = (AddressFamily::Netlink, SockFlag::SOCK_CLOEXEC);
        Ok(Self(socket(family, SockType::Raw, flags, part)?))
    }

    /// Hands over messages and waits for what comes of them: the first fault, or what the one says that asks for an answer.
    pub(super) fn ask(&self, messages: &[Message]) -> io::Result<()> {
        outcome(&self.answer(messages)?)
    }

    /// The first message that comes back, with its head.
    pub(super) fn answer(&self, messages: &[Message]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.extend(message.finished()?);
        }
        send(self.0.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let mut answer = vec![0; 4_096];
        let length = recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        answer.truncate(length);
        Ok(answer)
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

/// One message, of which the length is not written yet; or attributes of one.
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn begun(kind: u16, flags: i32, about: &[u8]) -> Self {
        let flags = u16::try_from(libc::NLM_F_REQUEST | flags);
        let flags = flags.expect("flags of a message have 16 bits");
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(about);
        Self(bytes)
    }

    /// Attributes after this.
    pub(super) fn part(head: Vec<u8>) -> Self {
        Self(head)
    }

    /// An attribute: its length, what it is, the value, and nothing up to the next multiple of four.
    pub(super) fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).expect("attributes are short");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// An attribute that consists of this one's.
    pub(super) fn nest(&mut self, kind: u16, part: &Self) -> &mut Self {
        self.put(kind | NESTED, &part.0)
    }

    fn finished(&self) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.0.len()).map_err(io::Error::other)?;
        Ok([&length.to_ne_bytes()[..], &self.0[4..]].concat())
    }
}

#[cfg(test)]
impl Message {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.finished().expect("short")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_its_length_and_ends_at_a_multiple_of_four() {
        let mut message = Message::part(Vec::new());
        message.put(libc::IFLA_IFNAME, b"dkh17\0");
        let mut expected = 10_u16.to_ne_bytes().to_vec();
        expected.extend(3_u16.to_ne_bytes());
        expected.extend(b"dkh17\0\0\0");
        assert_eq!(message.0, expected);
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
