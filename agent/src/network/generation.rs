//! The number of nftables' generation in this network namespace: the kernel raises it with every change of rules, whoever
//! makes it. Asking for it costs microseconds; to list tables, `nft` reads all that is in them.

use std::io;

use nix::sys::socket::SockProtocol;

use super::netlink::{HEAD, Message, NFTABLES, Socket};

/// `NFT_MSG_NEWGEN` and `NFT_MSG_GETGEN`.
const NEW_GENERATION: u16 = NFTABLES << 8 | 15;
const GET_GENERATION: u16 = NFTABLES << 8 | 16;
/// `NFTA_GEN_ID`.
const GENERATION_ID: u16 = 1;
/// Bytes of a `struct nfgenmsg`, which comes after a message's head.
const SUBHEAD: usize = 4;

/// The number of the present generation.
///
/// # Errors
/// The kernel has no nftables, or does not let this process ask.
pub fn generation() -> io::Result<u32> {
    let answer = Socket::open(SockProtocol::NetlinkNetFilter)?.answer(&[question()])?;
    let unclear = || io::Error::other("the kernel's answer is not understood");
    read(&answer).ok_or_else(unclear)
}

/// Of no family.
fn question() -> Message {
    Message::begun(GET_GENERATION, 0, &[0; SUBHEAD])
}

/// None if it is no such answer.
fn read(answer: &[u8]) -> Option<u32> {
    if short(answer, 4)? != NEW_GENERATION {
        return None;
    }
    let mut attributes = answer.get(HEAD + SUBHEAD..)?;
    loop {
        let (length, kind) = (usize::from(short(attributes, 0)?), short(attributes, 2)?);
        let value = attributes.get(4..length)?;
        if kind == GENERATION_ID {
            return Some(u32::from_be_bytes(value.try_into().ok()?));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut message = question().bytes();
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message.extend(attributes);
        message
    }

    #[test]
    fn the_number_is_read_wherever_it_stands() {
        let id = [8, 0, 1, 0, 0, 0, 1, 2];
        let name = [7, 0, 3, 0, b'n', b'f', b't', 0];
        assert_eq!(read(&answer(NEW_GENERATION, &id)), Some(258));
        let both = [name, id].concat();
        assert_eq!(read(&answer(NEW_GENERATION, &both)), Some(258));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let id = [8, 0, 1, 0, 0, 0, 1, 2];
        assert_eq!(read(&answer(2, &id)), None);
        assert_eq!(read(&answer(NEW_GENERATION, &id[..6])), None);
        assert_eq!(read(&answer(NEW_GENERATION, &[0, 0, 9, 0])), None);
        assert_eq!(read(&[]), None);
    }
}
