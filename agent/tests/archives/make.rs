//! Makes archives of all kinds, also those that no tool would write.

use std::io::Read;

use docklet_control::id::Digest;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

pub type Archive = Builder<Vec<u8>>;

/// Writes a name into a header as it is: the library would refuse to write what attackers write.
pub fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

pub fn entry(archive: &mut Archive, mut header: Header, content: impl Read) {
    header.set_cksum();
    archive.append(&header, content).expect("an entry");
}

pub fn file(archive: &mut Archive, name: &str, content: &[u8]) {
    let header = header(name, EntryType::Regular, content.len() as u64);
    entry(archive, header, content);
}

pub fn dir(archive: &mut Archive, name: &str, mode: u32) {
    let mut header = header(name, EntryType::Directory, 0);
    header.set_mode(mode);
    entry(archive, header, std::io::empty());
}

pub fn link(archive: &mut Archive, name: &str, kind: EntryType, target: &str) {
    let mut header = header(name, kind, 0);
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    entry(archive, header, std::io::empty());
}

/// Records about the next entry.
pub fn pax(archive: &mut Archive, records: &[(&str, &str)]) {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        // The length counts its own digits.
        let length = (1..).find(|n: &usize| n.to_string().len() + rest.len() == *n);
        let length = length.expect("some length fits");
        body.extend_from_slice(format!("{length}{rest}").as_bytes());
    }
    let header = header("pax", EntryType::XHeader, body.len() as u64);
    entry(archive, header, &body[..]);
}

/// A long name of the next entry, in GNU's way.
pub fn long_name(archive: &mut Archive, bytes: u64, name: impl Read) {
    let header = header("././@LongLink", EntryType::GNULongName, bytes);
    entry(archive, header, name);
}

pub fn tar(fill: impl FnOnce(&mut Archive)) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    fill(&mut archive);
    archive.into_inner().expect("an archive")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("compressed")
}

pub fn blob(fill: impl FnOnce(&mut Archive)) -> Vec<u8> {
    zstd(&tar(fill))
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Zeros, compressed as well as it goes, without ever being in memory.
pub fn zeros(bytes: u64, into: impl std::io::Write) -> impl std::io::Write {
    let mut encoder = zstd::stream::write::Encoder::new(into, 1).expect("an encoder");
    std::io::copy(&mut std::io::repeat(0).take(bytes), &mut encoder).expect("compressed");
    encoder.finish().expect("compressed")
}
