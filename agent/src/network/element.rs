//! Adds to sets of nftables. `nft` is a program that reads tables before it adds one element to them, 5 ms of a processor; the
//! kernel takes an element in microseconds.

use std::io;
use std::net::Ipv4Addr;

use docklet_control::model::vnode::MacAddress;
use nix::libc;
use nix::sys::socket::SockProtocol;

use super::netlink::{Message, NFTABLES, Socket};

/// From linux/netfilter/nfnetlink.h: a transaction begins and ends.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NFT_MSG_NEWSETELEM`.
const NEW_ELEMENT: u16 = NFTABLES << 8 | 12;
/// `NFPROTO_BRIDGE`.
const BRIDGE: u8 = 7;
/// Attributes of `nft_set_elem_list_attributes`, and of what is in a list.
const TABLE: u16 = 1;
const SET: u16 = 2;
const ELEMENTS: u16 = 3;
const ELEMENT: u16 = 1;
const KEY: u16 = 1;
const VALUE: u16 = 1;
/// Bytes of a device's name.
const NAME_BYTES: usize = 16;
/// Of one transaction: more would not fit the socket.
const AT_ONCE: usize = 256;

/// What a set knows an element by.
pub(super) struct Key(Vec<u8>);

impl Key {
    /// A device.
    pub(super) fn device(name: &str) -> Self {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(NAME_BYTES, 0);
        Self(bytes)
    }

    /// The same with addresses: parts begin at multiples of four.
    pub(super) fn device_with(name: &str, mac: MacAddress, address: Ipv4Addr) -> Self {
        let Self(mut bytes) = Self::device(name);
        bytes.extend(mac.0);
        bytes.extend([0; 2]);
        bytes.extend(address.octets());
        Self(bytes)
    }
}

/// Adds elements to a set of a table for bridges, in this network namespace. Those that are there stay.
///
/// # Errors
/// There is no such set, or its elements are others.
pub(super) fn add(table: &str, set: &str, keys: &[Key]) -> io::Result<()> {
    let socket = Socket::open(SockProtocol::NetlinkNetFilter)?;
    for some in keys.chunks(AT_ONCE) {
        let mut messages = vec![border(BATCH_BEGIN)];
        for (index, key) in some.iter().enumerate() {
            // What goes wrong with one is told in any case; that all went well is told once.
            let answers = index + 1 == some.len();
            messages.push(new_element(table, set, key, answers));
        }
        messages.push(border(BATCH_END));
        socket.ask(&messages)?;
    }
    Ok(())
}

/// `struct nfgenmsg` of a transaction's two ends.
fn border(kind: u16) -> Message {
    let [high, low] = NFTABLES.to_be_bytes();
    Message::begun(kind, 0, &[0, 0, high, low])
}

fn new_element(table: &str, set: &str, key: &Key, answers: bool) -> Message {
    let answers = if answers { libc::NLM_F_ACK } else { 0 };
    let flags = libc::NLM_F_CREATE | answers;
    let [mut value, mut element, mut elements] = [(); 3].map(|()| Message::part(Vec::new()));
    value.put(VALUE, &key.0);
    element.nest(KEY, &value);
    elements.nest(ELEMENT, &element);
    let mut message = Message::begun(NEW_ELEMENT, flags, &[BRIDGE, 0, 0, 0]);
    message
        .put(TABLE, &text(table))
        .put(SET, &text(set))
        .nest(ELEMENTS, &elements);
    message
}

fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_key_begin_at_multiples_of_four() {
        let mac = MacAddress([10, 0, 0, 0, 0, 7]);
        let Key(bytes) = Key::device_with("dkh7", mac, Ipv4Addr::new(10, 64, 0, 7));
        assert_eq!(bytes.len(), 28);
        assert_eq!(bytes[..5], *b"dkh7\0");
        assert_eq!(bytes[16..], [10, 0, 0, 0, 0, 7, 0, 0, 10, 64, 0, 7]);
    }
}
